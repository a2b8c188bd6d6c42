"""Bands for narrower numbers: nothing passes or is rejected that float32 would not, and every promise is counted anew."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from visiontune import Bands
from visiontune.runtime.binomial import upper
from visiontune.runtime.errors import CalibrationRefused
from visiontune.tune.calibrate import Judged, Target, inspection_bands
from visiontune.tune.rebands import PASS, REJECT, rebands, target, worse
from visiontune.tune.sorting import sorting_bands

TARGET = Target(escapes=0.2, overkill=0.3, confidence=0.8)
REVIEW = 1


def a_share(seed, n=60, spread=1.0):
    """Judged parts: defective ones (class 1) have higher severities, mostly."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    severity = 1 / (1 + np.exp(-(rng.normal(0, spread, n) + 2 * labels - 1)))
    return judged(severity, labels)


def judged(severity, labels):
    severity = np.asarray(severity, np.float32)
    kinds = np.column_stack([1 - severity, severity])
    return Judged(
        severity=severity,
        kinds=kinds,
        labels=np.asarray(labels),
        groups=[str(i // 2) for i in range(len(labels))],
    )


def a_sorters_share(seed, n=300):
    """Two kinds; it names the wrong one now and then where its severity, 0 to 0.5, is above 0.2."""
    rng = np.random.default_rng(seed)
    severity = rng.uniform(0, 0.5, n).astype(np.float32)
    named = rng.integers(0, 2, n)
    kinds = np.where(named[:, None] == [0, 1], 1 - severity[:, None], severity[:, None])
    labels = np.where((severity > 0.2) & (rng.uniform(size=n) < severity), 1 - named, named)
    return Judged(severity=severity, kinds=kinds, labels=labels, groups=[str(i) for i in range(n)])


def moved(share, seed, noise):
    """The same share as a network with rounding would judge it."""
    rng = np.random.default_rng(seed)
    logits = np.log(share.severity / (1 - share.severity)) + rng.normal(0, noise, len(share.labels))
    return judged(1 / (1 + np.exp(-logits)), share.labels)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.01, 0.3, 3.0]), st.booleans())
def test_it_passes_and_rejects_only_what_float32_does(seed, noise, good):
    share = a_share(seed)
    try:
        old = (inspection_bands if good else sorting_bands)(share, TARGET)
    except CalibrationRefused:
        assume(False)
    before = old.decisions(share.severity)
    mine = moved(share, seed + 1, noise)
    new = rebands(mine, old, before, good=good)
    now = new.decisions(mine.severity)
    assert (before[now == PASS] == PASS).all() and (before[now == REJECT] == REJECT).all()
    if noise == 0.0:
        assert (now == before).all() and worse(new, old) is None


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.01, 0.3, 3.0]))
def test_the_evidence_says_what_the_new_bands_let_through(seed, noise):
    share = a_share(seed)
    old = inspection_bands(share, TARGET)
    mine = moved(share, seed + 1, noise)
    new = rebands(mine, old, old.decisions(share.severity), good=True)
    for name, defective in (("escapes", True), ("overkill", False)):
        parts, missed = set(), set()
        for severity, label, part in zip(mine.severity, mine.labels, mine.groups, strict=True):
            if bool(label) == defective:
                parts.add(part)
                through = (
                    severity < np.float32(new.review_from)
                    if defective
                    else severity >= np.float32(new.reject_from)
                )
                missed |= {part} if through else set()
        found = new.evidence[name]
        assert (found["parts"], found["misses"]) == (len(parts), len(missed))
        assert found["misses"] <= found["allowed"]
        assert found["certified"] == pytest.approx(upper(found["allowed"], len(parts), 0.8))
    assert worse(new, old) is None  # as many parts, as many allowed: the same bound


def test_a_sorters_evidence_is_of_what_passes_now():
    share = a_sorters_share(3)
    old = sorting_bands(share, TARGET)
    rng = np.random.default_rng(4)
    mine = replace(share, severity=share.severity + rng.uniform(0, 0.02, 300).astype(np.float32))
    new = rebands(mine, old, old.decisions(share.severity), good=False)
    passes = mine.severity < np.float32(new.review_from)
    found = new.evidence["wrong kind among passed"]
    assert found["parts"] == passes.sum() > 0
    assert found["misses"] == (passes & (mine.kinds.argmax(axis=1) != mine.labels)).sum()
    assert found["certified"] <= TARGET.escapes and worse(new, old) is None
    assert new.reject_from > 1


def test_a_lost_promise_is_told():
    share = a_sorters_share(3)
    old = sorting_bands(share, TARGET)
    assert old.evidence["wrong kind among passed"]["certified"] <= TARGET.escapes
    mine = replace(share, severity=share.severity[::-1].copy())  # it has nothing to do with the picture
    new = rebands(mine, old, old.decisions(share.severity), good=False)
    assert worse(new, old).startswith("wrong kind among passed")


def test_bands_without_evidence_are_only_widened():
    share = a_share(5)
    low, high = np.quantile(share.severity, [0.3, 0.8])
    old = Bands(float(low), float(high))
    mine = moved(share, 6, 0.3)
    new = rebands(mine, old, old.decisions(share.severity), good=True)
    assert new.evidence is None and target(old) is None and worse(new, old) is None
    assert new.review_from <= old.review_from and new.reject_from >= old.reject_from


def test_what_was_asked_is_asked_again():
    assert target(inspection_bands(a_share(1), TARGET)) == TARGET
    sorter = target(sorting_bands(a_share(1), TARGET))
    assert (sorter.escapes, sorter.confidence) == (0.2, 0.8)

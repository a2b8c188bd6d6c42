"""Bands of a sorter: the walk over the grid, parts as the unit, and the promise itself."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.tune.calibrate import Judged, Target
from visiontune.tune.sorting import GRID, WRONG, sorting_bands

TARGET = Target(escapes=0.1, overkill=0.1, confidence=0.9)


def tail(misses, n, rate):
    """P(X <= misses), term by term."""
    return sum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(misses + 1))


def sorter(severity, wrong):
    severity = np.array(severity, np.float32)
    kinds = np.stack([1 - severity, severity], axis=1)  # kind 0 is named while severity < 0.5
    named = kinds.argmax(axis=1)
    labels = np.where(wrong, 1 - named, named)
    return Judged(severity=severity, kinds=kinds, labels=labels, groups=[str(i) for i in range(len(labels))])


def test_a_sorter_passes_up_to_where_wrong_kinds_become_too_many():
    severity = np.linspace(0.01, 0.49, 200)
    wrong = np.arange(200) >= 150
    bands = sorting_bands(sorter(severity, wrong), TARGET)
    passed = severity < bands.review_from
    assert 150 <= passed.sum() < 175
    assert tail(int(wrong[passed].sum()), int(passed.sum()), 0.1) <= 0.1
    assert bands.decide(0.99) == "review"  # a sorter rejects nothing


def test_a_sorter_without_enough_pictures_says_so():
    target = Target(escapes=0.01, overkill=0.05, confidence=0.95)
    bands = sorting_bands(sorter([0.1, 0.2, 0.3], np.array([False, False, True])), target)
    assert bands.decide(0.2) == "pass" and bands.decide(0.3) == "review"
    assert bands.evidence["wrong kind among passed"]["missing_parts"] == 297  # 299 without a mistake


def test_a_part_is_passed_once_and_wrongly_if_any_picture_is():
    severity = np.tile(np.float32([0.1, 0.2]), 60)
    wrong = np.tile([False, True], 60)
    groups = [f"part {i // 2}" for i in range(120)]
    found = Judged(**{**vars(sorter(severity, wrong)), "groups": groups})
    bands = sorting_bands(found, TARGET)
    assert 0.1 < bands.review_from < 0.2
    assert bands.evidence[WRONG]["parts"] == 60 and bands.evidence[WRONG]["misses"] == 0
    # as pictures, 120 of which half are wrong, nothing could pass at 0.2 either; as parts all 60 would be wrong
    assert bands.decide(0.2) == "review"


def slow_walks(judged, target):
    """The loosest certified threshold, walk by walk, threshold by threshold, part by part."""
    parts = sorted(set(judged.groups))
    wrong = judged.kinds.argmax(axis=1) != judged.labels
    by_part = {name: [i for i, group in enumerate(judged.groups) if group == name] for name in parts}

    def outcome(edge):
        below = judged.severity < np.float32(edge)
        passed = [name for name in parts if any(below[i] for i in by_part[name])]
        return len(passed), sum(any(below[i] and wrong[i] for i in by_part[name]) for name in passed)

    alone = next(n for n in itertools.count(1) if (1 - target.escapes) ** n <= 1 - target.confidence)
    walks = 1
    while alone * 2**walks <= len(parts):
        walks += 1
    doubt = (1 - target.confidence) / walks
    smallest = next(n for n in itertools.count(1) if (1 - target.escapes) ** n <= doubt)
    certified = []
    for walk in range(walks):
        for edge in GRID:
            passed, mistakes = outcome(edge)
            if passed < smallest * 2**walk:
                continue
            if tail(mistakes, passed, target.escapes) > doubt:
                break
            certified.append(edge)
    return max(certified, default=None)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([60, 150, 260]), st.sampled_from([1, 2]))
def test_the_walks_end_where_a_slow_reading_of_the_rule_ends(seed, n, exposures):
    rng = np.random.default_rng(seed)
    severity = rng.uniform(0, 0.49, n).astype(np.float32)
    wrong = rng.uniform(size=n) < severity * rng.uniform(0.05, 0.8)
    found = Judged(**{**vars(sorter(severity, wrong)), "groups": [str(i // exposures) for i in range(n)]})
    expected = slow_walks(found, TARGET)
    bands = sorting_bands(found, TARGET)
    entry = bands.evidence[WRONG]
    if expected is None:
        assert entry["certified"] > TARGET.escapes and entry["missing_parts"] > 0
        assert entry["misses"] == 0
    else:
        assert entry["certified"] == TARGET.escapes
        assert np.array_equal(severity < np.float32(bands.review_from), severity < np.float32(expected))


def test_one_early_mistake_does_not_end_everything():
    severity = np.linspace(0.01, 0.49, 400)
    wrong = np.arange(400) == 5
    bands = sorting_bands(sorter(severity, wrong), TARGET)
    assert (severity < bands.review_from).all()


@pytest.mark.slow
@pytest.mark.parametrize(("parts", "exposures", "rate"), [(60, 1, 0.1), (200, 1, 0.05), (80, 3, 0.1)])
def test_wrong_kinds_among_passed_parts_break_the_promise_no_more_often_than_confidence_allows(
    parts, exposures, rate
):
    """A sorter that is wrong with probability severity^3; exposures of a part share most of their severity."""
    target = Target(escapes=rate, overkill=0.5, confidence=0.9)
    rng = np.random.default_rng(parts)
    broken = certified = 0
    draws = 1500

    def drawn(count):
        base = rng.uniform(0, 1, count)[:, None]
        severity = np.clip(base + rng.uniform(-0.1, 0.1, (count, exposures)) * (exposures > 1), 0, 0.99)
        wrong = rng.uniform(size=(count, 1)) < severity**3
        return severity.astype(np.float32), np.broadcast_to(wrong, severity.shape)

    many, many_wrong = drawn(200_000)
    for _ in range(draws):
        severity, wrong = drawn(parts)
        found = Judged(
            severity=severity.ravel(),
            kinds=np.tile(np.float32([0.9, 0.1]), (severity.size, 1)),
            labels=wrong.ravel().astype(np.int64),
            groups=np.repeat(np.arange(parts), exposures).astype(str).tolist(),
        )
        bands = sorting_bands(found, target)
        if bands.evidence[WRONG]["certified"] > rate:
            continue
        certified += 1
        passed = (many < np.float32(bands.review_from)).any(axis=1)
        wrongly = (many_wrong & (many < np.float32(bands.review_from))).any(axis=1)
        broken += wrongly.sum() > rate * passed.sum()
    assert certified > 0.3 * draws
    assert broken / draws <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / draws)

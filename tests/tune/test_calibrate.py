"""Bands against slow plain oracles, published tables and the promise itself."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.runtime.errors import CalibrationRefused
from visiontune.tune.calibrate import (
    Judged,
    Target,
    allowed_misses,
    certifiable,
    fit_temperature,
    inspection_bands,
    needed,
    sentence,
    sorting_bands,
)

TARGET = Target(escapes=0.1, overkill=0.1, confidence=0.9)


def judged(good, bad, groups=None):
    severity = np.array([*good, *bad], np.float32)
    kinds = np.stack([1 - severity, severity], axis=1)
    labels = np.array([0] * len(good) + [1] * len(bad))
    return Judged(
        severity=severity, kinds=kinds, labels=labels, groups=groups or [str(i) for i in range(len(labels))]
    )


def tail(misses, n, rate):
    """P(X <= misses), term by term."""
    return sum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(misses + 1))


@given(st.integers(1, 60), st.sampled_from([0.01, 0.05, 0.1, 0.3]), st.sampled_from([0.8, 0.9, 0.95]))
def test_allowed_misses_is_the_largest_that_the_exact_test_admits(n, rate, confidence):
    admitted = [k for k in range(n + 1) if tail(k, n, rate) <= 1 - confidence]
    assert allowed_misses(n, rate, confidence) == max(admitted, default=-1)


@pytest.mark.parametrize(
    ("misses", "parts"), [(0, (59, 149, 299, 598)), (1, (93, 236, 473, 947)), (2, (124, 313, 628, 1258))]
)
def test_the_published_table_of_parts_needed(misses, parts):
    for rate, n in zip((0.05, 0.02, 0.01, 0.005), parts, strict=True):
        assert allowed_misses(n, rate, 0.95) == misses
        assert allowed_misses(n - 1, rate, 0.95) == misses - 1
        assert certifiable(n, misses, 0.95) <= rate < certifiable(n - 1, misses, 0.95)
        if misses == 0:
            assert needed(rate, 0.95) == n


def test_a_temperature_recovers_a_known_scale():
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (4000, 3))
    labels = np.array([rng.choice(3, p=np.exp(row) / np.exp(row).sum()) for row in honest])
    for scale in (0.5, 1.0, 4.0):
        found = fit_temperature(honest * scale, labels, np.ones(len(labels)))
        assert found == pytest.approx(scale, rel=0.08)


def test_a_temperature_of_a_network_that_says_nothing_is_one():
    assert fit_temperature(np.zeros((5, 3)), np.zeros(5, np.int64), np.ones(5)) == 1.0


def test_separable_parts_need_no_review():
    bands = inspection_bands(judged(np.linspace(0, 0.2, 40), np.linspace(0.8, 1, 40)), TARGET)
    # one miss is allowed on each side: the edges lie just inside the two crowds
    assert bands.decide(0.15) == "pass"
    assert bands.decide(0.95) == "reject"


severities = st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40)


@settings(max_examples=200)
@given(severities, severities)
def test_on_val_itself_no_more_pass_or_are_rejected_than_is_certified(good, bad):
    bands = inspection_bands(judged(good, bad), TARGET)
    escaped = sum(bands.decide(value) == "pass" for value in np.float32(bad))
    rejected = sum(bands.decide(value) == "reject" for value in np.float32(good))
    assert escaped <= max(0, allowed_misses(len(bad), TARGET.escapes, TARGET.confidence))
    assert rejected <= max(0, allowed_misses(len(good), TARGET.overkill, TARGET.confidence))


@settings(max_examples=200)
@given(severities, severities)
def test_no_severity_of_val_lies_within_rounding_of_a_threshold(good, bad):
    bands = inspection_bands(judged(good, bad), TARGET)
    for value in np.float32([*good, *bad]):
        for edge in (bands.review_from, bands.reject_from):
            assert abs(float(value) - edge) > 1e-6 * float(value) or value == 0


def test_a_part_escapes_if_any_of_its_exposures_would():
    # every part has one exposure that looks good: as parts, no severity is high
    bad = [0.9, 0.1] * 30
    groups = [f"good {i}" for i in range(30)] + [f"bad {i // 2}" for i in range(60)]
    bands = inspection_bands(judged([0.05] * 30, bad, groups), TARGET)
    assert bands.decide(0.1) != "pass"
    assert bands.evidence["escapes"]["parts"] == 30


def test_too_few_parts_are_told_what_they_certify_and_what_is_missing():
    target = Target(escapes=0.01, overkill=0.05, confidence=0.95)
    bands = inspection_bands(judged(np.linspace(0, 0.3, 200), np.linspace(0.5, 1, 120)), target)
    found = bands.evidence["escapes"]
    assert (found["parts"], found["misses"], found["missing_parts"]) == (120, 0, 179)
    assert found["certified"] == pytest.approx(0.0247, abs=1e-4)
    assert "179 more parts" in sentence(bands.evidence)[0]


def test_one_sided_shares_are_refused():
    with pytest.raises(CalibrationRefused, match="no defective part"):
        inspection_bands(judged([0.1, 0.2], []), TARGET)


@pytest.mark.parametrize("name", ["escapes", "overkill", "confidence"])
def test_rates_outside_zero_to_one_are_refused(name):
    asked = {"escapes": 0.01, "overkill": 0.05, "confidence": 0.95, name: 1.0}
    with pytest.raises(CalibrationRefused, match=name):
        Target(**asked)


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
    assert bands.evidence["wrong kind among passed"]["missing_parts"] == 297


@pytest.mark.slow
def test_the_certified_escape_rate_is_broken_in_no_more_draws_than_confidence_allows():
    rng = np.random.default_rng(1)
    target = Target(escapes=0.1, overkill=0.1, confidence=0.9)
    broken = 0
    draws = 2000
    for _ in range(draws):
        bad, good = rng.beta(4, 2, 60), rng.beta(2, 4, 60)
        bands = inspection_bands(judged(good, bad), target)
        if bands.evidence["escapes"]["certified"] > target.escapes:
            continue
        # true escape rate at the threshold: Beta(4, 2) has the distribution function 5 t^4 - 4 t^5
        edge = min(bands.review_from, 1.0)
        broken += 5 * edge**4 - 4 * edge**5 > target.escapes
    assert broken / draws <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / draws)
    assert broken / draws > 0.01  # and the bound is not idle: a threshold far too low would never break it


def test_every_edge_case_of_thresholds_keeps_their_order():
    for good, bad in itertools.product(([0.0], [1.0], [0.0, 1.0]), repeat=2):
        bands = inspection_bands(judged(good, bad), TARGET)
        assert 0 <= bands.review_from <= bands.reject_from

"""Bands against slow plain oracles, published tables and the promise itself."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.runtime.errors import CalibrationRefused
from visiontune.tune.calibrate import Judged, Target, fit_temperature, inspection_bands
from visiontune.tune.promise import allowed_misses, sentence

TARGET = Target(escapes=0.1, overkill=0.1, confidence=0.9)


def judged(good, bad, groups=None):
    severity = np.array([*good, *bad], np.float32)
    kinds = np.stack([1 - severity, severity], axis=1)
    labels = np.array([0] * len(good) + [1] * len(bad))
    return Judged(
        severity=severity, kinds=kinds, labels=labels, groups=groups or [str(i) for i in range(len(labels))]
    )


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


def drawn(rng, parts, exposures, a, b, shared=0.7):
    """Severities (parts, exposures): exposures of a part share most of what they are."""
    base = rng.beta(a, b, (parts, 1))
    each = rng.beta(a, b, (parts, exposures))
    return (base if exposures == 1 else shared * base + (1 - shared) * each).astype(np.float32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "exposures", "rate", "confidence"),
    [(60, 1, 0.1, 0.9), (60, 1, 0.05, 0.95), (200, 1, 0.02, 0.95), (120, 3, 0.05, 0.95), (29, 6, 0.2, 0.9)],
)
def test_the_certified_rates_are_broken_in_no_more_draws_than_confidence_allows(
    n, exposures, rate, confidence
):
    rng = np.random.default_rng(n)
    target = Target(escapes=rate, overkill=rate, confidence=confidence)
    draws, broken = 1200, {"escapes": 0, "overkill": 0}
    many_bad = np.sort(drawn(rng, 400_000, exposures, 4, 2).min(axis=1))
    many_good = np.sort(drawn(rng, 400_000, exposures, 2, 4).max(axis=1))
    allowed, looser = allowed_misses(n, rate, confidence), 0
    for _ in range(draws):
        bad, good = drawn(rng, n, exposures, 4, 2), drawn(rng, n, exposures, 2, 4)
        groups = np.repeat(np.arange(2 * n), exposures).astype(str).tolist()
        bands = inspection_bands(judged(good.ravel(), bad.ravel(), groups), target)
        escaped = np.searchsorted(many_bad, np.float32(bands.review_from)) / len(many_bad)
        rejected = 1 - np.searchsorted(many_good, np.float32(bands.reject_from)) / len(many_good)
        for name, true in (("escapes", escaped), ("overkill", rejected)):
            if bands.evidence[name]["certified"] <= rate:
                broken[name] += true > rate
        next_best = np.sort(bad.min(axis=1))[allowed + 1]
        looser += np.searchsorted(many_bad, next_best) / len(many_bad) > rate
    for name, count in broken.items():
        assert count / draws <= 1 - confidence + 3 * math.sqrt(confidence * (1 - confidence) / draws), name
    # power: with one more miss allowed, the promise would be broken more often than it may be
    assert looser / draws > 1 - confidence - 3 * math.sqrt(confidence * (1 - confidence) / draws)
    assert looser > broken["escapes"]


def test_each_kind_of_defect_is_told_by_itself_the_least_certified_first():
    severity = np.float32([*np.linspace(0, 0.3, 50), *np.linspace(0.5, 1, 60), *np.linspace(0.6, 1, 12)])
    labels = np.array([0] * 50 + [1] * 60 + [2] * 12)
    found = Judged(
        severity=severity,
        kinds=np.stack([1 - severity, severity, 0 * severity], axis=1),
        labels=labels,
        groups=[str(i) for i in range(len(labels))],
        classes=("free", "crack", "blowhole"),
    )
    evidence = inspection_bands(found, Target(escapes=0.05, overkill=0.1, confidence=0.95)).evidence
    assert list(evidence["kinds"]) == ["blowhole", "crack"]
    blowhole = evidence["kinds"]["blowhole"]
    # no miss in 12: the bound of any threshold, 1 - (0.05 / 2)^(1 / 12)
    assert (blowhole["parts"], blowhole["misses"]) == (12, 0)
    assert blowhole["certified"] == pytest.approx(1 - 0.025 ** (1 / 12), rel=1e-6)
    assert evidence["kinds"]["crack"]["parts"] == 60
    lines = sentence(evidence)
    assert any(line.startswith("  blowhole: 0 of 12 parts certify at most 27 %") for line in lines)
    certified = 1 - 0.025 ** (1 / (12 + blowhole["missing_parts"]))
    assert certified <= 0.05 < 1 - 0.025 ** (1 / (11 + blowhole["missing_parts"]))


@pytest.mark.slow
def test_the_bound_of_a_kind_holds_though_the_threshold_was_set_on_all_kinds():
    rng = np.random.default_rng(0)
    target = Target(escapes=0.1, overkill=0.1, confidence=0.9)
    draws, broken = 1500, 0
    for _ in range(draws):
        easy, hard, good = rng.beta(6, 2, 60), rng.beta(2, 2, 15), rng.beta(2, 6, 40)
        severity = np.float32([*good, *easy, *hard])
        labels = np.repeat([0, 1, 2], [40, 60, 15])
        groups = [str(i) for i in range(115)]
        kinds = np.stack([1 - severity, severity, 0 * severity], axis=1)
        names = ("good", "easy", "hard")
        bands = inspection_bands(
            Judged(severity=severity, kinds=kinds, labels=labels, groups=groups, classes=names), target
        )
        edge = min(bands.review_from, 1.0)
        true = 3 * edge**2 - 2 * edge**3  # Beta(2, 2)
        broken += true > bands.evidence["kinds"]["hard"]["certified"]
    assert broken / draws <= 0.1 + 3 * math.sqrt(0.09 / draws)


def test_every_edge_case_of_thresholds_keeps_their_order():
    for good, bad in itertools.product(([0.0], [1.0], [0.0, 1.0]), repeat=2):
        bands = inspection_bands(judged(good, bad), TARGET)
        assert 0 <= bands.review_from <= bands.reject_from

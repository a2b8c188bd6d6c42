"""Calibration error against a slow oracle, and the temperature undone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.runtime.reliability import calibration, calibration_error


def slow(sure, right, bins, weights):
    """One picture after the other; ties share their weighted mean."""
    rows = sorted(zip(sure, right, weights, strict=True), key=lambda row: row[0])
    whole, seen, sums = sum(weights), 0.0, {}
    for confidence, _, weight in rows:
        tied = [row for row in rows if row[0] == confidence]
        accuracy = sum(row[1] * row[2] for row in tied) / sum(row[2] for row in tied)
        at = min(int((seen + weight / 2) / whole * bins), bins - 1)
        seen += weight
        sums[at] = sums.get(at, 0.0) + weight * (accuracy - confidence)
    return sum(abs(gap) for gap in sums.values()) / whole


pictures = st.lists(
    st.tuples(st.integers(1, 16).map(lambda i: i / 16), st.booleans(), st.integers(1, 3)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None)
@given(pictures, st.integers(1, 15))
def test_the_error_is_that_of_a_slow_oracle(rows, bins):
    sure, right, weights = (np.array(column) for column in zip(*rows, strict=True))
    if len(rows) < bins:
        bins = len(rows)
    found = calibration_error(sure, right, bins=bins, weights=weights.astype(float))
    assert found == pytest.approx(slow(sure, right, bins, weights), abs=1e-12)
    unweighted = calibration_error(sure, right, bins=bins)
    assert unweighted == pytest.approx(slow(sure, right, bins, np.ones(len(rows))), abs=1e-12)


def test_one_bin_is_the_gap_between_confidence_and_accuracy():
    assert calibration_error(np.array([0.9, 0.8]), np.array([True, False]), bins=1) == pytest.approx(0.35)


@given(st.randoms())
def test_the_order_of_the_pictures_says_nothing(random):
    rng = np.random.default_rng(random.randrange(2**32))
    sure = rng.choice([0.5, 0.9, 1.0], 60)
    right = rng.random(60) < sure
    order = rng.permutation(60)
    assert calibration_error(sure, right) == pytest.approx(
        calibration_error(sure[order], right[order]), abs=1e-12
    )


def test_the_temperature_is_undone():
    rng = np.random.default_rng(0)
    honest = rng.normal(0, 2, (3000, 4))
    chances = np.exp(honest) / np.exp(honest).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(4, p=row) for row in chances])
    boasting = honest * 3  # what a network that is too sure says; temperature 3 mends it
    before = np.exp(boasting - boasting.max(axis=1, keepdims=True))
    before /= before.sum(axis=1, keepdims=True)
    found = calibration(chances, truth, 3.0)
    right = before.argmax(axis=1) == truth
    assert found.ece_before == pytest.approx(calibration_error(before.max(axis=1), right), abs=1e-9)
    assert found.ece_before > 0.15
    assert found.ece_after < 2 * found.ece_by_chance < 0.06
    assert (found.temperature, found.bins) == (3.0, 15)


def test_few_pictures_show_an_error_by_chance():
    kinds = np.tile([0.7, 0.3], (5, 1))
    found = calibration(kinds, np.array([0, 0, 0, 1, 1]), 1.0)
    assert found.ece_after == pytest.approx(0.1)
    assert found.ece_before == pytest.approx(found.ece_after)
    assert found.bins == 5
    assert 0.1 < found.ece_by_chance < 0.3

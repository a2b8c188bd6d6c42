"""The gate: it opens for a gain beyond the noise of the split, and only then."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.tune.gate import gained


def singles(n):
    return [str(index) for index in range(n)]


def test_a_clear_gain_is_kept_and_a_loss_is_not():
    rng = np.random.default_rng(0)
    before = rng.gamma(1, 1, 200)
    after = before * 0.7
    assert gained(before, after, singles(200)).kept
    assert not gained(after, before, singles(200)).kept
    assert gained(before, after, singles(200)).mean == pytest.approx((before - after).mean())


def test_no_change_is_no_gain():
    losses = np.random.default_rng(0).gamma(1, 1, 50)
    assert not gained(losses, losses, singles(50)).kept


def test_noise_opens_the_gate_no_more_often_than_confidence_allows():
    rng = np.random.default_rng(1)
    kept = sum(
        gained(rng.normal(0, 1, 80), np.zeros(80), singles(80), confidence=0.9, seed=draw).kept
        for draw in range(400)
    )
    assert 0.04 < kept / 400 < 0.17  # a tenth, and the bootstrap's small-sample error


def test_exposures_of_one_part_count_as_one():
    # 8 parts with 50 exposures each: as pictures the gain is certain, as parts it is not
    rng = np.random.default_rng(2)
    part = rng.normal(0.1, 1.0, 8)
    fall = np.repeat(part - part.mean() + 0.05, 50)
    groups = [str(index // 50) for index in range(400)]
    assert (
        gained(fall, np.zeros(400), singles(400), confidence=0.9).low
        > gained(fall, np.zeros(400), groups, confidence=0.9).low
    )
    assert not gained(fall, np.zeros(400), groups, confidence=0.9).kept


def test_one_group_tells_nothing():
    assert not gained(np.ones(9), np.zeros(9), ["a"] * 9).kept


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=30), st.integers(0, 5))
def test_the_lower_bound_lies_between_the_extremes_and_is_repeatable(falls, seed):
    found = gained(np.array(falls), np.zeros(len(falls)), singles(len(falls)), seed=seed)
    assert min(falls) - 1e-9 <= found.low <= max(falls) + 1e-9
    assert found == gained(np.array(falls), np.zeros(len(falls)), singles(len(falls)), seed=seed)

"""Bins of scores: in order, fine at both ends, nothing clamped."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.runtime.score_bins import BINS, DIGITS, bins

scores = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.floats(0, 1, width=32)


@given(st.lists(scores, min_size=1, max_size=30))
def test_a_higher_score_never_has_a_lower_bin(values):
    ascending = np.sort(np.array(values, np.float32))
    found = bins(ascending)
    assert (np.diff(found) >= 0).all() and found.min() >= 0 and found.max() < BINS


@given(scores, scores)
def test_scores_of_one_bin_are_as_close_as_promised(one, two):
    if bins(one) == bins(two):
        near = min(abs(one), abs(two)), min(abs(one - 1), abs(two - 1))
        least = np.finfo(np.float32).tiny  # below it floats have no digits to spare
        assert abs(one - two) <= max(min(near) * 2.0**-DIGITS, least) * (1 + 1e-6)


def test_what_a_sure_network_says_is_told_apart():
    sure = 1 - np.float32(2.0) ** -np.arange(1, 24, dtype=np.float32)
    assert len(set(bins(np.concatenate([sure, 1 - sure, [0, 1]])).tolist())) == 2 * len(sure) + 1


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 1.001), (1.0, np.nextafter(np.float32(1), np.float32(2))), (-0.001, 0.0), (2, 3)]
)
def test_nothing_is_clamped(low, high):
    assert bins(low) < bins(high)


def test_zero_has_one_bin():
    assert bins(np.float32(-0.0)) == bins(np.float32(0))

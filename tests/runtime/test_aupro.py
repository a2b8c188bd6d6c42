"""AUPRO: against a slow loop over thresholds, by hand, and never above 1."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.runtime.aupro import aupro

curves = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 50)), min_size=1, max_size=15)


def slow(covered, unmarked, limit):
    """Every threshold in turn, then the area under straight lines, a thousandth of a step at a time."""
    points = [(0.0, 0.0)]
    for threshold in reversed(range(len(covered))):
        points.append((unmarked[threshold:].sum() / unmarked.sum(), covered[threshold:].sum()))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        steps = np.linspace(0, 1, 1001)
        x, y = x0 + (x1 - x0) * steps, y0 + (y1 - y0) * steps
        middle, wide = (x[1:] + x[:-1]) / 2, np.diff(x)
        area += (((y[1:] + y[:-1]) / 2)[middle < limit] * wide[middle < limit]).sum()
    return area / limit


@given(curves, st.sampled_from([0.05, 0.3, 1.0]))
def test_that_of_a_slow_loop(rows, limit):
    covered, unmarked = (np.array(column, float) for column in zip(*rows, strict=True))
    if not covered.sum() or not unmarked.sum():
        assert aupro(covered, unmarked, limit) is None
        return
    covered /= covered.sum()
    found = aupro(covered, unmarked, limit)
    assert 0 <= found <= 1
    assert found == pytest.approx(slow(covered, unmarked, limit), abs=1e-3 / limit)


def test_by_hand():
    # 60 % of the mean defect before any false pixel, all of it at a tenth of them; 90 % of the pixels score lowest.
    covered, unmarked = np.array([0, 0.4, 0.6]), np.array([90, 10.0, 0])
    assert aupro(covered, unmarked) == pytest.approx((0.1 * 0.8 + 0.2 * 1) / 0.3)


@pytest.mark.parametrize("limit", [0.3, 0.05, 1])
def test_a_perfect_map_has_one_and_a_constant_map_half_the_limit(limit):
    assert aupro(np.array([0, 1.0]), np.array([7.0, 0]), limit) == 1
    assert aupro(np.array([1.0]), np.array([7.0]), limit) == pytest.approx(limit / 2)
    assert aupro(np.array([1.0, 0]), np.array([0, 7.0]), limit) == 0

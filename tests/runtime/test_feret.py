"""Length: against the distance of every corner of every cell to every other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from visiontune.runtime.connected import connected
from visiontune.runtime.feret import longest, outline


def slow(warm, across, down):
    corners = [
        (x * across, y * down)
        for row, column in np.argwhere(warm).tolist()
        for y in (row, row + 1)
        for x in (column, column + 1)
    ]
    return max(math.dist(one, two) for one in corners for two in corners)


@given(
    arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)),
    st.floats(0.01, 100),
    st.floats(0.01, 100),
)
def test_the_largest_distance_of_all(warm, across, down):
    runs = connected(warm)
    for index, own in enumerate(runs.of(np.arange(runs.count))):
        only = np.zeros_like(warm)
        for run in own:
            only[runs.rows[run], runs.starts[run] : runs.ends[run]] = True
        corners = outline(runs.rows[own], runs.starts[own], runs.ends[own])
        assert longest(corners, across, down) == pytest.approx(slow(only, across, down), rel=1e-12), index


def test_a_scratch_is_as_long_as_its_diagonal():
    runs = connected(np.eye(30, dtype=np.bool_))
    assert runs.count == 1
    assert longest(outline(runs.rows, runs.starts, runs.ends), 1, 1) == pytest.approx(30 * math.sqrt(2))


def test_a_disc_is_as_long_as_it_is_wide():
    y, x = np.indices((101, 101)) - 50
    runs = connected(np.hypot(y, x) <= 50)
    corners = outline(runs.rows, runs.starts, runs.ends)
    assert longest(corners, 1, 1) == pytest.approx(101, abs=0.5)
    assert len(corners) < 120

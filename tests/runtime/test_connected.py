"""Connected sets: against scipy's labels and a slow flood fill."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from visiontune.runtime.connected import connected


def painted(runs, shape):
    """The runs as a map of set numbers, -1 where there is none."""
    labels = np.full(shape, -1)
    for row, start, end, owner in zip(runs.rows, runs.starts, runs.ends, runs.owner, strict=True):
        assert (labels[row, start:end] == -1).all() and start < end
        labels[row, start:end] = owner
    return labels


def same_as_scipy(warm):
    runs = connected(warm)
    expected, count = ndimage.label(warm, np.ones((3, 3)))
    assert runs.count == count
    assert np.array_equal(painted(runs, warm.shape), expected - 1)  # both number sets by their first cell
    assert np.array_equal(runs.cells(), np.bincount(expected.ravel(), minlength=count + 1)[1:])
    boxes = [[c.start, r.start, c.stop, r.stop] for r, c in ndimage.find_objects(expected)]
    assert runs.boxes().tolist() == boxes
    assert sorted(i for some in runs.of(np.arange(count)) for i in some) == list(range(len(runs.rows)))
    assert all((runs.owner[some] == index).all() for index, some in enumerate(runs.of(np.arange(count))))


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_the_sets_of_scipy(warm):
    same_as_scipy(warm)


@given(st.integers(0, 2**32 - 1), st.integers(1, 120), st.integers(1, 120), st.floats(0, 1))
def test_the_sets_of_scipy_on_busy_maps(seed, height, width, share):
    same_as_scipy(np.random.default_rng(seed).random((height, width)) < share)


def test_a_long_spiral_is_one_set():
    warm = np.zeros((81, 81), np.bool_)
    for ring in range(0, 40, 2):
        warm[ring, ring : 81 - ring] = warm[80 - ring, ring : 81 - ring] = True
        warm[ring : 81 - ring, 80 - ring] = warm[ring + 2 : 81 - ring, ring] = True
        warm[ring + 2, ring : ring + 2] = True
    same_as_scipy(warm)
    assert connected(warm).count == 1


def test_nothing_and_everything():
    assert connected(np.zeros((3, 4), np.bool_)).count == 0
    assert connected(np.ones((3, 4), np.bool_)).boxes().tolist() == [[0, 0, 4, 3]]
    assert connected(np.ones((0, 4), np.bool_)).count == 0

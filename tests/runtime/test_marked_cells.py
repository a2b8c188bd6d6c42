"""Masks over heatmaps: against a grid so fine that cells and pixels are whole numbers of its squares."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from visiontune.runtime.marked_cells import defects


def stretched(array, shape):
    """Every value repeated until the array has this shape, a multiple of its own."""
    return np.kron(array, np.ones([big // own for big, own in zip(shape, array.shape, strict=True)]))


def slow(mask, cells, frame, span):
    """The share of every defect in every cell, (defects, h, w), by counting squares."""
    fine = [math.lcm(m, f) for m, f in zip(mask.shape, frame, strict=True)]
    x0, y0, x1, y1 = span
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    labels = stretched(labels, fine)
    up, over = fine[0] // frame[0], fine[1] // frame[1]
    inside = labels[y0 * up : y1 * up, x0 * over : x1 * over]
    inside = np.kron(inside, np.ones(cells))  # h times as tall, w times as wide: cells are whole
    tall, wide = inside.shape[0] // cells[0], inside.shape[1] // cells[1]
    square = (y1 - y0) * (x1 - x0) / inside.size
    return np.array(
        [
            (inside == number).reshape(cells[0], tall, cells[1], wide).sum(axis=(1, 3)) * square
            for number in range(1, count + 1)
        ]
    ).reshape(count, *cells)


sides = st.integers(1, 9)


@given(st.data(), sides, sides, sides, sides, sides, sides)
def test_every_pixel_goes_where_it_lies(data, height, width, tall, wide, h, w):
    seed = data.draw(st.integers(0, 2**16))
    mask = np.random.default_rng(seed).random((height, width)) < data.draw(st.floats(0, 1))
    x0, y0 = data.draw(st.integers(0, wide - 1)), data.draw(st.integers(0, tall - 1))
    span = x0, y0, data.draw(st.integers(x0 + 1, wide)), data.draw(st.integers(y0 + 1, tall))
    found = defects(mask, cells=(h, w), frame=(tall, wide), span=span)
    expected = slow(mask, (h, w), (tall, wide), span)
    assert len(found) == len(expected)
    for one, truth in zip(found, expected, strict=True):
        spread = np.zeros((h, w))
        spread[one.rows, one.columns] = one.areas
        assert spread == pytest.approx(truth, abs=1e-9)
        assert one.inside == pytest.approx(truth.sum(), abs=1e-9)


def test_a_speck_is_not_lost_in_a_coarse_map():
    mask = np.zeros((1000, 2000), np.bool_)
    mask[501, 1203] = True
    (speck,) = defects(mask, cells=(7, 9), frame=(1000, 2000), span=(0, 0, 2000, 1000))
    assert (speck.rows, speck.columns) == (slice(3, 4), slice(5, 6))
    assert speck.inside == pytest.approx(1)


def test_a_defect_outside_the_region_of_interest_covers_nothing():
    mask = np.zeros((10, 10), np.bool_)
    mask[0, 0] = mask[9, 9] = True
    found = defects(mask, cells=(2, 2), frame=(10, 10), span=(2, 2, 8, 8))
    assert [one.inside for one in found] == [0, 0]

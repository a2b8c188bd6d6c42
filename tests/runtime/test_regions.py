"""Regions: against a slow flood fill, and in pixels of the frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from visiontune.runtime.regions import blobs, regions, roi_pixels

maps = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, float("nan")]),
)


def flooded(heatmap, high, low):
    """The oracle: flood fill from every warm cell, one step at a time."""
    left = {(r, c) for r, c in np.ndindex(*heatmap.shape) if heatmap[r, c] >= low}
    found = []
    while left:
        todo, cells = [left.pop()], []
        while todo:
            row, column = todo.pop()
            cells.append((row, column))
            for r in (row - 1, row, row + 1):
                for c in (column - 1, column, column + 1):
                    if (r, c) in left:
                        left.remove((r, c))
                        todo.append((r, c))
        peak = max(float(heatmap[cell]) for cell in cells)
        if peak >= high:
            rows, columns = zip(*cells, strict=True)
            found.append((len(cells), peak, min(columns), min(rows), max(columns) + 1, max(rows) + 1))
    return sorted(found)


@given(maps)
def test_the_same_blobs_as_the_flood(heatmap):
    found = blobs(heatmap, high=0.75, low=0.5)
    assert sorted((b.cells, b.peak, b.x0, b.y0, b.x1, b.y1) for b in found) == flooded(heatmap, 0.75, 0.5)


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_the_same_blobs_as_the_flood_on_busy_maps(warm):
    heatmap = warm.astype(np.float32)
    found = blobs(heatmap, high=1, low=1)
    assert sorted((b.cells, b.peak, b.x0, b.y0, b.x1, b.y1) for b in found) == flooded(heatmap, 1, 1)


def test_a_spiral_is_one_region():
    heatmap = np.zeros((9, 9), np.float32)
    heatmap[0, :] = heatmap[:, 8] = heatmap[8, :] = heatmap[2:, 0] = heatmap[2, :7] = heatmap[2:7, 6] = 1
    heatmap[4, 2:5] = 0.4  # warm, beside nothing hot
    (only,) = blobs(heatmap, high=0.5, low=0.3)
    assert only.cells == int((heatmap == 1).sum())


def test_regions_are_in_pixels_of_the_frame_strongest_first():
    heatmap = np.zeros((4, 5), np.float32)
    heatmap[0, 0] = 0.6
    heatmap[2:4, 3] = 0.8, 0.4
    first, second = regions(heatmap, kind="crack", span=(10, 20, 60, 40))
    assert (first.kind, first.box, first.area) == ("crack", (40, 30, 50, 40), 100)
    assert first.score == pytest.approx(0.8)
    assert (second.box, second.area) == ((10, 20, 20, 25), 50)


def test_nothing_hot_gives_nothing():
    assert regions(np.full((3, 3), 0.49, np.float32), kind="crack", span=(0, 0, 9, 9)) == ()


def test_thresholds_out_of_order_are_refused():
    with pytest.raises(ValueError, match="low <= high"):
        blobs(np.zeros((2, 2), np.float32), high=0.2, low=0.3)


@pytest.mark.parametrize(
    ("roi", "expected"),
    [
        (None, (0, 0, 99, 51)),
        ((0.0, 0.0, 1.0, 1.0), (0, 0, 99, 51)),
        ((0.25, 0.5, 0.75, 1.0), (24, 25, 74, 51)),
    ],
)
def test_roi_in_whole_pixels(roi, expected):
    assert roi_pixels(51, 99, roi) == expected

"""Regions: against a slow flood fill, and in pixels of the frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from visiontune.runtime.region_bands import RegionBands
from visiontune.runtime.regions import likeliest_defect, peaks, regions, roi_pixels, warm

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


def blobs(heatmap, high, low):
    """(cells, peak, box) of each region, in cells: a frame of one pixel a cell."""
    found = regions(
        heatmap, kind="a", span=(0, 0, *heatmap.shape[::-1]), bands=RegionBands(low=low, high=high)
    )
    return sorted((one.area, one.score, *one.box) for one in found)


@given(maps)
def test_the_same_regions_as_the_flood(heatmap):
    assert blobs(heatmap, 0.75, 0.5) == flooded(heatmap, 0.75, 0.5)


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_the_same_regions_as_the_flood_on_busy_maps(busy):
    heatmap = busy.astype(np.float32)
    assert blobs(heatmap, 1, 1) == flooded(heatmap, 1, 1)


@given(maps, st.sampled_from([0, 3, 4, 12, 90]))
def test_the_map_of_peaks_holds_the_regions(heatmap, least):
    """`peaks` says of every cell what `regions` says of the region around it."""
    bands, span = (
        RegionBands(low=0.5, high=0.75, min_area=least),
        (0, 0, 3 * heatmap.shape[1], heatmap.shape[0]),
    )
    spread, scores = peaks(heatmap, span=span, bands=bands)
    found = regions(heatmap, kind="a", span=span, bands=bands)
    assert sum(one.area for one in found) == 3 * np.count_nonzero(spread >= bands.high)
    assert all(one.area >= least for one in found)
    for one in found:
        x0, y0, x1, y1 = (round(side) for side in one.box)
        assert (spread[y0:y1, x0 // 3 : x1 // 3] == np.float32(one.score)).any()
    assert sorted(scores[scores >= bands.high].tolist()) == sorted(one.score for one in found)
    whole = warm(heatmap, 0.5)
    assert len(scores) == np.count_nonzero(3 * whole.cells >= least)
    assert np.count_nonzero(np.isfinite(spread)) == whole.cells[3 * whole.cells >= least].sum()


def test_a_spiral_is_one_region():
    heatmap = np.zeros((9, 9), np.float32)
    heatmap[0, :] = heatmap[:, 8] = heatmap[8, :] = heatmap[2:, 0] = heatmap[2, :7] = heatmap[2:7, 6] = 1
    heatmap[4, 2:5] = 0.4  # warm, beside nothing hot
    ((cells, *_),) = blobs(heatmap, 0.5, 0.3)
    assert cells == int((heatmap == 1).sum())


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


def test_small_regions_are_left_out_by_their_area_in_the_frame():
    heatmap = np.zeros((7, 9), np.float32)
    heatmap[0, 0] = heatmap[3, 3:6] = 1

    def areas(least):
        found = regions(heatmap, kind="a", span=(0, 0, 30, 10), bands=RegionBands(min_area=least))
        return [one.area for one in found]

    cell = 30 / 9 * 10 / 7
    assert areas(0) == [round(cell), round(3 * cell)]
    assert areas(cell) == [round(cell), round(3 * cell)]  # at least, however the product rounds
    assert areas(cell + 0.01) == areas(3 * cell) == [round(3 * cell)]
    assert areas(3 * cell + 0.01) == []


def test_lengths_and_sizes_on_the_part():
    heatmap = np.zeros((4, 4), np.float32)
    heatmap[1, 0:3] = 1
    (plain,) = regions(heatmap, kind="a", span=(0, 0, 40, 20))
    assert plain.length == pytest.approx(np.hypot(30, 5))
    assert (plain.area_mm2, plain.length_mm) == (None, None)
    (known,) = regions(heatmap, kind="a", span=(0, 0, 40, 20), bands=RegionBands(pixel_mm=(0.1, 0.5)))
    assert (known.area, known.length) == (plain.area, plain.length)
    assert known.area_mm2 == pytest.approx(3 * 2.5)
    assert known.length_mm == pytest.approx(np.hypot(3, 2.5))


sides = st.integers(1, 9)


@given(maps, sides, sides, st.integers(0, 50), st.integers(0, 50))
def test_regions_move_and_grow_with_the_span(heatmap, across, down, x0, y0):
    """The frame's pixels are the cells, stretched and moved: nothing else changes."""
    height, width = heatmap.shape
    bands = RegionBands(low=0.25, high=0.5, pixel_mm=(2 / across, 3 / down))
    cells = regions(heatmap, kind="a", span=(0, 0, width, height), bands=RegionBands(low=0.25, high=0.5))
    there = regions(heatmap, kind="a", span=(x0, y0, x0 + across * width, y0 + down * height), bands=bands)
    stretch = np.array([across, down, across, down])
    for cell, pixel in zip(cells, there, strict=True):
        assert pixel.box == pytest.approx((np.array(cell.box) * stretch + [x0, y0, x0, y0]).tolist())
        assert (pixel.area, pixel.score) == (cell.area * across * down, cell.score)
        assert pixel.area_mm2 == pytest.approx(cell.area * 6)
        x, y = pixel.box[2] - pixel.box[0], pixel.box[3] - pixel.box[1]
        assert max(x, y) <= pixel.length * (1 + 1e-12) and pixel.length <= np.hypot(x, y) * (1 + 1e-12)
        bounds = 2 / across * x, 3 / down * y
        assert max(bounds) * (1 - 1e-9) <= pixel.length_mm <= np.hypot(*bounds) * (1 + 1e-9)


def test_a_hot_place_is_named_by_the_likeliest_defect():
    assert likeliest_defect({"good": 0.9, "crack": 0.04, "dent": 0.06}, "good") == "dent"
    assert likeliest_defect({"a": 0.9, "b": 0.1}, None) == "a"
    assert likeliest_defect({"good": 1.0}, "good") == ""


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

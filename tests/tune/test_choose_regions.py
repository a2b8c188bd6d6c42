"""Bands of regions from masks: against every pair tried, and where there is nothing to choose by."""

import numpy as np
import pytest

from visiontune.data.masks import UNKNOWN
from visiontune.runtime.region_bands import RegionBands
from visiontune.runtime.regions import peaks
from visiontune.tune.choose_regions import LOWS, chosen_regions, quiet


def drawn(seed=0, n=24, cells=12, size=48):
    """Half good; the others with a blob whose mask is known. Heat has noise, and a warm rim around the defects."""
    rng = np.random.default_rng(seed)
    heat = rng.uniform(0, 0.35, (n, cells, cells)).astype(np.float32)
    masks = np.zeros((n, size, size), np.uint8)
    scale = size // cells
    for at in range(0, n, 2):
        y, x = rng.integers(1, cells - 4, 2)
        masks[at, y * scale : (y + 3) * scale, x * scale : (x + 3) * scale] = 1
        heat[at, y - 1 : y + 4, x - 1 : x + 4] += 0.2
        heat[at, y : y + 3, x : x + 3] = rng.uniform(0.55, 0.95, (3, 3))
    heat[1, 3, 3] = 0.6  # a false region, hotter than some cells of defects
    return heat, masks


def overlap(heat, masks, low, high):
    """Intersection over union, pixel by pixel, and the false regions of good pictures."""
    scale = masks.shape[1] // heat.shape[1]
    shared = either = false = 0
    for one, mask in zip(heat, masks, strict=True):
        bands = RegionBands(low=low, high=low)
        spread, scores = peaks(one, span=(0, 0, mask.shape[1], mask.shape[0]), bands=bands)
        hot = (spread >= high).repeat(scale, 0).repeat(scale, 1)
        shared, either = shared + (hot & (mask == 1)).sum(), either + (hot | (mask == 1)).sum()
        false += 0 if mask.any() else (scores >= high).sum()
    return shared / either, false


def test_no_pair_of_bands_overlaps_better_without_a_false_region():
    heat, masks = drawn()
    found = chosen_regions(heat, masks)
    iou, false = overlap(heat, masks, found.bands.low, found.bands.high)
    assert found.iou == pytest.approx(iou) and found.false == false == 0 and found.good == 12
    tried = [
        overlap(heat, masks, low, 0.601) for low in LOWS
    ]  # the false region is at 0.6, all noise is colder
    best = max(iou for iou, _ in tried)
    assert not any(false for _, false in tried)
    assert found.iou == pytest.approx(best)
    assert found.found.of == 12 and found.found.hits == 12 and found.bands.high > 0.6
    assert "12 of 12 defects, 0 false in 12 good pictures" in str(found)


def test_where_there_is_nothing_to_choose_by_the_usual_bands_stay():
    heat, masks = drawn()
    assert chosen_regions(heat, np.zeros_like(masks)) is None
    assert (
        chosen_regions(heat, np.where(masks.any((1, 2), keepdims=True), UNKNOWN, masks).astype(np.uint8))
        is None
    )
    assert chosen_regions(heat[::2], masks[::2]) is None  # nothing good
    assert chosen_regions(np.zeros_like(heat), masks) is None  # cold everywhere


@pytest.mark.parametrize("n", [1, 40, 250])
def test_good_pictures_alone_keep_regions_quiet(n):
    heat = np.random.default_rng(n).uniform(0, 0.9, (n, 5, 6)).astype(np.float32)
    bands = quiet(heat)
    shown = (heat.reshape(n, -1).max(axis=1) >= np.float32(bands.high)).sum()
    assert shown == n // 100 and 0.5 <= bands.high <= 1 and bands.low == pytest.approx(0.6 * bands.high)
    assert quiet(heat / 9) == RegionBands()  # never below the usual ones
    assert quiet(np.ones_like(heat)).high > 1  # nothing tells them apart: no region at all

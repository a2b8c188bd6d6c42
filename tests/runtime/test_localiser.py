"""Heatmaps against masks: every figure against a slow count on one fine grid, and the traps of such figures."""

import itertools
import math
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage
from sklearn.metrics import average_precision_score

from tests.line_models import CLASSES, a_card
from tests.runtime.test_aupimo import slow as slow_aupimo
from visiontune import BadFrame, BadModel, Verdict
from visiontune.runtime import aupimo as aupimo_file
from visiontune.runtime import binomial, poisson
from visiontune.runtime.aupro import aupro
from visiontune.runtime.card import InputSpec
from visiontune.runtime.localiser import Localiser
from visiontune.runtime.region_bands import RegionBands

EIGHT = np.ones((3, 3))
FRAME = (12, 24)
GRID = (24, 48)  # cells and pixels of all sizes below are whole squares of it


@dataclass
class Part:
    path: Path
    label: str | None
    mask: Path | None = None
    group: str = "a"


def verdict(heatmap, kind="crack"):
    kinds = {name: 0.7 if name == kind else 0.15 for name in CLASSES}
    return Verdict(
        "review", 0.5, kind, kinds, heatmap=None if heatmap is None else np.asarray(heatmap, np.float32)
    )


def saved(folder, mask, name):
    path = folder / f"{name}.png"
    Image.fromarray(np.asarray(mask, np.uint8) * 255).save(path)
    return path


def located(folder, pictures, frame=FRAME, card=None, confidence=0.95):
    """The figures for pictures of (label, mask or None, heatmap, named kind)."""
    localiser = Localiser(card or a_card())
    for index, (label, mask, heatmap, kind) in enumerate(pictures):
        path = None if mask is None else saved(folder, mask, index)
        localiser.add(Part(Path(f"{index}.png"), label, path), frame, verdict(heatmap, kind))
    return localiser.result(confidence)


def fine(array):
    return np.kron(array, np.ones([big // own for big, own in zip(GRID, array.shape, strict=True)]))


def counted(pictures, bands):
    """The oracle: everything drawn on the fine grid, a square a sample, threshold after threshold."""
    square = FRAME[0] * FRAME[1] / (GRID[0] * GRID[1])
    truth, scores, hottest, false, flagged = [], [], [], [], 0
    shares, both, either = [], {}, {}  # of each defect by score; pixels of each kind
    defective, good = [], []
    for label, mask, heatmap, kind in pictures:
        marked = fine(mask).astype(bool) if mask is not None else np.zeros(GRID, bool)
        drawn = fine(heatmap)
        truth.append(marked.ravel())
        scores.append(drawn.ravel())
        found, count = ndimage.label(drawn >= bands.low, EIGHT)
        regions = [found == i for i in range(1, count + 1)]
        regions = [one for one in regions if one.sum() * square >= bands.min_area]
        shown = [one for one in regions if drawn[one].max() >= bands.high]
        hot = np.logical_or.reduce([*shown, np.zeros(GRID, bool)])
        if label == "good":
            false += [drawn[one].max() for one in regions]
            flagged += bool(shown)
            good.append(drawn.ravel().tolist())
        else:
            defective.append(drawn[marked].tolist())
            defects, count = ndimage.label(marked, EIGHT)
            for i in range(1, count + 1):
                own = defects == i
                touching = [drawn[one].max() for one in regions if (one & own).any()]
                hottest.append(max(touching, default=-math.inf))
                shares.append(drawn[own])
        for name in CLASSES[1:]:
            here, named = marked & (label == name), hot & (kind == name)
            both[name] = both.get(name, 0) + (here & named).sum()
            either[name] = either.get(name, 0) + (here | named).sum()
    truth, scores = np.concatenate(truth), np.concatenate(scores)
    levels = sorted(set(scores.tolist()), reverse=True)
    points = [(0.0, 0.0)] + [
        ((scores[~truth] >= level).mean(), np.mean([(one >= level).mean() for one in shares]))
        for level in levels
    ]
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if x0 < 0.3:
            cut = min(x1, 0.3)
            at = y0 + (y1 - y0) * (cut - x0) / (x1 - x0) if x1 > x0 else y1
            area += (cut - x0) * (y0 + at) / 2
    return {
        "hits": sum(one >= bands.high for one in hottest),
        "defects": len(hottest),
        "alarms": sum(one >= bands.high for one in false),
        "flagged": flagged,
        "iou": {name: both[name] / either[name] for name in either if either[name]},
        "ap": average_precision_score(truth, scores),
        "aupro": area / 0.3,
        "defective": defective,
        "good": good,
    }


@st.composite
def sets(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pictures = [("crack", np.eye(12, 24) > 0, rng.integers(0, 33, (6, 8)) / 32, "crack")]
    for _ in range(draw(st.integers(0, 4))):
        label, kind = draw(st.sampled_from(CLASSES)), draw(st.sampled_from(CLASSES[1:]))
        heatmap = (
            rng.integers(0, 33, draw(st.sampled_from([(3, 4), (6, 8), (12, 24), (24, 48), (8, 6)]))) / 32
        )
        heatmap *= rng.random(heatmap.shape) < draw(st.sampled_from([0.2, 1]))
        mask = None
        if label != "good":
            shape = draw(st.sampled_from([(12, 24), (24, 48), (6, 12), (4, 8)]))
            mask = rng.random(shape) < draw(st.sampled_from([0.02, 0.2, 0.8]))
            mask[0, -1] = True
        pictures.append((label, mask, heatmap, kind))
    bands = RegionBands(
        low=0.4, high=draw(st.sampled_from([0.4, 0.8])), min_area=draw(st.sampled_from([0, 8, 20]))
    )
    return pictures, bands


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sets())
def test_every_figure_is_that_of_a_slow_count(tmp_path, given_set):
    pictures, bands = given_set
    found = located(tmp_path, pictures, card=a_card(regions=bands))
    expected = counted(pictures, bands)
    goods = len(expected["good"])
    assert (found.found.hits, found.found.of) == (expected["hits"], expected["defects"])
    assert (found.masked, found.good) == (len(pictures) - goods, goods)
    assert found.iou == pytest.approx(expected["iou"])
    assert found.pixel_ap == pytest.approx(expected["ap"])
    assert found.aupro == pytest.approx(expected["aupro"])
    assert 0 <= found.aupro <= 1 and 0 <= found.pixel_ap <= 1
    if not goods:
        assert found.false_regions is found.good_with_false is found.found_at is found.aupimo is None
        return
    assert (found.false_regions.count, found.false_regions.frames) == (expected["alarms"], goods)
    assert (found.good_with_false.hits, found.good_with_false.of) == (expected["flagged"], goods)
    low, high = poisson.interval(expected["alarms"], goods)
    assert (found.false_regions.low, found.false_regions.high) == (low, high)
    assert (found.found.low, found.found.high) == binomial.interval(expected["hits"], expected["defects"])
    # The fewest of these good pixels are far more than 1 in 10 000: AUPIMO is the recall above the hottest of them.
    most = max(score for picture in expected["good"] for score in picture)
    assert found.aupimo == pytest.approx(
        np.mean([np.mean(np.array(one) > most) for one in expected["defective"]])
    )


def test_aupimo_of_maps_with_its_limits_widened(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "visiontune.runtime.localiser.aupimo", lambda *sums: aupimo_file.aupimo(*sums, 0.05, 0.5)
    )
    rng = np.random.default_rng(5)
    mask = np.zeros(FRAME, bool)
    mask[2:7, 3:20] = True
    pictures = [("crack", np.roll(mask, i, 1), rng.integers(0, 9, (6, 8)) / 8, "crack") for i in range(3)]
    pictures += [("good", None, rng.integers(0, 9, (6, 8)) / 16, "crack") for _ in range(2)]
    expected = counted(pictures, RegionBands())
    wanted = slow_aupimo(expected["defective"], expected["good"], 0.05, 0.5, 100)
    assert located(tmp_path, pictures).aupimo == pytest.approx(wanted, abs=0.01)


# the traps


def test_a_cell_at_the_very_band_counts_as_it_does_on_the_line(tmp_path):
    """0.9 and 0.3 are no float32: cell and band must be rounded alike."""
    card = a_card(regions=RegionBands(low=0.3, high=0.9))
    heat = one_spot()[::2, ::3] * np.float32(0.9)
    found = located(
        tmp_path, [("crack", one_spot(), heat, "crack"), ("good", None, heat, "crack")], card=card
    )
    assert (found.found.hits, found.false_regions.count, found.good_with_false.hits) == (1, 1, 1)
    assert found.iou_any > 0


def one_spot():
    mask = np.zeros(FRAME, bool)
    mask[4:6, 6:9] = True
    return mask


@pytest.mark.parametrize("value", [0, 0.2, 0.7, 1])
def test_a_constant_heatmap_is_chance(tmp_path, value):
    flat = np.full((6, 8), value)
    found = located(tmp_path, [("crack", one_spot(), flat, "crack"), ("good", None, flat, "crack")])
    assert found.pixel_ap == pytest.approx(6 / (2 * 288))
    assert found.aupro == pytest.approx(0.15)
    assert found.aupimo == 0
    hot = value >= 0.5
    assert (found.found.hits, found.false_regions.count) == (hot, hot)
    assert found.iou == pytest.approx({"crack": 6 / (2 * 288)} if hot else {"crack": 0})


def test_scores_next_to_one_and_beyond_are_not_clamped(tmp_path):
    spot = np.where(one_spot(), np.float32(1 - 1e-6), np.float32(1 - 1e-5))
    found = located(tmp_path, [("crack", one_spot(), spot, "crack")])
    assert (found.pixel_ap, found.aupro) == (1, pytest.approx(1))
    spot = np.where(one_spot(), 1.5, 1.25)
    assert located(tmp_path, [("crack", one_spot(), spot, "crack")]).pixel_ap == 1
    spot = np.where(one_spot(), -0.25, -0.5)
    assert located(tmp_path, [("crack", one_spot(), spot, "crack")]).pixel_ap == 1


def test_what_cannot_be_compared_is_left_out_by_name(tmp_path):
    heat = one_spot()[::2, ::3].astype(float)
    pictures = [
        ("crack", one_spot(), heat, "crack"),
        ("crack", np.zeros(FRAME, bool), np.ones((6, 8)), "crack"),
        ("scratch", None, np.ones((6, 8)), "scratch"),
        ("good", one_spot(), np.ones((6, 8)), "crack"),
        ("good", np.zeros(FRAME, bool), np.zeros((6, 8)), "crack"),
        ("good", None, np.zeros((6, 8)), "crack"),
        ("good", None, None, "crack"),
    ]
    found = located(tmp_path, pictures)
    assert (found.masked, found.good, found.without_mask) == (1, 2, 1)
    assert (found.empty_masks, found.marked_good) == (("1.png",), ("3.png",))
    assert found.false_regions.count == 0 and set(found.iou) == {"crack"}


def test_with_empty_masks_only_nothing_is_known(tmp_path):
    found = located(tmp_path, [("crack", np.zeros(FRAME, bool), np.ones((6, 8)), "crack")])
    assert (found.found.of, found.pixel_ap, found.aupro, found.iou, found.iou_any) == (
        0,
        None,
        None,
        {},
        None,
    )
    assert found.empty_masks == ("0.png",)
    assert located(tmp_path, [("good", None, np.ones((6, 8)), "crack")]) is None


def test_a_model_that_sorts_has_no_good_pictures(tmp_path):
    card = a_card(good=None)
    found = located(tmp_path, [("good", one_spot(), one_spot().astype(float), "good")], card=card)
    assert (found.iou, found.pixel_ap, found.aupimo, found.good) == ({"good": 1}, 1, None, 0)


def test_the_wrong_kind_counts_against_both(tmp_path):
    found = located(tmp_path, [("scratch", one_spot(), one_spot().astype(float), "crack")])
    assert (found.iou, found.iou_any, found.found.hits) == ({"crack": 0, "scratch": 0}, 1, 1)


def test_only_the_region_of_interest_counts_but_what_lies_outside_is_missed(tmp_path):
    card = a_card(input=InputSpec(size=(16, 16), roi=(0.5, 0, 1, 0.5), mean=(0.5, 0.4, 0.3), std=(1, 1, 1)))
    mask = np.zeros(FRAME, bool)
    mask[0, 0] = True  # outside
    mask[2:4, 10:14] = True  # half of it inside
    heat = np.zeros((6, 12))
    heat[2:4, 0:2] = 1  # the map's cells are pixels of the quarter
    found = located(tmp_path, [("crack", mask, heat, "crack")], card=card)
    assert (found.found.hits, found.found.of, found.outside) == (1, 2, 1)
    assert (found.pixel_ap, found.aupro, found.iou_any) == (1, 1, 1)


@pytest.mark.parametrize("shape", [(12, 24), (6, 12), (5, 10), (24, 48), (120, 241), (7, 13)])
def test_masks_at_another_scale_are_taken(tmp_path, shape):
    mask = np.zeros(shape, bool)
    mask[: shape[0] // 2] = True
    heat = np.repeat([[1.0], [0.0]], 3, axis=1) if shape[0] % 2 == 0 else np.ones((2, 3))
    found = located(tmp_path, [("crack", mask, heat, "crack")])
    if shape[0] % 2 == 0:
        assert found.iou_any == pytest.approx(1)


@pytest.mark.parametrize("shape", [(24, 12), (12, 20), (12, 12), (48, 24), (1200, 2200)])
def test_masks_of_another_shape_are_refused(tmp_path, shape):
    mask = np.zeros(shape, bool)
    with pytest.raises(BadFrame, match=r"0\.png: expected a mask of the picture's shape, 24 x 12 .*save it"):
        located(tmp_path, [("crack", mask, np.ones((2, 2)), "crack")])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_heatmap_that_is_no_number_is_refused(tmp_path, value):
    with pytest.raises(BadModel, match=r"NaN or infinity for 0\.png"):
        located(tmp_path, [("crack", one_spot(), np.full((2, 2), value), "crack")])


@pytest.mark.parametrize("spread", ["beta", "sigmoid", "sure"])
def test_bins_move_the_figures_of_continuous_scores_by_next_to_nothing(tmp_path, spread):
    rng = np.random.default_rng(0)
    draw = {
        "beta": lambda: rng.beta(0.3, 3, (128, 128)),
        "sigmoid": lambda: 1 / (1 + np.exp(-rng.normal(-4, 2, (128, 128)))),
        "sure": lambda: 1 / (1 + np.exp(-rng.normal(8, 3, (128, 128)))),
    }[spread]
    localiser, scores, marks, shares, goods = Localiser(a_card()), [], [], [], []
    for index in range(30):
        mask, heat = np.zeros((128, 128), bool), draw().astype(np.float32)
        if index % 2:
            side = rng.integers(2, 20)
            mask[rng.integers(0, 100) :, rng.integers(0, 100) :][:side, :side] = True
            heat[mask] = 1 - (1 - heat[mask]) * rng.random(mask.sum()) ** rng.choice([0.3, 3, 30])
            localiser.add(Part(Path("a"), "crack", saved(tmp_path, mask, "m")), mask.shape, verdict(heat))
            shares.append(heat[mask])
        else:
            localiser.add(Part(Path("a"), "good"), mask.shape, verdict(heat))
            goods.append(heat.ravel())
        scores.append(heat.ravel())
        marks.append(mask.ravel())
    scores, marks = np.concatenate(scores), np.concatenate(marks)
    levels, where = np.unique(scores, return_inverse=True)  # every score its own bin

    def mean_share(pictures):
        return sum(
            np.bincount(np.searchsorted(levels, one), minlength=len(levels)) / len(one) for one in pictures
        ) / len(pictures)

    found = localiser.result(0.95)
    assert found.pixel_ap == pytest.approx(average_precision_score(marks, scores), abs=1e-4)
    unmarked = np.bincount(where, ~marks, len(levels))
    assert found.aupro == pytest.approx(aupro(mean_share(shares), unmarked), abs=1e-4)
    expected = aupimo_file.aupimo(mean_share(shares), mean_share(goods))
    assert found.aupimo == pytest.approx(expected, abs=1e-4)


def test_memory_does_not_grow_with_the_pictures():
    """A thousand maps of a quarter of a million cells: as values they would be a gigabyte."""
    localiser = Localiser(a_card())
    heat = verdict(np.random.default_rng(0).random((512, 512)) * 0.25)
    localiser.add(Part(Path("0.png"), "good"), (512, 512), heat)
    tracemalloc.start()
    for _ in range(20):
        localiser.add(Part(Path("0.png"), "good"), (512, 512), heat)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000

"""Planted defects: of the size and contrast that was asked for, inside the area, the same for the same seed."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.study.planted import Area, plant
from visiontune.study.shapes import SHAPES, coverage


def frame(level=150, shape=(120, 160)):
    return np.full((*shape, 3), level, np.uint8)


def whole(shape=(120, 160)):
    return Area.of(np.ones(shape, bool))


@pytest.mark.parametrize("size", [2.0, 5.0, 11.0, 30.0])
def test_a_spot_has_the_area_of_its_diameter(size):
    areas = [coverage("spot", size, np.random.default_rng(seed)).sum() for seed in range(10)]
    assert np.mean(areas) == pytest.approx(math.pi * size**2 / 4, rel=0.06)


@pytest.mark.parametrize("size", [6.0, 15.0, 40.0])
def test_a_stain_has_the_area_of_a_circle_of_its_size(size):
    for seed in range(10):
        area = (coverage("stain", size, np.random.default_rng(seed)) >= 0.5).sum()
        assert 2 * math.sqrt(area / math.pi) == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize("kind", ["scratch", "crack"])
@pytest.mark.parametrize("size", [8.0, 20.0, 60.0])
def test_a_line_has_its_length(kind, size):
    """Its area over its width; a crack's kinks cover some pixels twice."""
    width = max(1.0, size / 20)
    lengths = [coverage(kind, size, np.random.default_rng(seed)).sum() / width for seed in range(12)]
    assert np.mean(lengths) == pytest.approx(size + width / 2, rel=0.16)


def test_a_scratch_spans_its_length():
    spans = [max(coverage("scratch", 60, np.random.default_rng(seed)).shape) for seed in range(20)]
    assert all(38 <= span <= 70 for span in spans)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), st.floats(0.5, 80), st.integers(0, 10_000))
def test_coverage_is_a_share_and_trimmed(kind, size, seed):
    found = coverage(kind, size, np.random.default_rng(seed))
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 1 + 1e-6
    assert all((edge > 0).any() for edge in (found[0], found[-1], found[:, 0], found[:, -1]))


@pytest.mark.parametrize("contrast", [-60, -25, 25, 60])
def test_the_contrast_is_what_was_asked_and_nothing_else_changes(contrast):
    before = frame()
    found = plant(before, whole(), "spot", 20, contrast, np.random.default_rng(0))
    change = found.frame.astype(int) - before
    assert (change.min() if contrast < 0 else change.max()) == contrast
    assert ((change <= 0) if contrast < 0 else (change >= 0)).all()
    x0, y0, x1, y1 = found.box
    outside = np.ones(before.shape, bool)
    outside[y0:y1, x0:x1] = False
    assert not change[outside].any()
    assert (before == 150).all()


def test_the_texture_beneath_stays():
    before = np.random.default_rng(0).integers(120, 180, (120, 160, 3)).astype(np.uint8)
    found = plant(before, whole(), "spot", 30, -50, np.random.default_rng(1))
    x0, y0, x1, y1 = found.box
    core = np.s_[y0 + 10 : y1 - 10, x0 + 10 : x1 - 10]
    assert (found.frame[core].astype(int) - before[core] == -50).all()


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), st.floats(1, 25), st.integers(0, 10_000))
def test_all_of_it_lies_in_the_area(kind, size, seed):
    mask = np.zeros((120, 160), bool)
    mask[20:80, 30:110] = True
    found = plant(frame(), Area.of(mask), kind, size, -40, np.random.default_rng(seed))
    changed = (found.frame != 150).any(axis=2)
    assert changed.any() and not changed[~mask].any()


def test_it_lies_anywhere_in_the_area():
    middles = []
    for seed in range(300):
        x0, y0, x1, y1 = plant(frame(), whole(), "spot", 6, -40, np.random.default_rng(seed)).box
        middles.append(((x0 + x1) / 2, (y0 + y1) / 2))
    x, y = np.array(middles).T
    assert np.histogram(x, 4, (0, 160))[0].min() > 45 and np.histogram(y, 4, (0, 120))[0].min() > 45


def test_places_that_cannot_take_the_contrast_are_left():
    half = frame()
    half[:, :80] = 10  # too dark to become 60 levels darker
    for seed in range(20):
        assert plant(half, whole(), "spot", 8, -60, np.random.default_rng(seed)).box[0] > 70


@pytest.mark.parametrize(
    ("picture", "area", "size"),
    [
        (frame(10), whole(), 8),  # no room below
        (frame(), whole(), 200),  # larger than the picture
        (frame(), Area.of(np.zeros((120, 160), bool)), 8),
    ],
)
def test_no_place_is_none(picture, area, size):
    assert plant(picture, area, "spot", size, -60, np.random.default_rng(0)) is None


def test_the_same_seed_gives_the_same_picture():
    one, same, other = (
        plant(frame(), whole(), "crack", 20, -40, np.random.default_rng(seed)).frame for seed in (1, 1, 2)
    )
    assert (one == same).all() and (one != other).any()

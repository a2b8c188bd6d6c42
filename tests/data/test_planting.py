"""Planted defects: where they lie, what they change, that a seed fixes them, and what a view then says."""

import numpy as np
import pytest

from visiontune.data import policies
from visiontune.data.batches import seen_labels
from visiontune.data.masks import DEFECT, PLANTED, UNKNOWN
from visiontune.data.planting import plant
from visiontune.data.planting.part import part_area
from visiontune.data.policy import Policy, Step
from visiontune.data.transforms import KINDS
from visiontune.runtime.errors import BadRecipe

EVERY = dict.fromkeys(KINDS, 1.0)


def sheet(height=96, width=112, seed=0):
    """A grey sheet with grain, uint8 (height, width, 3)."""
    level = np.random.default_rng(seed).normal(120, 4, (height, width, 1)).clip(0, 255)
    return np.repeat(level, 3, axis=2).astype(np.uint8)


def disc(side=120, colour=(200, 120, 60)):
    """A coloured disc on a dark background whose light falls off, and where it is."""
    y, x = np.mgrid[:side, :side]
    inside = np.hypot(x - 60, y - 55) < 32
    light = 40 + 20 * (x + y) / side
    picture = np.where(inside[..., None], np.array(colour), light[..., None])
    noise = np.random.default_rng(1).normal(0, 2, (side, side, 1))
    return (picture + noise).clip(0, 255).astype(np.uint8), inside


def one(kind, picture, seed, strength=(0.3, 0.5), size=(0.1, 0.4)):
    shares = {name: float(name == kind) for name in KINDS}
    return plant(picture, np.random.default_rng(seed), strength=strength, size=size, shares=shares)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_what_it_marks_and_little_else(kind):
    picture = sheet()
    shown = 0
    for seed in range(12):
        found = one(kind, picture, seed)
        if found is None:
            continue
        shown += 1
        image, mask = found
        changed = (image != picture).any(axis=2)
        assert image.shape == picture.shape and image.dtype == np.uint8 and mask.dtype == bool
        assert 3 <= mask.sum() < 0.6 * mask.size
        assert changed[mask].mean() > 0.5
        # what is left outside is the soft edge of it
        assert np.abs(image.astype(int) - picture)[~mask].mean() < 1
        assert (image == image[..., :1]).all()  # a grey camera's picture stays grey
    assert shown >= 10


def test_a_part_before_a_plain_background_is_found_and_nothing_is_planted_beside_it():
    picture, inside = disc()
    area = part_area(picture)
    assert (area & inside).sum() / (area | inside).sum() > 0.9
    for seed in range(20):
        found = plant(
            picture, np.random.default_rng(seed), strength=(0.2, 0.5), size=(0.1, 0.5), shares=EVERY
        )
        assert found is not None
        image, mask = found
        assert not (mask & ~area).any() and (image[~area] == picture[~area]).all()


def test_a_sheet_that_fills_the_frame_is_all_part():
    assert part_area(sheet()).all()
    assert part_area(np.full((40, 40, 3), 90, np.uint8)).all()


def test_what_cannot_be_seen_is_not_planted():
    rough = np.random.default_rng(0).integers(0, 256, (64, 64, 1)).repeat(3, axis=2).astype(np.uint8)
    assert all(one("scratch", rough, seed, strength=(0.02, 0.03)) is None for seed in range(10))


def test_a_view_depends_on_its_seed_alone_and_goes_through_the_policy_with_its_mask():
    picture, policy = sheet(96, 96), policies.planted(policies.flat_sheet(), share=1.0, strength=(0.3, 0.5))
    mask = np.zeros((96, 96), np.uint8)
    for seed in range(8):
        first, again = (policy(picture, seed=seed, mask=mask) for _ in range(2))
        assert (first.image == again.image).all() and (first.mask == again.mask).all()
    assert not mask.any()
    marked = [policy(picture, seed=seed, mask=mask).mask for seed in range(30)]
    assert {value for one in marked for value in np.unique(one)} == {0, PLANTED}
    bare = policies.planted(policies.none(), share=1.0, strength=(0.5, 0.5), stain=0, texture=0, paste=0)
    seen = bare(picture, seed=5, mask=mask)
    assert (seen.image == bare(picture, seed=5).image).all()  # a mask changes no pixel
    assert (seen.image != picture).any(axis=2)[seen.mask == PLANTED].mean() > 0.5


def test_the_share_of_views_with_a_defect():
    policy = policies.planted(policies.none(), share=0.5, strength=(0.3, 0.5))
    mask = np.zeros((64, 64), np.uint8)
    shown = [bool(policy(sheet(64, 64), seed=seed, mask=mask).mask.any()) for seed in range(200)]
    assert 0.38 < np.mean(shown) < 0.6


@pytest.mark.parametrize("value", [DEFECT, UNKNOWN])
def test_nothing_is_planted_where_there_is_a_defect_or_may_be_one(value):
    picture, mask = sheet(), np.zeros((96, 112), np.uint8)
    mask[10, 10] = value
    seen = policies.planted(policies.none(), share=1.0)(picture, seed=1, mask=mask)
    assert (seen.image == picture).all() and (seen.mask == mask).all()


def test_a_good_part_with_a_planted_defect_is_defective():
    masks = np.zeros((4, 5, 5), np.uint8)
    masks[1, 2, 2], masks[2, 2, 2], masks[3] = PLANTED, DEFECT, UNKNOWN
    assert seen_labels(np.array([0, 0, 3, 2]), masks).tolist() == [0, 1, 3, 2]


def test_a_planting_policy_is_data_as_others_are():
    policy = policies.planted(policies.fixed_part(), crack=3, paste=0)
    assert Policy.from_json(policy.to_json()) == policy and policy.plants
    assert not policies.fixed_part().plants
    with pytest.raises(BadRecipe, match="plants no defects"):
        policies.planted(policy)
    with pytest.raises(BadRecipe, match="no parameter 'scratsch'; did you mean scratch"):
        policies.planted(policies.none(), scratsch=1)
    with pytest.raises(BadRecipe, match="a weight above 0"):
        Step("Defect", strength=(0.1, 0.2), size=(0.1, 0.2), **dict.fromkeys(KINDS, 0))
    with pytest.raises(BadRecipe, match=r"Defect\.strength"):
        policies.planted(policies.none(), strength=(0.2, 3))
    with pytest.raises(BadRecipe, match="share"):
        policies.planted(policies.none(), share=2)

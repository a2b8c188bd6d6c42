"""Masks at the model's size: small defects stay, "unknown where" is not "good", views carry the mask of the view."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visiontune.data import policies
from visiontune.data.batches import Views, collate, still_true
from visiontune.data.fit import Fit
from visiontune.data.masks import DEFECT, GOOD, UNKNOWN, fitted_mask, load_masks, surviving
from visiontune.data.policy import Policy, view_seed
from visiontune.data.read import read
from visiontune.data.store import load
from visiontune.data.transforms import TRANSFORMS
from visiontune.runtime.errors import BadData

SIZE = (40, 32)
POLICIES = (policies.flat_sheet, policies.fixed_part, policies.natural, policies.xray, policies.road_signs)


def drawn(root, label, name, mask, *, picture=None):
    """A picture of a class folder with its mask (None: no file)."""
    shape = (80, 64) if mask is None else mask.shape[:2]
    (root / "images" / label).mkdir(parents=True, exist_ok=True)
    (root / "masks" / label).mkdir(parents=True, exist_ok=True)
    pixels = np.full((*shape, 3), 90, np.uint8) if picture is None else picture
    Image.fromarray(pixels).save(root / "images" / label / f"{name}.png")
    if mask is not None:
        Image.fromarray(mask).save(root / "masks" / label / f"{name}.png")


def spotted(y, x, height=1, width=1, value=255):
    mask = np.zeros((80, 64), np.uint8)
    mask[y : y + height, x : x + width] = value
    return mask


def loaded(root, **options):
    share = read(root, strict=False)
    masks = load_masks(share, SIZE, **options)
    return {sample.path.stem: mask for sample, mask in zip(share, masks, strict=True)}


@given(
    st.integers(1, 90), st.integers(1, 90), st.integers(4, 40), st.integers(4, 40), st.integers(0, 2**32 - 1)
)
@settings(deadline=None, max_examples=150)
def test_no_defect_gets_lost_however_small(height, width, rows, columns, seed):
    rng = np.random.default_rng(seed)
    marked = np.zeros((height, width), np.bool_)
    marked[rng.integers(height), rng.integers(width)] = True
    fitted = fitted_mask(marked, (rows, columns))
    assert fitted.dtype == np.uint8 and fitted.shape == (rows, columns) and fitted.any()
    y, x = (axis.mean() for axis in np.nonzero(fitted))
    there, across = (axis.mean() for axis in np.nonzero(marked))
    assert abs((y + 0.5) / rows - (there + 0.5) / height) <= 1 / rows + 1e-6
    assert abs((x + 0.5) / columns - (across + 0.5) / width) <= 1 / columns + 1e-6


def test_a_fitted_mask_is_the_plain_oracle():
    rng = np.random.default_rng(0)
    for density in (0.002, 0.05, 0.5, 0.97):
        marked = rng.random((48, 60)) < density
        fitted = fitted_mask(marked, (12, 15))
        for y in range(12):
            for x in range(15):
                share = {
                    (i, j): marked[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].mean()
                    for i in range(max(0, y - 1), min(12, y + 2))
                    for j in range(max(0, x - 1), min(15, x + 2))
                }
                here, most = share[y, x], max(share.values())
                assert fitted[y, x] == (here >= 0.5 or (here > 0 and most < 0.5 and here == most))


def test_a_large_defect_keeps_its_place_and_a_hair_its_line():
    marked = np.zeros((80, 64), np.bool_)
    marked[20:61, 10:31] = True
    assert 0.9 < 4 * fitted_mask(marked, SIZE).sum() / marked.sum() < 1.1
    hair = np.zeros((80, 64), np.bool_)
    hair[:, 33] = True
    fitted = fitted_mask(hair, (20, 16))
    assert fitted.sum() == 20 and fitted[:, 8].all()


@pytest.mark.parametrize(("y", "x"), [(0, 0), (0, 63), (79, 0), (79, 63)])
def test_a_defect_at_the_frames_edge_stays_at_the_edge(y, x):
    marked = np.zeros((80, 64), np.bool_)
    marked[y, x] = True
    (row,), (column,) = np.nonzero(fitted_mask(marked, (11, 9)))
    assert (row, column) == (10 if y else 0, 8 if x else 0)


def test_a_defect_that_fills_the_frame_fills_the_mask():
    assert fitted_mask(np.ones((80, 64), np.bool_), SIZE).all()
    assert surviving(np.ones((3, 3), np.float32)).all()


def test_unknown_is_not_good(tmp_path):
    drawn(tmp_path, "good", "plain", None)
    drawn(tmp_path, "good", "black", spotted(0, 0, value=0))
    drawn(tmp_path, "crack", "outlined", spotted(10, 20, 4, 4))
    drawn(tmp_path, "crack", "empty", spotted(0, 0, value=0))
    drawn(tmp_path, "crack", "missing", None)
    found = loaded(tmp_path)
    assert (found["plain"] == GOOD).all() and (found["black"] == GOOD).all()
    assert (found["empty"] == UNKNOWN).all() and (found["missing"] == UNKNOWN).all()
    assert set(np.unique(found["outlined"])) == {GOOD, DEFECT}
    assert list(zip(*np.nonzero(found["outlined"]), strict=True)) == [(5, 10), (5, 11), (6, 10), (6, 11)]


def test_the_mask_is_cut_to_the_region_of_interest(tmp_path):
    drawn(tmp_path, "good", "plain", None)
    drawn(tmp_path, "crack", "inside", spotted(40, 32, 40, 32))
    drawn(tmp_path, "crack", "outside", spotted(0, 0, 8, 8))
    found = loaded(tmp_path, roi=(0.5, 0.5, 1.0, 1.0))
    assert (found["inside"] == DEFECT).all()
    assert (found["outside"] == UNKNOWN).all()  # it is defective, and nobody sees where


@pytest.mark.parametrize("value", [1, 7, 255])
def test_every_value_but_0_is_defect(tmp_path, value):
    two = spotted(10, 20, 4, 4, value)
    two[50:54, 40:44] = 200
    drawn(tmp_path, "good", "plain", None)
    drawn(tmp_path, "crack", "numbered", two)
    drawn(tmp_path, "crack", "yes", (two > 0))
    found = loaded(tmp_path)
    assert found["numbered"].sum() == 8 and np.array_equal(found["numbered"], found["yes"])


def smooth(root):
    drawn(root, "crack", "odd", np.linspace(0, 255, 80 * 64).reshape(80, 64).astype(np.uint8))


def other_size(root):
    drawn(root, "crack", "odd", spotted(3, 3))
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(root / "masks/crack/odd.png")


def broken(root):
    drawn(root, "crack", "odd", spotted(3, 3))
    file = root / "masks/crack/odd.png"
    file.write_bytes(file.read_bytes()[:-30])


def on_good(root):
    drawn(root, "good", "odd", spotted(3, 3))


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (smooth, "256 values; save it without smoothing"),
        (other_size, "64 x 80, mask 20 x 20); save the mask at the size"),
        (broken, "cannot be read"),
        (on_good, "nothing marked on pictures of the good class"),
    ],
)
def test_a_wrong_mask_is_named_in_one_line(tmp_path, fault, said):
    drawn(tmp_path, "good", "plain", spotted(0, 0, value=0))
    share = read(tmp_path, strict=False)
    fault(tmp_path)
    share = read(tmp_path, strict=False)
    with pytest.raises(BadData) as problem:
        load_masks(share, SIZE)
    assert said in str(problem.value) and "odd" in str(problem.value)
    assert "\n" not in str(problem.value)


def geometry(policy):
    """The policy without what only changes grey values."""
    moved = ("Affine", "RandomResizedCrop", "HorizontalFlip", "VerticalFlip", "Transpose")
    return Policy(policy.name, tuple(step for step in policy.steps if step.transform in moved))


@pytest.mark.parametrize("made", POLICIES, ids=lambda made: made.__name__)
@given(seed=st.integers(0, 2**31), view=st.integers(0, 50))
@settings(deadline=None, max_examples=15)
def test_the_mask_of_a_view_is_the_mask_of_the_view(tmp_path_factory, made, seed, view):
    """A picture that is white where it is defective: after any policy it is white where the mask says so."""
    root = tmp_path_factory.mktemp("views")
    y, x, height, width = np.random.default_rng([seed, view]).integers([2, 2, 12, 12], [40, 30, 36, 30])
    mask = spotted(y, x, height, width)
    drawn(root, "crack", "a", mask, picture=np.repeat(mask[..., None], 3, 2))
    drawn(root, "good", "b", spotted(0, 0, value=0))
    share = read(root)
    fit = Fit((80, 64))
    views = Views(
        share,
        load(share, fit),
        policy=geometry(made()),
        seed=seed,
        view=view,
        masks=load_masks(share, fit.size),
    )
    batch = collate([views[i] for i in range(2)])
    for sample, picture, told in zip(share, batch["frames"].numpy(), batch["mask"].numpy(), strict=True):
        if sample.label == "good":
            assert not told.any()
        elif (told == UNKNOWN).any():
            assert (told == UNKNOWN).all() and (picture[..., 0] > 127).mean() < 0.05
        else:
            seen = picture[..., 0] > 127
            assert (seen != told).mean() <= 0.6 * (edge(seen) | edge(told > 0)).mean() + 1e-9


def edge(mask):
    """Pixels beside one of the other sort."""
    padded = np.pad(mask, 1, mode="edge")
    around = [padded[1 + dy : 81 + dy, 1 + dx : 65 + dx] for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    return np.logical_or.reduce(around) & ~np.logical_and.reduce(around)


def test_frames_are_the_same_with_and_without_masks(tmp_path):
    drawn(tmp_path, "good", "b", spotted(0, 0, value=0))
    drawn(tmp_path, "crack", "a", spotted(20, 20, 20, 20))
    share = read(tmp_path)
    fit = Fit(SIZE)
    frames, masks = load(share, fit), load_masks(share, SIZE)
    for view in range(5):
        options = {"policy": policies.flat_sheet(), "seed": 3, "view": view}
        bare, masked = Views(share, frames, **options), Views(share, frames, masks=masks, **options)
        assert "mask" not in bare[0]
        assert np.array_equal(bare[0]["frames"], masked[0]["frames"])
        seen = options["policy"](frames[0], seed=view_seed(3, share.samples[0].id, view), mask=masks[0])
        assert np.array_equal(masked[0]["mask"], seen.mask)
    with pytest.raises(ValueError, match="1 masks for 2 samples"):
        Views(share, frames, masks=masks[:1], **options)


def test_a_view_that_lost_its_speck_is_unknown():
    speck, nothing = np.eye(8, dtype=np.uint8), np.zeros((8, 8), np.uint8)
    assert (still_true(speck, nothing) == UNKNOWN).all()
    assert still_true(speck, speck) is speck and still_true(nothing, nothing) is nothing
    assert still_true(None, None) is None


def test_the_list_of_moving_transforms_is_whole():
    moving = {"Affine", "RandomResizedCrop", "HorizontalFlip", "VerticalFlip", "Transpose"}
    assert moving <= set(TRANSFORMS)

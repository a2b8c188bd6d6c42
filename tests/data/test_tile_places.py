"""Which tiles training sees: each labelled by what it shows, the mask cut with it, the same in every process."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from visiontune.data.cuts import CutFrames, CutMasks
from visiontune.data.masks import UNKNOWN
from visiontune.data.samples import Dataset, Sample
from visiontune.data.tile_marks import enough, marks_of
from visiontune.data.tile_places import Tiles, drawn, held_out
from visiontune.data.tiles import Grid
from visiontune.runtime.errors import BadRecipe

GRID = Grid((150, 203), 64, 16)
TILES = Tiles(per_frame=6, around=0.5)


def data_of(labels):
    samples = [
        Sample(id=f"{i}.png", path=Path(f"{i}.png"), label=label, group=f"part {i}", split="train")
        for i, label in enumerate(labels)
    ]
    return Dataset(
        root=Path(), layout="", samples=tuple(samples), classes=("good", "pit", "tear"), good="good"
    )


def frames_of(masks):
    """Frames whose red is the mask, and whose green and blue say where a pixel is."""
    y, x = np.indices(masks.shape[1:])
    where = np.broadcast_to(np.stack([y, x], axis=-1).astype(np.uint8), (*masks.shape, 2))
    return np.concatenate([masks[..., None], where], axis=-1)


@st.composite
def masks(draw):
    """Frames with some rectangles marked: specks, hairs, areas beyond a tile, at edges."""
    mask = np.zeros(GRID.size, np.uint8)
    for _ in range(draw(st.integers(1, 4))):
        y, x = draw(st.integers(0, 149)), draw(st.integers(0, 202))
        high, wide = draw(st.sampled_from([1, 3, 20, 150])), draw(st.sampled_from([1, 3, 20, 203]))
        mask[y : y + high, x : x + wide] = 1
    return mask


def shows(window, whole, y, x):
    """By the slow way: each defect of the frame in turn."""
    labels, count = ndimage.label(whole, np.ones((3, 3)))
    held = [(labels[y : y + 64, x : x + 64] == k).sum() for k in range(1, count + 1)]
    areas = [(labels == k).sum() for k in range(1, count + 1)]
    return any(part >= min(area / 4, enough(64)) for part, area in zip(held, areas, strict=True))


@settings(max_examples=40)
@given(masks(), st.integers(0, 5))
def test_the_mask_of_a_tile_is_the_tile_of_the_mask_and_tells_its_label(mask, view):
    both = np.stack([mask, np.zeros_like(mask)])
    share = data_of(["tear", "good"])
    places = drawn(share, [marks_of(one, GRID) for one in both], GRID, TILES, seed=3)
    frames, cut = CutFrames(frames_of(both), places, view), CutMasks(places, view)
    assert frames[:].shape == (len(places), 64, 64, 3) == frames.shape
    for tile, sample in enumerate(places.data):
        y, x = places.place(tile, view)
        window = cut[tile]
        assert (frames[tile][..., 0] == window).all() and frames[tile][0, 0].tolist()[1:] == [y, x]
        own = mask if sample.id.startswith("0") else both[1]
        assert (window == own[y : y + 64, x : x + 64]).all()
        if sample.label == "good":
            assert not window.any()
        else:
            assert shows(window, own, y, x)
    labels = [sample.label for sample in places.data]
    assert labels.count("tear") == 3
    room = len(marks_of(mask, GRID).free) > 0
    assert labels.count("good") == 6 + 3 * room


@settings(max_examples=40)
@given(masks())
def test_val_sees_the_grid_and_no_slivers(mask):
    share, marks = data_of(["pit"]), marks_of(mask, GRID)
    places = held_out(share, [marks], GRID, Tiles(per_frame=20))
    states = dict(zip(map(tuple, GRID.corners.tolist()), marks.shown.tolist(), strict=True))
    seen = {places.place(tile, 0): sample.label for tile, sample in enumerate(places.data)}
    for (y, x), state in states.items():
        window = mask[y : y + 64, x : x + 64]
        if not window.any():
            assert state == 0 and seen[y, x] == "good"
        elif shows(window, mask, y, x):
            assert state == 1 and seen[y, x] == "pit"
        else:
            assert state == UNKNOWN and (y, x) not in seen
    assert places.place(0, 0) == places.place(0, 7)


def test_a_sliver_is_neither_good_nor_a_defect():
    grid = Grid((64, 112), 64, 16)  # tiles at columns 0 and 48
    mask = np.zeros((64, 112), np.uint8)
    mask[20:40, 46:62] = 1  # of its 320 pixels the second tile holds 280, the first all
    assert marks_of(mask, grid).shown.tolist() == [1, 1]
    mask[:] = 0
    mask[30, 44:49] = 1  # a hair of 5: one of them in the second tile, 2 were needed
    assert marks_of(mask, grid).shown.tolist() == [1, UNKNOWN]


def test_places_change_with_view_and_seed_and_with_nothing_else():
    mask = np.zeros(GRID.size, np.uint8)
    mask[70:76, 90:96] = 1
    share, marks = data_of(["pit", "good"]), [marks_of(mask, GRID), marks_of(0 * mask, GRID)]

    def corners(seed, view, some=share, of=marks):
        places = drawn(some, of, GRID, TILES, seed=seed)
        return [places.place(tile, view) for tile in range(len(places))]

    assert corners(0, 1) == corners(0, 1) != corners(0, 2)
    assert corners(0, 1) != corners(1, 1)
    other = data_of(["pit", "good", "good"])  # a frame more moves no tile of the others
    assert corners(0, 1, other, [*marks, marks[1]])[: len(corners(0, 1))] == corners(0, 1)


def test_every_defect_comes_as_often_as_another_and_anywhere_in_the_tile():
    mask = np.zeros((256, 256), np.uint8)
    mask[10:13, 10:13] = 1  # a speck
    mask[120:220, 60:200] = 1  # a stain
    grid = Grid((256, 256), 64, 16)
    places = drawn(data_of(["pit"]), [marks_of(mask, grid)], grid, Tiles(per_frame=10, around=1), seed=0)
    found = [places.place(tile, view) for tile in range(len(places)) for view in range(40)]
    specks = [(y, x) for y, x in found if y <= 12 and x <= 12]
    assert 140 < len(specks) < 260
    assert all(mask[y : y + 64, x : x + 64].any() for y, x in found)


def test_edges_of_good_frames_come_often():
    grid = Grid((256, 256), 64, 16)
    places = drawn(data_of(["good"]), [marks_of(np.zeros((256, 256), np.uint8), grid)], grid, TILES, seed=0)
    corners = [places.place(tile, view) for tile in range(6) for view in range(50)]
    assert sum(y == 0 for y, _ in corners) > 15 and sum(x == 192 for _, x in corners) > 15


def test_a_defect_at_the_corner_of_the_frame():
    mask = np.zeros(GRID.size, np.uint8)
    mask[-2:, -3:] = 1
    places = drawn(data_of(["pit"]), [marks_of(mask, GRID)], GRID, TILES, seed=0)
    assert {places.place(0, view) for view in range(5)} == {(150 - 64, 203 - 64)}
    assert CutMasks(places, 0)[0].sum() == 6


def test_a_frame_that_is_all_defect_has_no_good_tile():
    mask = np.ones(GRID.size, np.uint8)
    places = drawn(data_of(["pit"]), [marks_of(mask, GRID)], GRID, TILES, seed=0)
    assert [sample.label for sample in places.data] == ["pit"] * 3
    held = held_out(data_of(["pit"]), [marks_of(mask, GRID)], GRID, TILES)
    assert {sample.label for sample in held.data} == {"pit"}


def test_a_defective_frame_of_which_nobody_said_where_gives_none():
    unknown = np.full(GRID.size, UNKNOWN, np.uint8)
    marks = [marks_of(unknown, GRID)]
    assert len(drawn(data_of(["pit"]), marks, GRID, TILES, seed=0)) == 0
    assert len(held_out(data_of(["pit"]), marks, GRID, TILES)) == 0
    assert (marks[0].window(0, 0, 64) == UNKNOWN).all()


def test_parts_stay_parts_and_names_differ():
    mask = np.zeros(GRID.size, np.uint8)
    mask[5, 5] = 1
    places = drawn(
        data_of(["pit", "good"]), [marks_of(mask, GRID), marks_of(0 * mask, GRID)], GRID, TILES, seed=0
    )
    samples = places.data.samples
    assert len({sample.id for sample in samples}) == len(samples) == 12
    assert {sample.group for sample in samples} == {"part 0", "part 1"}
    assert places.frame.tolist() == [0] * 6 + [1] * 6


@pytest.mark.parametrize("options", [{"per_frame": 0}, {"per_frame": 2.0}, {"around": 0}, {"around": 1.5}])
def test_tiles_are_checked(options):
    with pytest.raises(BadRecipe, match=r"Tiles\.(per_frame|around) must"):
        Tiles(**options)

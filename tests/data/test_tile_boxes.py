"""Boxes on tiles: each tile shows what a plain look says, is labelled by it, and no empty tile is called good that is not."""

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.data.box_targets import IGNORE, NOWHERE, Boxes
from visiontune.data.cuts import CutBoxes
from visiontune.data.masks import DEFECT, GOOD, UNKNOWN
from visiontune.data.samples import Dataset, Sample
from visiontune.data.tile_boxes import box_marks_of
from visiontune.data.tile_places import Tiles, drawn, held_out
from visiontune.data.tiles import Grid

GRID = Grid((150, 203), 64, 16)
NAMES = ("pit", "tear")


def data_of(labels):
    samples = [
        Sample(id=f"{i}.png", path=Path(f"{i}.png"), label=label, group=f"part {i}", split="train")
        for i, label in enumerate(labels)
    ]
    return Dataset(
        root=Path(), layout="", samples=tuple(samples), classes=("good", *NAMES, "worn"), good="good"
    )


def boxes_of(*rows):
    """Boxes of rows x0, y0, x1, y1, kind."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Boxes(table[:, :4].astype(np.float32), table[:, 4].astype(np.int64), True)


@st.composite
def boxes(draw):
    """Frames with some boxes: specks, hairs, ones beyond a tile, at edges; some to be ignored."""
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        y, x = draw(st.integers(0, 148)), draw(st.integers(0, 201))
        high, wide = draw(st.sampled_from([1, 3, 20, 100, 150])), draw(st.sampled_from([1, 3, 20, 110, 203]))
        rows.append((x, y, min(x + wide, 203), min(y + high, 150), draw(st.sampled_from([0, 0, 1, IGNORE]))))
    return boxes_of(*rows)


def looked(boxes, y, x):
    """What a tile shows, box by box: (x0, y0, x1, y1, kind) in its pixels."""
    found = []
    for (x0, y0, x1, y1), kind in zip(boxes.corners.tolist(), boxes.kinds.tolist(), strict=True):
        low_x, low_y, high_x, high_y = max(x0, x), max(y0, y), min(x1, x + 64), min(y1, y + 64)
        if low_x < high_x and low_y < high_y:
            part = (high_x - low_x) * (high_y - low_y) / ((x1 - x0) * (y1 - y0))
            kind = kind if part >= 0.25 else IGNORE
            found.append((low_x - x, low_y - y, high_x - x, high_y - y, kind))
    return sorted(found)


def rows_of(boxes):
    return sorted(
        (*corners, kind) for corners, kind in zip(boxes.corners.tolist(), boxes.kinds.tolist(), strict=True)
    )


@settings(max_examples=60, deadline=None)
@given(boxes(), st.integers(0, 5))
def test_a_tile_shows_the_boxes_that_a_plain_look_says_and_is_labelled_by_them(frame, view):
    share = data_of(["worn", "good"])
    marks = [box_marks_of(one, GRID, NAMES) for one in (frame, boxes_of())]
    places = drawn(share, marks, GRID, Tiles(per_frame=6), seed=3)
    cut = CutBoxes(places=places, view=view)
    for tile, sample in enumerate(places.data):
        y, x = places.place(tile, view)
        own = frame if sample.id.startswith("0") else boxes_of()
        assert rows_of(cut[tile]) == looked(own, y, x) and cut[tile].known
        kinds = cut[tile].kinds.tolist()
        if sample.label == "good":
            assert kinds == []
        else:
            assert NAMES.index(sample.label) in kinds
    fitting = [
        kind
        for (x0, y0, x1, y1), kind in zip(frame.corners.tolist(), frame.kinds.tolist(), strict=True)
        if kind >= 0 and min(x1 - x0, 63) * min(y1 - y0, 63) >= (x1 - x0) * (y1 - y0) / 4
    ]
    bad = [sample.label for sample in places.data if sample.label != "good"]
    assert set(bad) == {NAMES[kind] for kind in fitting} and len(bad) == 3 * bool(fitting)


@settings(max_examples=60, deadline=None)
@given(boxes())
def test_val_sees_the_grid_and_nothing_that_nobody_can_tell(frame):
    marks = box_marks_of(frame, GRID, NAMES)
    places = held_out(data_of(["worn"]), [marks], GRID, Tiles(per_frame=20))
    seen = {places.place(tile, 0): sample.label for tile, sample in enumerate(places.data)}
    for (y, x), state in zip(GRID.corners.tolist(), marks.shown.tolist(), strict=True):
        kinds = [kind for *_, kind in looked(frame, y, x)]
        real = [kind for kind in kinds if kind >= 0]
        if real:
            most = max((0, 1), key=real.count)  # of equals the first
            assert state == DEFECT and seen[y, x] == NAMES[most]
        elif kinds:
            assert state == UNKNOWN and (y, x) not in seen
        else:
            assert state == GOOD and seen[y, x] == "good"


def test_kinds_of_a_frame_take_turns():
    frame = boxes_of((10, 10, 20, 20, 0), (30, 10, 40, 20, 0), (150, 100, 160, 110, 1))
    marks = [box_marks_of(frame, GRID, NAMES)]
    places = drawn(data_of(["worn"]), marks, GRID, Tiles(per_frame=4, around=1), seed=0)
    assert [sample.label for sample in places.data] == ["pit", "tear", "pit", "tear"]
    found = {(places.place(0, view)[1] < 41, places.place(1, view)[1] > 85) for view in range(20)}
    assert found == {(True, True)}
    held = [
        sum(marks[0].holds(number, *places.place(0, view), 64) for view in range(40)) for number in (0, 1)
    ]
    assert min(held) > 10


def test_only_boxes_to_be_ignored_leave_good_area_but_no_defect():
    share, marks = data_of(["good"]), [box_marks_of(boxes_of((0, 0, 100, 150, IGNORE)), GRID, NAMES)]
    places = drawn(share, marks, GRID, Tiles(per_frame=5), seed=0)
    assert [sample.label for sample in places.data] == ["good"] * 5
    assert all(places.place(tile, view)[1] >= 100 for tile in range(5) for view in range(10))


def test_a_defective_frame_of_which_nobody_said_where_gives_none():
    marks = [box_marks_of(NOWHERE, GRID, NAMES)]
    assert len(drawn(data_of(["pit"]), marks, GRID, Tiles(), seed=0)) == 0
    assert len(held_out(data_of(["pit"]), marks, GRID, Tiles())) == 0

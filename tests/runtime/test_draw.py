"""Drawings: every box where it lies, in its kind's colour, its tag inside the picture, the frame untouched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.data.samples import Box
from visiontune.runtime.draw import COLOURS, drawn
from visiontune.runtime.verdict import Region, Verdict

GREY = np.full((120, 160, 3), 90, np.uint8)


@given(st.integers(0, 140), st.integers(0, 100), st.integers(1, 60), st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_the_frame_of_a_box_lies_on_its_edge(x0, y0, wide, high):
    x1, y1 = min(160, x0 + wide), min(120, y0 + high)
    pixels = np.asarray(drawn(GREY, [Region("pit", 0.5, (x0, y0, x1, y1))]))
    assert pixels.shape == GREY.shape and (GREY == 90).all()
    coloured = (pixels == COLOURS[0]).all(axis=2)
    rows, columns = np.nonzero((pixels != 90).any(axis=2))
    assert columns.max() >= x1 - 1 and rows.max() >= y1 - 1
    if y0 > 20 or y1 < 100:  # there is room for the tag
        assert coloured[[y0, y0, y1 - 1, y1 - 1], [x0, x1 - 1, x0, x1 - 1]].all()
        assert (pixels[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1] == 90).all()  # nothing is painted over the defect


def test_kinds_have_the_colour_of_their_class():
    regions = [Region("crack", 0.9, (10, 40, 30, 60)), Region("pit", 0.8, (60, 40, 90, 60))]
    for classes, colours in (((), COLOURS[:2]), (("good", "pit", "crack"), COLOURS[2:0:-1])):
        pixels = np.asarray(drawn(GREY, regions, classes=classes))
        assert [tuple(pixels[50, x].tolist()) for x in (10, 60)] == [*colours]


def test_the_strongest_lies_on_top():
    regions = [Region("a", 0.9, (20, 40, 60, 80)), Region("b", 0.2, (20, 40, 60, 80))]
    assert tuple(np.asarray(drawn(GREY, regions))[79, 59]) == COLOURS[0]


@pytest.mark.parametrize("times", [0.5, 1, 3])
def test_a_scaled_picture_has_its_boxes_in_proportion(times):
    pixels = np.asarray(drawn(GREY, [Region("a", 0.9, (40, 60, 120, 100))], side=int(160 * times)))
    assert pixels.shape == (120 * times, 160 * times, 3)
    left, top, right, bottom = (int(edge * times) for edge in (40, 60, 120, 100))
    for y, x in ((top + 5, left), (top + 5, right - 1), (bottom - 1, left + 20)):
        assert tuple(pixels[y, x]) == COLOURS[0]


def test_what_people_drew_is_dashed():
    boxes = [Box("a", 20, 20, 100, 80), Box("a", 110, 20, 150, 80, ignore=True)]
    pixels = np.asarray(drawn(GREY, [], people=boxes))
    edge = pixels[20, 20:100]
    assert {tuple(p) for p in edge.tolist()} == {(255, 255, 255), (90, 90, 90)}
    assert (pixels[20, 110:114] == 160).all()


def test_odd_frames_and_boxes_do_not_break_it():
    tiny = np.zeros((3, 2, 3), np.uint8)
    assert drawn(tiny, [Region("a long name of a kind", 1.0, (-5, -5, 9, 9))]).size == (2, 3)
    assert drawn(GREY, [Region("a", 1.0, (70.2, 30.1, 70.3, 30.2))]).size == (160, 120)
    assert drawn(GREY, []).tobytes() == GREY.tobytes()


def test_a_verdict_counts_its_regions():
    regions = tuple(Region(kind, 0.5, (0, 0, 1, 1)) for kind in ("b", "a", "b"))
    assert Verdict("reject", 1.0, "b", {}, regions).counts == {"b": 2, "a": 1}
    assert Verdict("pass", 0.0, "good", {}).counts == {}


@pytest.mark.parametrize("side", [None, 1600])
def test_a_large_picture_has_lines_that_are_seen(side):
    pixels = np.asarray(
        drawn(np.full((1200, 1600, 3), 90, np.uint8), [Region("a", 0.9, (400, 400, 900, 900))], side=side)
    )
    assert (pixels[600, 400:406] == COLOURS[0]).all()

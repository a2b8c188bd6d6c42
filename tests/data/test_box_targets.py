"""Boxes at the network's size: where they go and come from, what the region of interest leaves of them, what is unknown."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.data.box_fit import to_frame, to_input
from visiontune.data.box_targets import IGNORE, PADDING, Boxes, BoxTargets, load_boxes, padded, unpadded
from visiontune.data.fit import Fit
from visiontune.data.read import read
from visiontune.data.samples import Box
from visiontune.runtime.errors import BadData

sides = st.integers(16, 900)
cuts = st.tuples(st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0.6, 1), st.floats(0.6, 1))


@given(sides, sides, sides, sides, st.none() | cuts, st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_a_box_comes_back_to_where_it_was(high, wide, tall, across, roi, seed):
    corners = np.random.default_rng(seed).uniform(-50, 950, (7, 4))
    how = {"frame": (high, wide), "size": (tall, across), "roi": roi}
    assert np.allclose(to_frame(to_input(corners, **how), **how), corners, rtol=0, atol=1e-9)
    assert np.allclose(to_input(to_frame(corners, **how), **how), corners, rtol=0, atol=1e-9)


@given(
    st.integers(30, 120),
    st.integers(30, 120),
    st.tuples(st.integers(16, 96), st.integers(16, 96)),
    st.none() | cuts,
    st.data(),
)
@settings(max_examples=60, deadline=None)
def test_boxes_go_where_the_pixels_of_the_shipped_resize_go(high, wide, size, roi, data):
    """A white rectangle through the very operator of the graph: its centre of mass and area are those of the moved box."""
    x0 = data.draw(st.integers(0, wide - 12))
    y0 = data.draw(st.integers(0, high - 12))
    x1, y1 = data.draw(st.integers(x0 + 10, wide)), data.draw(st.integers(y0 + 10, high))
    frame = np.zeros((high, wide, 3), np.uint8)
    frame[y0:y1, x0:x1] = 255
    seen = Fit(size, roi)(frame)[..., 0] / 255
    moved = to_input(np.array([[x0, y0, x1, y1]]), frame=(high, wide), size=size, roi=roi)[0]
    left, top, right, bottom = np.clip(moved, 0, [size[1], size[0]] * 2)
    if right - left < 3 or bottom - top < 3:
        return
    columns, rows = np.flatnonzero(seen.max(0) > 0.5), np.flatnonzero(seen.max(1) > 0.5)
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert np.abs(np.array(found) - [left, top, right, bottom]).max() <= 1


@pytest.fixture
def parts(tree):
    for name in "abcd":
        tree.picture(f"{name}.png", (40, 20))
    tree.manifest(
        "path,label,boxes",
        "a.png,pit,pit 0 0 10 10 | crack 30 5 40 15 | pit 12 0 18 20 ignore",
        "b.png,good,none",
        "c.png,good,",
        "d.png,crack,",
    )
    return read(tree.root)


def test_what_is_known_of_each_picture(parts):
    found = load_boxes(parts, (40, 20), None, ("crack", "pit"))
    assert len(found) == 4
    first = found[0]
    assert first.corners.dtype == np.float32 and first.kinds.dtype == np.int64
    assert first.corners.tolist() == [[0, 0, 5, 20], [15, 10, 20, 30], [6, 0, 9, 40]]
    assert first.kinds.tolist() == [1, 0, IGNORE]
    assert found.known.tolist() == [True, True, True, False]  # nobody said where the crack of the last one is
    assert [len(one.kinds) for one in (found[1], found[2], found[3])] == [0, 0, 0]


def test_a_defective_picture_said_to_hold_no_box_is_unknown(parts):
    last = replace(parts.samples[3], boxes=())
    assert not load_boxes(replace(parts, samples=(last,)), (40, 20), None, ())[0].known


@pytest.mark.parametrize(
    ("x0", "kind", "left"),
    [(10, 0, [0, 20]), (2.5, 0, [0, 5]), (2.4, IGNORE, [0, 4.8]), (-1, None, None)],
    ids=["inside", "a quarter", "a sliver", "outside"],
)
def test_the_region_of_interest_cuts_boxes(parts, x0, kind, left):
    """The right half of 40 pixels counts, stretched to twice its width; boxes of 10 pixels begin 10 - x0 left of it."""
    boxes = (Box("pit", 10 + x0, 0, 20 + x0, 10), Box("pit", 35, 0, 40, 10))
    share = replace(parts, samples=(replace(parts.samples[0], boxes=boxes),))
    found = load_boxes(share, (20, 40), (0.5, 0, 1, 1), ("pit",))[0]
    assert found.known and found.kinds[-1] == 0
    if kind is None:
        assert len(found.kinds) == 1
    else:
        assert found.kinds[0] == kind
        assert found.corners[0, ::2].tolist() == pytest.approx(left)


def test_a_picture_whose_boxes_all_lie_outside_is_unknown(parts):
    for boxes in [(Box("pit", 0, 0, 9, 9),), (Box("pit", 12, 0, 22, 9),)]:  # out of it; a sliver of it
        share = replace(parts, samples=(replace(parts.samples[0], boxes=boxes),))
        found = load_boxes(share, (20, 40), (0.5, 0, 1, 1), ("pit",))[0]
        assert not found.known and not len(found.kinds)


def test_only_boxes_to_ignore_say_that_the_rest_is_background(parts):
    share = replace(parts, samples=(replace(parts.samples[0], boxes=(Box("pit", 0, 0, 9, 9, ignore=True),)),))
    found = load_boxes(share, (20, 40), None, ())[0]
    assert found.known and found.kinds.tolist() == [IGNORE]


@given(st.floats(0, 39), st.floats(0, 19), st.floats(0.99, 8), st.floats(0.99, 8))
@settings(max_examples=100, deadline=None)
def test_no_box_gets_lost_by_being_small(tmp_path_factory, x0, y0, wide, high):
    from PIL import Image

    root = tmp_path_factory.getbasetemp() / "small"
    root.mkdir(exist_ok=True)
    if not (root / "a.png").exists():
        Image.fromarray(np.zeros((20, 40), np.uint8)).save(root / "a.png")
        (root / "manifest.csv").write_text("path,label,boxes\na.png,pit,pit 0 0 9 9\n")
    data = read(root)
    box = Box("pit", x0, y0, min(40, x0 + wide), min(20, y0 + high))
    share = replace(data, samples=(replace(data.samples[0], boxes=(box,)),))
    found = load_boxes(share, (8, 8), None, ("pit",))[0]
    left, top, right, bottom = found.corners[0].tolist()
    assert found.kinds.tolist() == [0]
    assert right - left >= 1 - 1e-6 and bottom - top >= 1 - 1e-6
    assert left >= 0 and top >= 0 and right <= 8 and bottom <= 8
    exact = np.array([box.x0 / 5, box.y0 / 2.5, box.x1 / 5, box.y1 / 2.5])
    assert np.abs(found.corners[0] - exact).max() <= 1


def test_boxes_that_contradict_are_refused_by_name(parts):
    wrong = replace(parts.samples[1], boxes=(Box("pit", 0, 0, 5, 5),))
    with pytest.raises(BadData, match=r"good class, found some on b\.png"):
        load_boxes(replace(parts, samples=(wrong,)), (20, 40), None, ("pit",))
    harmless = replace(wrong, boxes=(Box("pit", 0, 0, 5, 5, ignore=True),))
    assert load_boxes(replace(parts, samples=(harmless,)), (20, 40), None, ())[0].known
    with pytest.raises(BadData, match="found also pit"):
        load_boxes(parts, (20, 40), None, ("crack",))
    parts.samples[0].path.write_bytes(b"no picture")
    with pytest.raises(BadData, match=r"a\.png: expected a picture"):
        load_boxes(parts, (20, 40), None, ("crack", "pit"))


counts = st.lists(st.integers(0, 5), min_size=1, max_size=6)


@given(counts, st.integers(0, 2**32))
def test_padding_is_taken_off_again(tmp_path_factory, counts, seed):
    rng = np.random.default_rng(seed)
    pictures = [
        Boxes(
            rng.uniform(0, 9, (n, 4)).astype(np.float32), rng.choice([IGNORE, 0, 3], n), bool(n) or n % 2 == 0
        )
        for n in counts
    ]
    boxes, kinds, known = padded(pictures)
    assert boxes.shape == (len(counts), max(1, *counts, 1), 4) and boxes.dtype == np.float32
    assert (boxes[kinds == PADDING] == 0).all() and known.dtype == np.bool_
    path = tmp_path_factory.getbasetemp() / "boxes.npz"
    BoxTargets.of(pictures).save(path)
    again = BoxTargets.load(path)
    assert again.tobytes() == BoxTargets.of(pictures).tobytes()
    for one, two, three in zip(pictures, unpadded(boxes, kinds, known), again, strict=True):
        for other in (two, three):
            assert np.array_equal(one.corners, other.corners) and np.array_equal(one.kinds, other.kinds)
            assert one.known == other.known

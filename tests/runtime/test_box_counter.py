"""Boxes against objects: every figure against a slow count, COCO's own code where it is installed, and odd pictures."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.line_models import a_card
from tests.runtime.plain_coco import average, iou, of_one_picture
from visiontune.runtime.box_counter import BoxCounter
from visiontune.runtime.box_match import THRESHOLDS, matched
from visiontune.runtime.box_overlap import overlaps
from visiontune.runtime.detection_table import detection_lines
from visiontune.runtime.errors import BadData
from visiontune.runtime.region_bands import RegionBands
from visiontune.runtime.verdict import Proposals

CLASSES = ("good", "crack", "scratch")
FRAME = (40, 60)
SHOWN = 0.4
CARD = a_card(regions=RegionBands(low=SHOWN, high=SHOWN))


@dataclass(frozen=True)
class Box:
    kind: str
    x0: float
    y0: float
    x1: float
    y1: float
    ignore: bool = False

    @property
    def corners(self):
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True)
class Part:
    label: str
    boxes: tuple[Box, ...] | None
    path: Path = Path("a.png")
    group: str = "a"


def proposals(proposed):
    """Of (kind, score, corners), in any order."""
    proposed = sorted(proposed, key=lambda one: -one[1])
    return Proposals(
        np.array([corners for *_, corners in proposed], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in proposed], np.float32),
        np.array([CLASSES.index(kind) for kind, *_ in proposed], np.int64),
    )


def counted(pictures, card=CARD, confidence=0.95):
    counter = BoxCounter.of(card)
    for part, proposed in pictures:
        counter.add(part, FRAME, proposals(proposed))
    return counter.result(confidence)


@st.composite
def corners(draw):
    """Of a coarse grid, so that boxes coincide, touch, hold each other and tie."""
    x0, y0 = draw(st.integers(0, 5)), draw(st.integers(0, 5))
    return tuple(4.0 * v for v in (x0, y0, x0 + draw(st.integers(1, 4)), y0 + draw(st.integers(1, 4))))


defects = st.sampled_from(CLASSES[1:])
drawn = st.builds(lambda kind, at, ignore: Box(kind, *at, ignore), defects, corners(), st.booleans())
proposal = st.tuples(defects, st.sampled_from([0.125, 0.25, 0.375, 0.5, 0.75, 1.0]), corners())
picture = st.tuples(st.lists(drawn, max_size=5), st.lists(proposal, max_size=7))


def as_part(boxes):
    return Part("crack" if boxes else "good", tuple(boxes))


@given(st.lists(picture, min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_every_figure_is_that_of_a_slow_count(pictures):
    found = counted([(as_part(boxes), proposed) for boxes, proposed in pictures])
    objects = [(box, proposed) for boxes, proposed in pictures for box in boxes if not box.ignore]
    if not objects:
        assert found is None
        return
    kinds = sorted({box.kind for box, _ in objects})
    assert list(found.kinds) == kinds and found.objects == len(objects)
    rights = shown = 0
    for kind in CLASSES[1:]:
        own = [
            (
                [(s, c) for k, s, c in sorted(proposed, key=lambda one: -one[1]) if k == kind],
                [(box.corners, box.ignore) for box in boxes if box.kind == kind],
            )
            for boxes, proposed in pictures
        ]
        if kind in kinds:
            by_hand = [average(own, threshold) for threshold in THRESHOLDS]
            one = found.kinds[kind]
            assert one.ap == pytest.approx(np.mean([ap for ap, _ in by_hand]), abs=1e-12)
            assert one.ap50 == pytest.approx(by_hand[0][0], abs=1e-12)
            assert one.ar == pytest.approx(np.mean([recall for _, recall in by_hand]), abs=1e-12)
            assert one.objects == sum(box.kind == kind for box, _ in objects)
        for boxes, theirs in own:
            strong = [box for box in boxes if box[0] >= SHOWN]
            told = of_one_picture(strong, theirs, 0.5)
            rights += told.count(True)
            shown += len(told) - told.count(None)
    assert found.map == pytest.approx(np.mean([one.ap for one in found.kinds.values()]))
    assert (found.right.hits, found.right.of) == (rights, shown)
    on = [
        [k for k, s, c in proposed if s >= SHOWN and iou(c, box.corners) >= 0.5] for box, proposed in objects
    ]
    assert found.found.hits == sum(bool(names) for names in on)
    named = sum(box.kind in names for (box, _), names in zip(objects, on, strict=True))
    assert (found.named.hits, found.named.of) == (named, found.found.hits)
    goods = [proposed for boxes, proposed in pictures if not boxes]
    assert found.good == len(goods) and found.pictures == len(pictures)
    if goods:
        alarms = [sum(score >= SHOWN for _, score, _ in proposed) for proposed in goods]
        assert found.false_boxes.count == sum(alarms)
        assert found.good_with_false.hits == sum(map(bool, alarms))
        # one false box in 100 good pictures is none in so few
        worst = max((score for proposed in goods for _, score, _ in proposed), default=0)
        assert found.found_at.found.hits == sum(
            any(s > worst and iou(c, box.corners) >= 0.5 for _, s, c in proposed) for box, proposed in objects
        )


def by_pycocotools(pictures):
    """(mAP, AP50, AR) of COCO's own code."""
    coco = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    images = [{"id": at + 1, "width": 60, "height": 40} for at in range(len(pictures))]
    wanted, boxes = [], []
    for at, (drawn, proposed) in enumerate(pictures):
        for box in drawn:
            x0, y0, x1, y1 = box.corners
            sides = [x0, y0, x1 - x0, y1 - y0]
            wanted.append(
                {
                    "id": len(wanted) + 1,
                    "image_id": at + 1,
                    "category_id": CLASSES.index(box.kind),
                    "bbox": sides,
                    "area": sides[2] * sides[3],
                    "iscrowd": int(box.ignore),
                }
            )
        for kind, score, (x0, y0, x1, y1) in proposed:
            boxes.append(
                {
                    "image_id": at + 1,
                    "category_id": CLASSES.index(kind),
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "score": score,
                }
            )
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO()
        truth.dataset = {
            "images": images,
            "annotations": wanted,
            "categories": [{"id": n, "name": name} for n, name in enumerate(CLASSES)],
            "info": {},
        }
        truth.createIndex()
        judged = COCOeval(truth, truth.loadRes(boxes), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return judged.stats[0], judged.stats[1], judged.stats[8]


def crowded(seed, pictures=40):
    """Pictures as a detector answers them: boxes near objects, doubles, boxes elsewhere, objects to be ignored."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(pictures):
        drawn, proposed = [], []
        for _ in range(rng.integers(0, 6)):
            x0, y0 = rng.uniform(0, 30, 2)
            wide, high = rng.uniform(2, 28, 2)
            at = np.array([x0, y0, x0 + wide, y0 + high])
            drawn.append(Box(CLASSES[rng.integers(1, 3)], *at, bool(rng.random() < 0.15)))
            for _ in range(rng.integers(0, 4)):
                moved = at + rng.normal(0, 0.12, 4) * [wide, high, wide, high]
                if moved[0] < moved[2] and moved[1] < moved[3]:
                    kind = drawn[-1].kind if rng.random() < 0.8 else CLASSES[rng.integers(1, 3)]
                    proposed.append((kind, float(np.float32(rng.random())), tuple(map(float, moved))))
        for _ in range(rng.integers(0, 3)):
            x0, y0 = rng.uniform(0, 40, 2)
            proposed.append(("crack", float(np.float32(rng.random())), (x0, y0, x0 + 9.0, y0 + 7.0)))
        made.append((drawn, proposed))
    return made


@pytest.mark.parametrize("seed", range(4))
def test_the_averages_are_those_of_pycocotools(seed):
    pictures = crowded(seed)
    found = counted([(as_part(boxes), proposed) for boxes, proposed in pictures])
    wanted = by_pycocotools(pictures)
    assert (found.map, found.ap50, found.ar) == pytest.approx(wanted, abs=1e-6)


@given(st.lists(corners(), max_size=6), st.lists(st.tuples(corners(), st.booleans()), max_size=6))
def test_overlaps_are_those_of_a_slow_count(boxes, others):
    found = overlaps(
        np.array(boxes).reshape(-1, 4),
        np.array([at for at, _ in others]).reshape(-1, 4),
        np.array([crowd for _, crowd in others], bool),
    )
    assert found.shape == (len(boxes), len(others))
    assert found.tolist() == [[pytest.approx(iou(a, b, crowd)) for b, crowd in others] for a in boxes]


def test_boxes_without_area_overlap_nothing():
    flat = np.array([[3, 3, 3, 9], [5, 5, 4, 9], [0, 0, 0, 0]])
    assert not overlaps(flat, np.array([[0, 0, 10, 10.0]])).any()
    assert not overlaps(flat, flat).any()


def test_no_object_is_found_twice_and_crowds_take_any_number():
    same = np.array([[0, 0, 10, 10]] * 3)
    one = matched(overlaps(same, same[:1]), np.array([False]))
    assert one.tolist() == [[0, -1, -1]] * 10
    crowd = np.array([True])
    assert matched(overlaps(same, same[:1], crowd), crowd).tolist() == [[0, 0, 0]] * 10


def test_pictures_of_which_nobody_said_where_are_left_out():
    sure = [("crack", 0.9, (0.0, 0.0, 8.0, 8.0))]
    pictures = [
        (Part("crack", (Box("crack", 0, 0, 8, 8),)), sure),
        (Part("crack", None), sure),
        (Part("scratch", ()), sure),  # said to hold none, and yet defective
        (Part("good", None), []),
        (Part("good", (Box("crack", 0, 0, 8, 8),), Path("b.png")), sure),
    ]
    found = counted(pictures)
    assert (found.pictures, found.good, found.without_boxes, found.boxed_good) == (2, 1, 2, ("b.png",))
    assert (found.map, found.found.hits, found.false_boxes.count) == (1.0, 1, 0)
    lines = "\n".join(detection_lines(found, 12))
    assert "left out: 2 defective pictures without boxes" in lines
    assert "left out: 1 good pictures that carry boxes: b.png" in lines
    assert counted(pictures[1:4]) is None


def test_a_sorter_has_no_good_pictures():
    card = replace(CARD, classes=("crack", "scratch"), good=None)
    counter = BoxCounter.of(card)
    told = proposals([("crack", 0.9, (0.0, 0.0, 8.0, 8.0))])
    counter.add(
        Part("crack", (Box("crack", 0, 0, 8, 8),)),
        FRAME,
        told._replace(kinds=np.zeros(1, int)),
    )
    found = counter.result(0.95)
    assert found.false_boxes is found.good_with_false is found.found_at is None
    assert found.ap50 == 1 and found.good == 0
    assert "good picture" not in "\n".join(detection_lines(found, 12))


def test_an_object_outside_the_region_of_interest_is_missed_and_said():
    card = replace(CARD, input=replace(CARD.input, roi=(0.5, 0.0, 1.0, 1.0)))
    counter = BoxCounter.of(card)
    counter.add(Part("crack", (Box("crack", 0, 0, 8, 8), Box("crack", 40, 0, 50, 9))), FRAME, proposals([]))
    found = counter.result(0.95)
    assert (found.outside, found.found.hits, found.found.of, found.map) == (1, 0, 2, 0.0)
    assert "1 lie outside the region of interest" in "\n".join(detection_lines(found, 12))


def test_a_kind_that_the_model_does_not_know_is_refused_unless_it_is_to_be_ignored():
    told = proposals([("crack", 0.9, (0.0, 0.0, 8.0, 8.0))])
    with pytest.raises(BadData, match=r"a\.png: expected boxes of good, crack, scratch, found one of dent"):
        BoxCounter.of(CARD).add(Part("crack", (Box("dent", 0, 0, 8, 8),)), FRAME, told)
    counter = BoxCounter.of(CARD)
    counter.add(
        Part("crack", (Box("dent", 0, 0, 8, 8, ignore=True), Box("scratch", 20, 20, 30, 30))), FRAME, told
    )
    found = counter.result(0.95)
    assert (found.ignored, found.right.of) == (1, 0)  # the box lies in it and is neither right nor false


def test_a_model_without_boxes_is_not_measured():
    counter = BoxCounter.of(CARD)
    counter.add(Part("crack", (Box("crack", 0, 0, 8, 8),)), FRAME, None)
    assert counter.result(0.95) is None


def test_a_box_at_the_very_band_counts_as_it_does_on_the_line():
    pictures = [
        (Part("crack", (Box("crack", 0, 0, 8, 8),)), [("crack", score, (0.0, 0.0, 8.0, 8.0))])
        for score in (SHOWN, np.nextafter(np.float32(SHOWN), np.float32(0)))
    ]
    assert counted(pictures).found.hits == 1  # though float32(0.4) is not 0.4

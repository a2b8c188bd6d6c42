"""Geometry of boxes against counting squares and plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.heads.boxes import agreed, areas, generalised, inside, overlaps, reaching, strongest, within
from visiontune.heads.suppression import Suppression

SIDE = 9
edge = st.integers(0, SIDE)
box = st.tuples(edge, edge, edge, edge).map(
    lambda e: (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]), max(e[1], e[3]))
)


def squares(one):
    """The unit squares of a box with whole corners."""
    x0, y0, x1, y1 = one
    return {(x, y) for x in range(x0, x1) for y in range(y0, y1)}


def slow_overlap(one, other):
    both, either = squares(one) & squares(other), squares(one) | squares(other)
    return len(both) / len(either) if either else 0.0


def slow_generalised(one, other):
    either = squares(one) | squares(other)
    low, high = [min(one[at], other[at]) for at in (0, 1)], [max(one[at], other[at]) for at in (2, 3)]
    around = len(squares((*low, *high)))
    return slow_overlap(one, other) - ((around - len(either)) / around if around else 0.0)


@given(box, box)
def test_overlaps_are_counted_squares(one, other):
    here, there = torch.tensor([one, other], dtype=torch.float32)
    assert areas(here).item() == len(squares(one))
    assert overlaps(here, there).item() == pytest.approx(slow_overlap(one, other), abs=1e-6)
    assert generalised(here, there).item() == pytest.approx(slow_generalised(one, other), abs=1e-6)


def test_boxes_turned_inside_out_have_no_area_and_meet_nothing():
    turned, whole = torch.tensor([5.0, 5, 2, 2]), torch.tensor([0.0, 0, 9, 9])
    assert areas(turned) == 0
    assert overlaps(turned, whole) == 0


def test_generalised_overlap_draws_boxes_together_that_do_not_meet():
    far = torch.tensor([[20.0, 20, 21, 21]], requires_grad=True)
    generalised(far, torch.tensor([[0.0, 0, 4, 4]])).sum().backward()
    assert (far.grad[0, :2] < 0).all()  # nearer is better


@given(st.lists(box, min_size=1, max_size=5), st.lists(st.tuples(edge, edge), min_size=1, max_size=5))
def test_points_are_inside_only_between_the_borders(boxes, points):
    found = inside(torch.tensor(points).float(), torch.tensor(boxes).float())
    assert found.tolist() == [[x0 < x < x1 and y0 < y < y1 for x, y in points] for x0, y0, x1, y1 in boxes]


@given(box, st.tuples(edge, edge))
def test_a_box_is_where_its_distances_reach(corners, point):
    x, y = point
    x0, y0, x1, y1 = corners
    distances = torch.tensor([x - x0, y - y0, x1 - x, y1 - y]).float()
    assert reaching(torch.tensor(point).float(), distances).tolist() == list(corners)


def test_boxes_end_at_the_border():
    found = within(torch.tensor([[-3.0, 2, 30, 4], [5, 50, 6, 60]]), (20, 10))
    assert found.tolist() == [[0, 2, 10, 4], [5, 20, 6, 20]]


def slow_strongest(boxes, scores, least, overlap, most):
    """Kind by kind: the strongest of what is left stays, and all that it overlaps too far goes."""
    stay = []
    for kind in range(len(scores[0])):
        left = sorted(
            (at for at in range(len(boxes)) if scores[at][kind] > least), key=lambda at: -scores[at][kind]
        )
        kept = []
        while left and len(kept) < most:
            first, *left = left
            kept.append(first)
            left = [at for at in left if slow_overlap(boxes[first], boxes[at]) <= overlap]
        stay += [(-scores[at][kind], kind, at) for at in kept]
    stay.sort()
    rows = [(*boxes[at], -score, kind) for score, kind, at in stay[:most]]
    return rows + [(0,) * 6] * (most - len(rows))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_strongest_stay(data):
    kinds = data.draw(st.integers(1, 3))
    boxes = data.draw(st.lists(box, min_size=1, max_size=8))
    levels = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
    scores = data.draw(
        st.lists(st.lists(levels, min_size=kinds, max_size=kinds), min_size=len(boxes), max_size=len(boxes))
    )
    overlap, most = data.draw(st.sampled_from([0.2, 0.5, 0.6])), data.draw(st.integers(1, 30))
    found = strongest(
        torch.tensor(boxes).float(), torch.tensor(scores), least=0.1, overlap=overlap, most=most
    )
    rows = [(*b, s, k) for b, s, k in zip(*(one.tolist() for one in found), strict=True)]
    assert rows == slow_strongest(boxes, scores, 0.1, overlap, most)


def test_equal_boxes_of_two_kinds_both_stay():
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]])
    found, scores, kinds = strongest(
        boxes, torch.tensor([[0.9, 0.8], [0.7, 0.2]]), least=0.05, overlap=0.6, most=4
    )
    assert scores.tolist() == pytest.approx([0.9, 0.8, 0, 0])
    assert kinds.tolist() == [0, 1, 0, 0]
    assert not found[2:].any()


def slow_agreed(chosen, kind, boxes, scores):
    """The mean of the boxes around a chosen one, by their weights."""
    weights = [
        (scores[at][kind] * max(0, slow_overlap(chosen, one) - 0.4)) ** 2 for at, one in enumerate(boxes)
    ]
    if not sum(weights):
        return chosen
    return [
        sum(w * one[edge] for w, one in zip(weights, boxes, strict=True)) / sum(weights) for edge in range(4)
    ]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_boxes_lie_where_their_neighbours_agree(data):
    boxes = data.draw(st.lists(box, min_size=1, max_size=8))
    levels = st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0])
    scores = data.draw(
        st.lists(st.lists(levels, min_size=2, max_size=2), min_size=len(boxes), max_size=len(boxes))
    )
    chosen = data.draw(st.lists(box, min_size=1, max_size=3))
    kinds = data.draw(st.lists(st.integers(0, 1), min_size=len(chosen), max_size=len(chosen)))
    found = agreed(
        torch.tensor(chosen).float(), torch.tensor(kinds), torch.tensor(boxes).float(), torch.tensor(scores)
    )
    expected = [slow_agreed(one, kind, boxes, scores) for one, kind in zip(chosen, kinds, strict=True)]
    assert found.numpy() == pytest.approx(np.array(expected), abs=1e-4)


def test_no_mean_lies_beyond_the_boxes_it_is_of():
    """Not by a rounding either: the border of the picture ends them all."""
    draw = torch.Generator().manual_seed(0)
    boxes = torch.tensor([0.1, 0.1, 127.9, 127.9]).expand(200, 4)
    scores = torch.rand(200, 50, generator=draw)
    found = agreed(boxes[:50], torch.arange(50), boxes, scores)
    assert (found == boxes[:50]).all()


def test_a_box_that_stays_moves_towards_a_weaker_one_that_went():
    boxes = torch.tensor([[0.0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]])
    scores = torch.tensor([[0.8], [0.4], [0.6]])
    rules = Suppression(least=0.05, overlap=0.5, most=2, named=(0,))
    found, strength, _ = rules.left(boxes[None], scores[None])
    assert strength[0].tolist() == pytest.approx([0.8, 0.6])
    assert 0 < found[0, 0, 0] < 1 and found[0, 0, 2] == pytest.approx(float(found[0, 0, 0]) + 10, abs=1e-4)
    assert found[0, 1].tolist() == [50, 50, 60, 60]

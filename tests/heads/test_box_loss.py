"""The loss of boxes against plain arithmetic, and what it leaves out."""

import math

import pytest
import torch

from visiontune.heads.assign import IGNORE, PADDING, assigned
from visiontune.heads.box_loss import FIT, SCORES, box_losses
from visiontune.heads.boxes import generalised, reaching
from visiontune.heads.levels import centres

GRIDS, STRIDES = [(4, 4), (2, 2)], (8, 16)
POINTS, SIDES = centres(GRIDS, STRIDES)
BOXES = torch.tensor(
    [[[3.0, 3, 17, 20], [12, 4, 30, 30]], [[0, 0, 6, 7], [0, 0, 0, 0]], [[0, 0, 0, 0], [0, 0, 0, 0]]]
)
KINDS = torch.tensor([[0, 1], [1, PADDING], [PADDING, PADDING]])


def said(seed=0, n=3):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, len(POINTS), 2, generator=rng), 4 + 12 * torch.rand(
        n, len(POINTS), 4, generator=rng
    )


def losses(logits, distances, boxes=BOXES, kinds=KINDS, known=None):
    known = torch.ones(len(logits), dtype=torch.bool) if known is None else torch.tensor(known)
    return box_losses(logits, distances, POINTS, SIDES, boxes, kinds, known)


def slow(logits, distances, boxes, kinds):
    """Losses of the pictures, cell by cell."""
    predicted = reaching(POINTS, distances)
    goal = assigned(logits.sigmoid(), predicted, POINTS, SIDES, boxes, kinds)
    rows = []
    for n in range(len(logits)):
        of_scores, objects = 0.0, {}
        for at in range(len(POINTS)):
            owner = goal.owner[n, at].item()
            if owner < 0 and not goal.counts[n, at]:
                continue
            for kind in range(2):
                target = goal.target[n, at].item() if owner >= 0 and kinds[n, owner] == kind else 0.0
                p = 1 / (1 + math.exp(-logits[n, at, kind].item()))
                entropy = -target * math.log(p) - (1 - target) * math.log(1 - p)
                of_scores += (target - p) ** 2 * entropy
            if owner >= 0:
                apart = 1 - generalised(predicted[n, at], boxes[n, owner]).item()
                objects.setdefault(owner, []).append((goal.target[n, at].item() + 1e-6, apart))
        of_boxes = sum(sum(w * a for w, a in cells) / sum(w for w, _ in cells) for cells in objects.values())
        rows.append(SCORES * of_scores + FIT * of_boxes)
    return rows


def test_it_is_the_plain_sum():
    logits, distances = said()
    boxes_to_a_picture = 3 / 3
    expected = [row / boxes_to_a_picture for row in slow(logits, distances, BOXES, KINDS)]
    assert losses(logits, distances).tolist() == pytest.approx(expected, rel=1e-4)


def test_pictures_whose_boxes_are_not_known_lose_nothing_and_move_nothing():
    logits, distances = (one.requires_grad_() for one in said())
    found = losses(logits, distances, known=[True, False, True])
    found.sum().backward()
    assert found[1] == 0
    assert not logits.grad[1].any()
    assert not distances.grad[1].any()
    assert logits.grad[2].any()  # a good picture is one whose boxes are known: none
    assert losses(logits, distances, known=[False] * 3).tolist() == [0, 0, 0]


def test_ignored_boxes_are_neither_object_nor_background():
    logits, distances = (one[:1].requires_grad_() for one in said())
    boxes = torch.tensor([[[0.0, 0, 16, 16]]])
    losses(logits, distances, boxes, torch.tensor([[IGNORE]])).sum().backward()
    inside = ((POINTS > 0) & (POINTS < 16)).all(dim=1)
    assert inside.sum() == 5
    assert not logits.grad[0, inside].any()
    assert logits.grad[0, ~inside].all()
    assert distances.grad is None or not distances.grad.any()


def test_what_fits_loses_less_than_what_does_not():
    target = BOXES[0]
    inside = (
        ((target[:, None, :2] < POINTS) & (target[:, None, 2:] > POINTS)).all(dim=2).float().argmax(dim=1)
    )
    distances = torch.full((1, len(POINTS), 4), 4.0)
    logits = torch.full((1, len(POINTS), 2), -6.0)
    worse = losses(logits, distances, BOXES[:1], KINDS[:1])
    for owner, at in enumerate(inside.tolist()):
        distances[0, at] = torch.cat([POINTS[at] - target[owner, :2], target[owner, 2:] - POINTS[at]])
        logits[0, at, KINDS[0, owner]] = 6.0
    assert losses(logits, distances, BOXES[:1], KINDS[:1]) < worse / 2

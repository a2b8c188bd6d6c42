"""The loss of a detector of boxes: scores that say how well a cell's box fits, and boxes that fit."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from visiontune.heads.assign import Assigned, assigned
from visiontune.heads.boxes import generalised, reaching

SCORES, FIT = 1.0, 6.0  # weights; on val of NEU steel 2, 4 and 10 gave a lower mAP


def box_losses(
    logits: Tensor,
    distances: Tensor,
    points: Tensor,
    strides: Tensor,
    boxes: Tensor,
    kinds: Tensor,
    known: Tensor,
) -> Tensor:
    """Loss of each picture (N,), divided by the batch's mean number of boxes; 0 where its boxes are not `known`.

    logits     (N, P, K), log odds that a cell says a box of this kind, and well
    distances  (N, P, 4), pixels from the cell's centre to the left, upper, right and lower edge of its box
    points     (P, 2), x and y of the centres in pixels; strides (P,), the cells' sides
    boxes      (N, M, 4), kinds int64 (N, M) and known bool (N,), as in a batch

    Scores: quality focal loss (Li et al. 2020, arXiv 2006.04388) of every cell and kind against the target of `assigned`.
    Boxes: 1 - GIoU of each object's cells, weighed by their targets, so that each object counts alike.
    """
    predicted = reaching(points, distances)
    goal = assigned(logits.sigmoid(), predicted, points, strides, boxes, kinds)
    of_scores = score_losses(logits, kinds, goal)
    of_boxes = fit_losses(predicted, boxes, goal)
    found = SCORES * of_scores + FIT * of_boxes
    count = ((kinds >= 0) & known[:, None]).sum() / known.sum().clamp(min=1)
    return torch.where(known, found / count.clamp(min=1), torch.zeros_like(found))


def score_losses(logits: Tensor, kinds: Tensor, goal: Assigned) -> Tensor:
    """Quality focal loss of each picture (N,), summed over its cells and kinds."""
    kind = kinds.gather(1, goal.owner.clamp(min=0)).clamp(min=0)  # (N, P)
    owned = goal.target * (goal.owner >= 0)
    target = torch.zeros_like(logits).scatter_(2, kind[..., None], owned[..., None].to(logits.dtype))
    wrong = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    loss = (target - logits.sigmoid()).abs() ** 2 * wrong
    return (loss.sum(dim=2) * goal.counts).sum(dim=1)


def fit_losses(predicted: Tensor, boxes: Tensor, goal: Assigned) -> Tensor:
    """1 - GIoU of each picture (N,), summed over its objects, in each the mean over its cells by their targets."""
    picture, cell = torch.nonzero(goal.owner >= 0, as_tuple=True)
    owner = goal.owner[picture, cell]
    apart = 1 - generalised(predicted[picture, cell], boxes[picture, owner])
    # where no cell's box meets the object all targets are 0, and its cells count alike
    weight = goal.target[picture, cell] + 1e-6
    objects = picture * boxes.shape[1] + owner
    total = weight.new_zeros(boxes.shape[0] * boxes.shape[1]).index_add_(0, objects, weight)
    shares = weight / total[objects]
    return apart.new_zeros(len(boxes)).index_add_(0, picture, shares * apart)

"""How far a detector's boxes fall short of the true ones, picture by picture: by this an epoch is judged."""

from __future__ import annotations

import torch
from torch import Tensor

from visiontune.heads.assign import IGNORE
from visiontune.heads.boxes import areas, overlaps

FOUND = 0.5  # IoU from which a box says an object
WITHIN = 0.5  # share of a box in one to be ignored, from which it does not count


def shortfalls(
    found: Tensor, scores: Tensor, named: Tensor, boxes: Tensor, kinds: Tensor, known: Tensor
) -> Tensor:
    """What the boxes of each picture lack, (N,): 0 where every object has one box, exact and sure; 1 where nothing is said.

    found, scores, named  boxes (N, R, 4), scores (N, R) and kinds (N, R), strongest first; score 0 is padding
    boxes, kinds, known   (N, M, 4), (N, M) and (N,), as in a batch

    The box that says an object is the strongest of those that overlap it most, from an IoU of 0.5 on. What it is worth is its
    IoU, of every other box 0. A score that differs from the worth costs the square of the difference, and an object what its
    box is not worth, 1 - worth ** 2: so scores that are the expected worth cost least (Brier 1950), and a box that is sure and
    wrong costs more than none. The sum is divided by the picture's objects, and is 0 where they are not `known`.

    The loss that is learned from does not tell a better network from a worse one: it asks for more of boxes that fit better.
    """
    share = overlaps(found[:, :, None], boxes[:, None])  # (N, R, M)
    alike = (named[:, :, None] == kinds[:, None]) & (kinds >= 0)[:, None] & (scores > 0)[:, :, None]
    share = torch.where(alike, share, torch.zeros_like(share))
    most, best = share.max(dim=2)
    hits = (most >= FOUND)[:, :, None] & (
        best[:, :, None] == torch.arange(boxes.shape[1], device=best.device)
    )
    first = hits & (hits.cumsum(dim=1) == 1)
    worth = (first * (scores * (2 * most - scores))[:, :, None]).sum(dim=(1, 2))
    objects = (kinds >= 0).sum(dim=1)
    extra = ~first.any(dim=2) & ~ignored(found, boxes, kinds)
    lacking = objects - worth + (extra * scores.square()).sum(dim=1)
    return torch.where(known, lacking / objects.clamp(min=1), torch.zeros_like(worth))


def ignored(found: Tensor, boxes: Tensor, kinds: Tensor) -> Tensor:
    """Whether half of a box of `found` (N, R, 4) lies in one of `boxes` (N, M, 4) that is to be ignored: (N, R)."""
    low = torch.maximum(found[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(found[:, :, None, 2:], boxes[:, None, :, 2:])
    inside = (high - low).clamp(min=0).prod(dim=3) >= WITHIN * areas(found)[:, :, None]
    return (inside & (kinds == IGNORE)[:, None]).any(dim=2)

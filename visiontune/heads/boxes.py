"""Geometry of boxes: how far two overlap, how far a box reaches from a point, which of overlapping boxes stay, and where."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

TINY = 1e-9  # square pixels; keeps a ratio finite where there is no area, and moves none otherwise
AGREE = 0.4  # IoU above which a cell's box has a say in where a box that stays lies


def areas(boxes: Tensor) -> Tensor:
    """Areas (...) of boxes (..., 4), x0, y0, x1, y1; 0 for those turned inside out."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp(min=0).prod(dim=-1)


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union, 0..1, of boxes (..., 4) that broadcast; 0 where neither has an area."""
    return _shares(one, other)[0]


def generalised(one: Tensor, other: Tensor) -> Tensor:
    """GIoU, -1..1, of boxes as in `overlaps`: less where they are apart, the more the further (Rezatofighi 2019, 1902.09630)."""
    share, union = _shares(one, other)
    low, high = torch.minimum(one[..., :2], other[..., :2]), torch.maximum(one[..., 2:], other[..., 2:])
    around = (high - low).clamp(min=0).prod(dim=-1)
    return share - (around - union) / (around + TINY)


def _shares(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union, and union."""
    low, high = torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])
    both = (high - low).clamp(min=0).prod(dim=-1)
    union = areas(one) + areas(other) - both
    return both / (union + TINY), union


def reaching(points: Tensor, distances: Tensor) -> Tensor:
    """Boxes (..., 4) that reach so far, (..., 4) to the left, up, to the right and down, from points (..., 2)."""
    return torch.cat([points - distances[..., :2], points + distances[..., 2:]], dim=-1)


def inside(points: Tensor, boxes: Tensor) -> Tensor:
    """Whether points (P, 2) lie within boxes (..., 4), (..., P); the border is outside."""
    low, high = boxes[..., None, :2], boxes[..., None, 2:]
    return ((points > low) & (points < high)).all(dim=-1)


def within(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Boxes (..., 4) cut off at the border of a picture of `size` (h, w)."""
    limits = [boxes[..., at].clamp(0, size[1 - at % 2]) for at in range(4)]
    return torch.stack(limits, dim=-1)


def strongest(
    boxes: Tensor, scores: Tensor, *, least: float, overlap: float, most: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What stays of a picture's boxes (P, 4) with scores (P, K) after suppression within each kind.

    Boxes (most, 4), scores (most,) and kinds int64 (most,), strongest first, padded with 0. Only scores above `least` count; a
    box goes where a stronger one of its kind that stays overlaps it by more than `overlap`. Equal scores stay in order of
    kind, then of P. This is ONNX's NonMaxSuppression, at most `most` of each kind, and then TopK.
    """
    # in float32, as the graph compares
    least, overlap = float(np.float32(least)), float(np.float32(overlap))
    stay = torch.zeros_like(scores.T)  # (K, P)
    for kind, row in enumerate(scores.T):
        some = torch.nonzero(row > least)[:, 0]
        kept = some[nms(boxes[some], row[some], overlap)[:most]]
        stay[kind, kept] = row[kept]
    flat = stay.flatten()
    order = flat.argsort(descending=True, stable=True)[:most]
    found = flat[order]
    real = found > 0
    kinds, at = order // scores.shape[0], order % scores.shape[0]
    empty = most - len(order)
    return (
        _padded(torch.where(real[:, None], boxes[at], torch.zeros_like(boxes[at])), empty),
        _padded(found, empty),
        _padded(torch.where(real, kinds, torch.zeros_like(kinds)), empty),
    )


def agreed(chosen: Tensor, kinds: Tensor, boxes: Tensor, scores: Tensor) -> Tensor:
    """Where boxes that stay (R, 4), of kinds int64 (R,), lie by what all of a picture's boxes (P, 4) with scores (P, K) say.

    Each becomes the mean of those around it, weighed by the square of their score for its kind times their IoU with it above
    0.4 (box voting, Gidaris and Komodakis 2015, arXiv 1505.01749): neighbours' errors differ, and their mean errs less. A box
    without such neighbours stays where it is.
    """
    share = overlaps(chosen[:, None], boxes)  # (R, P)
    weights = (scores.T[kinds] * (share - AGREE).clamp(min=0)).square()
    total = weights.sum(dim=1, keepdim=True)
    heard = total > 0
    mean = weights @ boxes / torch.where(heard, total, torch.ones_like(total))
    # rounding must not carry a mean over the border at which all boxes end
    mean = torch.minimum(torch.maximum(mean, boxes.amin(dim=0)), boxes.amax(dim=0))
    return torch.where(heard, mean, chosen)


def _padded(rows: Tensor, more: int) -> Tensor:
    """With so many more rows of 0."""
    return torch.cat([rows, rows.new_zeros(more, *rows.shape[1:])]) if more else rows

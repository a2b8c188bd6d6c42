"""Which cells shall say which box: task-aligned assignment, by what the network says of them already."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from visiontune.heads.boxes import inside, overlaps

PADDING, IGNORE = -1, -2  # of the batch's kinds of boxes
TOP = 10  # cells to a box
SCORE_POWER = 1.0  # of the alignment
OVERLAP_POWER = 3.0  # 6, as in TOOD, and 2 gave a lower mAP on val of NEU steel
NEAR = 1e-9  # decides between cells none of whose boxes meet the object


@dataclass(frozen=True, kw_only=True)
class Assigned:
    """What the cells of N pictures shall say.

    owner   int64 (N, P), the box that a cell says, -1 for none
    target  float (N, P), 0..1, the score that it shall have for the box's kind
    counts  bool (N, P): not where a cell without an owner lies in a box to be ignored
    """

    owner: Tensor
    target: Tensor
    counts: Tensor


def assigned(
    scores: Tensor,
    predicted: Tensor,
    points: Tensor,
    strides: Tensor,
    boxes: Tensor,
    kinds: Tensor,
    *,
    top: int = TOP,
) -> Assigned:
    """Task-aligned assignment (Feng et al. 2021, TOOD, arXiv 2108.07755), without gradient.

    scores     (N, P, K), 0..1
    predicted  (N, P, 4), boxes that the cells say, in pixels
    points     (P, 2), x and y of the cells' centres in pixels; strides (P,), their sides
    boxes      (N, M, 4); kinds int64 (N, M), -1 padding, -2 to be ignored

    A cell is aligned with a box by score x IoU ** 3. Those whose centre lies in the box may say it; the `top` best aligned do.
    A box so small that no centre lies in it is said by the cell of the finest map that is nearest. A cell that several want
    says the one it overlaps most. The best cell of a box shall have its IoU as score, the others less, by alignment.
    """
    with torch.no_grad():
        real = kinds >= 0
        share = overlaps(predicted[:, None], boxes[:, :, None])  # (N, M, P)
        by_kind = scores.transpose(1, 2)
        rows = kinds.clamp(min=0)[:, :, None].expand(-1, -1, scores.shape[1])
        alignment = by_kind.gather(1, rows) ** SCORE_POWER * share**OVERLAP_POWER
        middles = (boxes[..., :2] + boxes[..., 2:]) / 2
        far = (middles[:, :, None] - points).square().sum(dim=3).sqrt()  # (N, M, P)
        may = inside(points, boxes)
        fine = torch.where(strides == strides.min(), far, torch.full_like(far, torch.inf))
        nearest = torch.zeros_like(may).scatter_(2, fine.argmin(dim=2, keepdim=True), True)
        may = (may | (nearest & ~may.any(dim=2, keepdim=True))) & real[:, :, None]
        rank = torch.where(may, alignment + NEAR / (1 + far), torch.full_like(far, -1.0))
        best = rank.topk(min(top, rank.shape[2]), dim=2).indices
        wants = torch.zeros_like(may).scatter_(2, best, True) & may
        # a cell in a box always overlaps it more than -1
        contest = torch.where(wants, share, torch.full_like(share, -1.0))
        strongest, owner = contest.max(dim=1)  # (N, P)
        owned = strongest >= 0
        owner = torch.where(owned, owner, torch.full_like(owner, -1))
        target = _targets(alignment, share, owner)
        skipped = (inside(points, boxes) & (kinds == IGNORE)[:, :, None]).any(dim=1)
        return Assigned(owner=owner, target=target, counts=owned | ~skipped)


def _targets(alignment: Tensor, share: Tensor, owner: Tensor) -> Tensor:
    """The score of each cell (N, P): its alignment, scaled so that the best of a box has the largest IoU of its cells."""
    own = owner[:, None] == torch.arange(alignment.shape[1], device=owner.device)[:, None]  # (N, M, P)
    mine = torch.where(own, alignment, torch.zeros_like(alignment))
    most = mine.amax(dim=2, keepdim=True)
    widest = torch.where(own, share, torch.zeros_like(share)).amax(dim=2, keepdim=True)
    scaled = torch.where(most > 0, mine / torch.where(most > 0, most, torch.ones_like(most)) * widest, mine)
    return scaled.sum(dim=1)

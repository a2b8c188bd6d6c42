"""The loss of a heatmap against masks: focal and Dice, balanced between large and small defects."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

UNKNOWN = 255  # in a mask: nobody said where
GAMMA = 2.0  # of the focal loss: how fast cells that are right already stop counting
FOCAL = 10.0  # weight beside Dice: a focal loss is small, since most cells are right
SMOOTH = 1.0  # cells; keeps Dice finite where nothing is marked


def map_losses(cells: Tensor, masks: Tensor, *, balance: float) -> Tensor:
    """Loss of each picture (N,): focal (Lin et al. 2017, arXiv 1708.02002) plus Dice (Milletari et al. 2016, arXiv 1606.04797).

    cells    float (N, h, w), log odds of a defect
    masks    uint8 (N, H, W): 0 good, 1 defect, 255 unknown. A picture with an unknown pixel has loss 0.
    balance  0..1. A picture's n marked cells weigh n ** (1 - balance) together, its others their number to the same power,
             so that at 1 a speck weighs as much as a stain, and at 0 every cell as much as another.

    Dice is taken on pictures with a marked cell only: on good ones it would punish any warmth as if all were hot.
    """
    known = all_known(masks)
    target = reduced(masks == 1, (cells.shape[1], cells.shape[2])).flatten(1)
    cells = cells.flatten(1)
    wrong = functional.binary_cross_entropy_with_logits(cells, target, reduction="none")
    focal = (1 - (-wrong).exp()) ** GAMMA * wrong
    marked, unmarked = target.sum(dim=1, keepdim=True), (1 - target).sum(dim=1, keepdim=True)
    total = (marked > 0) * marked ** (1 - balance) + (unmarked > 0) * unmarked ** (1 - balance)
    per_mark = marked.clamp(min=1) ** -balance * target
    per_rest = unmarked.clamp(min=1) ** -balance * (1 - target)
    of_cells = (focal * (per_mark + per_rest)).sum(dim=1) / total[:, 0]
    hot = cells.sigmoid()
    overlap = (2 * (hot * target).sum(dim=1) + SMOOTH) / (hot.sum(dim=1) + target.sum(dim=1) + SMOOTH)
    of_area = torch.where(marked[:, 0] > 0, 1 - overlap, torch.zeros_like(overlap))
    return torch.where(known, FOCAL * of_cells + of_area, torch.zeros_like(overlap))


def kind_losses(named: Tensor, masks: Tensor, kinds: Tensor) -> Tensor:
    """Mean cross entropy of each picture's marked cells (N,), in nats; 0 where none is marked, or a pixel is unknown.

    named  float (N, K, h, w), logits of the kinds of defect
    kinds  int64 (N,), 0..K - 1: that of each picture; -1 for good ones, which have no marked cell
    """
    target = reduced(masks == 1, (named.shape[2], named.shape[3])) * all_known(masks)[:, None, None]
    of_cells = -named.log_softmax(dim=1).gather(
        1, kinds.clamp(min=0)[:, None, None, None].expand_as(named[:, :1])
    )
    return (of_cells[:, 0] * target).sum(dim=(1, 2)) / target.sum(dim=(1, 2)).clamp(min=1)


def all_known(masks: Tensor) -> Tensor:
    """Of which masks (N, H, W) every pixel is known: bool (N,)."""
    return (masks != UNKNOWN).flatten(1).all(dim=1)


def reduced(marked: Tensor, size: tuple[int, int]) -> Tensor:
    """Masks bool (N, H, W) at the heatmap's size (h, w), float 0 or 1: a cell by the share of it that is marked.

    As in data.masks: at least half; and, where no neighbour is half marked, those that are marked most among their neighbours.
    """
    cover = functional.adaptive_avg_pool2d(marked[:, None].float(), size)
    cover = (cover * 1e5).round() / 1e5
    most = functional.max_pool2d(cover, 3, 1, 1)
    kept = (cover >= 0.5) | ((cover > 0) & (most < 0.5) & (cover == most))
    return kept[:, 0].float()

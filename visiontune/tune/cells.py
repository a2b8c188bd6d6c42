"""What a network answers, and the last map of its backbone cell by cell: how hot a frame would be that looked like one cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from visiontune.heads import HeadNet, Raw
from visiontune.tune.pyramid import Tap, tapped

HEATMAP = "heatmap"
RISK = "risk"  # a word inside the graph, by which the tiles of a frame are ranked


@dataclass(frozen=True, kw_only=True)
class Cells:
    """The map that `forward_features` of a timm model gives, and how its cells are read.

    grid    (h, w) in cells
    form    "channels first" (N, C, h, w), "channels last" (N, h, w, C) or "tokens" (N, extra + h w, C)
    extra   tokens before the cells
    pooled  whether the frame's features are just the means of its cells: then the mean of the cells' logits is the frame's
    work    multiplications that the heatmap adds, as a share of the backbone's
    """

    grid: tuple[int, int]
    form: str
    extra: int = 0
    pooled: bool = False
    work: float = 0.0

    def features(self, backbone: Any, last: Tensor) -> Tensor:
        """Of each cell of the map the pooled features of a frame that looks like it all over: (N h w, F), row by row."""
        if self.form == "tokens":
            rows = last[:, self.extra :].reshape(-1, 1, last.shape[2])
            rows = (
                torch.cat([torch.zeros_like(rows).expand(-1, self.extra, -1), rows], 1)
                if self.extra
                else rows
            )
        elif self.form == "channels last":
            rows = last.reshape(-1, 1, 1, last.shape[3])
        else:
            rows = last.permute(0, 2, 3, 1).reshape(-1, last.shape[1], 1, 1)
        found: Tensor = rows.flatten(1) if self.pooled else backbone.forward_head(rows)
        return found


class Reading(Protocol):
    """What answers are made with: a Net, or the part of it that is exported."""

    backbone: Any
    head: Any
    taps: tuple[Tap, ...]
    cells: Cells | None


def answers(net: Reading, pictures: Tensor) -> dict[str, Tensor]:
    """The line's words for normalised pictures (N, 3, h, w), the heatmap of the cells among them where there is one.

    Training never comes here: what it reads is computed without the map.
    """
    return raw_and_answers(net, pictures)[1]


def raw_and_answers(
    net: Reading, pictures: Tensor, *, exported: bool = False
) -> tuple[Raw, dict[str, Tensor]]:
    """The head's raw output, and the line's words, or what stands for them in what is `exported`."""
    head: HeadNet = net.head
    if net.cells is None:
        raw = head(tapped(net.backbone, pictures, net.taps))
        return raw, head.exported(raw) if exported else head.answer(raw)
    last = net.backbone.forward_features(pictures)
    raw = head(net.backbone.forward_head(last))
    high, wide = net.cells.grid
    cells = net.cells.features(net.backbone, last)
    heat = head.heat(cells.reshape(-1, high * wide, cells.shape[1]), raw)
    said = head.exported(raw) if exported else head.answer(raw)
    return raw, {**said, HEATMAP: heat.reshape(-1, high, wide)}

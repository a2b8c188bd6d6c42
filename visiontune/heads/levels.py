"""The maps that boxes are read from: a feature pyramid of one width, and towers that all its levels share."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from visiontune.heads.decoder import enlarged, lateral, separable
from visiontune.heads.head import Pyramid

FINEST = 8  # pixels to a cell; a level at 4 would cost three times all others together
COARSEST = 64
FEWEST = 4  # cells along the longer side of a map that is worth another level above it


class Levels(nn.Module):
    """Maps of a backbone (N, C, h, w) -> levels (N, width, h, w) from the finest, stride 8, to the coarsest, up to stride 64.

    A feature pyramid (Lin et al. 2017, arXiv 1612.03144) with depthwise convolutions. Maps finer than 8 pixels to a cell are
    left aside where there are others; maps of one stride become one level; what the backbone does not go down to is pooled.
    `strides` are those of the levels.
    """

    def __init__(self, features: Pyramid, width: int) -> None:
        super().__init__()
        self.taken = tuple(stride >= FINEST or max(features.strides) < FINEST for stride in features.strides)
        maps = zip(features.channels, features.strides, self.taken, strict=True)
        kept = [(channels, stride) for channels, stride, taken in maps if taken]
        self.laterals = nn.ModuleList(lateral(channels, width) for channels, _ in kept)
        own = sorted({stride for _, stride in kept})
        self.place = tuple(own.index(stride) for _, stride in kept)
        self.merge = nn.ModuleList(separable(width) for _ in own)
        strides = list(own)
        while strides[-1] < COARSEST and max(features.size) / strides[-1] >= FEWEST:
            strides.append(2 * strides[-1])
        self.strides = tuple(strides)
        self.above = nn.ModuleList(separable(width) for _ in strides[len(own) :])

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The levels, from the finest to the coarsest."""
        sides: list[Tensor | None] = [None] * len(self.merge)
        chosen = [one for one, taken in zip(maps, self.taken, strict=True) if taken]
        for module, one, at in zip(self.laterals, chosen, self.place, strict=True):
            side, there = module(one), sides[at]
            sides[at] = side if there is None else there + side
        found: list[Tensor] = []
        for module, sum_of in zip(reversed(self.merge), reversed(sides), strict=True):
            assert sum_of is not None
            found.insert(0, module(sum_of + enlarged(found[0], sum_of) if found else sum_of))
        for module in self.above:
            found.append(module(functional.max_pool2d(found[-1], 2, ceil_mode=True)))
        return found


class Tower(nn.Module):
    """`depth` depthwise separable convolutions, shared by all levels, (N, width, h, w) -> the same.

    Each level has normalisations of its own: what levels hold differs in scale (as in RTMDet, Lyu et al. 2022, arXiv 2212.07784).
    """

    def __init__(self, width: int, depth: int, levels: int) -> None:
        super().__init__()
        self.across = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False) for _ in range(depth)
        )
        self.along = nn.ModuleList(nn.Conv2d(width, width, 1, bias=False) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2 * depth)) for _ in range(levels)
        )

    def forward(self, level: Tensor, number: int) -> Tensor:
        """What the tower makes of a level."""
        norms = self.norms[number]
        assert isinstance(norms, nn.ModuleList)
        for at, (across, along) in enumerate(zip(self.across, self.along, strict=True)):
            level = norms[2 * at + 1](along(norms[2 * at](across(level)))).relu()
        return level


def centres(grids: Sequence[tuple[int, int]], strides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """x and y of the centres of all cells, (P, 2), and the cells' sides (P,), in pixels: level by level, row by row."""
    points, sides = [], []
    for (high, wide), stride in zip(grids, strides, strict=True):
        y, x = torch.meshgrid(torch.arange(high), torch.arange(wide), indexing="ij")
        points.append((torch.stack([x, y], dim=2).reshape(-1, 2) + 0.5) * stride)
        sides.append(torch.full((high * wide,), float(stride)))
    return torch.cat(points), torch.cat(sides)

"""What real defects taught a head of good parts: held within bounds, so that a few parts learned by heart do little harm."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from visiontune.heads.decoder import Decoder
from visiontune.heads.head import Pyramid

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)
LEAST = 1e-6  # keeps a division by a bound of 0 finite


class Taught(nn.Module):
    """Features (pooled, maps from the finest on) -> what to add to log odds: of the finest map's cells (N, h, w), of frames (N,).

    Cells are read from a decoder of all maps, as in Segment; frames from hidden features (N, seen, h, w) that are already there,
    their highest and their mean. Both begin with 0 and stay within -bound..bound.
    """

    bound: Tensor

    def __init__(self, features: Pyramid, *, width: int, seen: int, bound: float) -> None:
        super().__init__()
        self.register_buffer("bound", torch.tensor(bound))
        self.decoder = Decoder(features.channels, width)
        self.cells = silent(nn.Conv2d(width, 1, 1))
        self.frame = silent(nn.Linear(2 * seen, 1))

    def forward(self, features: tuple[Tensor, ...], hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Log odds to add to cells (N, h, w) and to frames (N,)."""
        cells = self.cells(self.decoder(features[1:]))[:, 0]
        frames = self.frame(torch.cat([hidden.amax(dim=(2, 3)), hidden.mean(dim=(2, 3))], dim=1))[:, 0]
        return bounded(cells, self.bound), bounded(frames, self.bound)


def bounded(values: Tensor, most: Tensor | float) -> Tensor:
    """Values held within -most..most, hardly changed while they are small; 0 where most is."""
    return most * torch.tanh(values / (most + LEAST))


def silent(layer: Layer) -> Layer:
    """A layer that says 0 until it has learned."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer

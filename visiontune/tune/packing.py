"""Several tensors of a picture as one row of numbers, for a cache that stores one tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """The shapes of the tensors without the batch, and which of them lie channels last in memory.

    Unpacked tensors lie as they did, because convolutions answer in the layout they are fed and another one would change the
    last bits of what follows.
    """

    shapes: tuple[tuple[int, ...], ...]
    channels_last: tuple[bool, ...]

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> Packing:
        """The packing of tensors like these (N, ...)."""
        return cls(tuple(tuple(one.shape[1:]) for one in tensors), tuple(map(lies_channels_last, tensors)))

    def pack(self, tensors: Sequence[Tensor]) -> Tensor:
        """One row for each picture, (N, S)."""
        laid = [
            one.movedim(1, -1) if last else one for one, last in zip(tensors, self.channels_last, strict=True)
        ]
        return torch.cat([one.reshape(len(one), -1) for one in laid], dim=1)

    def unpack(self, rows: Tensor) -> list[Tensor]:
        """The tensors (N, ...) of rows (N, S)."""
        parts = torch.split(rows, [math.prod(shape) for shape in self.shapes], dim=1)
        found = []
        for part, shape, last in zip(parts, self.shapes, self.channels_last, strict=True):
            if last:
                channels, *space = shape
                one = part.contiguous().view(len(part), *space, channels).movedim(-1, 1)
            else:
                one = part.contiguous().view(len(part), *shape)
            found.append(one)
        return found


def lies_channels_last(tensor: Tensor) -> bool:
    """Whether a tensor lies in memory as (N, h, w, C), and not also as (N, C, h, w)."""
    return (
        tensor.ndim == 4
        and tensor.is_contiguous(memory_format=torch.channels_last)
        and not tensor.is_contiguous()
    )

"""Vectors of a map's cells, whitened by what good parts show at each place of the frame."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from visiontune.heads.moments import Moments

SHARED = 0.3  # weight of the mean covariance over the frame in that of each place
RIDGE = 0.01  # of a channel's variance, added to it
LEAST = 0.1  # deviation of a channel at least, and its variance at its place, of all channels' mean: what never varied among
# good parts must not count without end
TINY = 1e-12
CHUNK = 64  # cells or places that the fit works on at once: its memory is mostly that of the backbone


class Whitening(nn.Module):
    """Maps (N, C, h, w) -> vectors (N, h w, d): away from the mean of good parts at their place, of variance about 1 among them.

    d is C, or `most` where that is less: then a random projection keeps distances (Johnson and Lindenstrauss 1984). Covariances
    are of a place, as in PaDiM (Defard et al. 2020, arXiv 2011.08785), each drawn towards the mean of all places; where there
    are too many numbers, variances alone.
    """

    projection: Tensor
    offset: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int, most: int) -> None:
        super().__init__()
        depth = min(channels, most)
        self.register_buffer("projection", torch.eye(channels)[:depth])  # (d, C)
        self.register_buffer("offset", torch.zeros(depth))
        self.register_buffer("mean", torch.zeros(1, depth))  # (h w, d)
        self.register_buffer("scale", torch.ones(1, depth))  # (h w, d, d), or its diagonal (h w, d)

    def forward(self, joined: Tensor) -> Tensor:
        """Of maps (N, C, h, w), the cells' whitened vectors (N, h w, d)."""
        rows = self.vectors(joined).flatten(2).transpose(1, 2) - self.mean
        if self.scale.ndim == 3:
            return (rows.transpose(0, 1) @ self.scale).transpose(0, 1)
        return rows * self.scale

    def vectors(self, joined: Tensor) -> Tensor:
        """Of maps (N, C, h, w), the cells' vectors before they are whitened, (N, d, h, w)."""
        return functional.conv2d(joined, self.projection[:, :, None, None], self.offset)

    def at(self, vectors: Tensor, places: Tensor) -> Tensor:
        """Of vectors (n, d), each at the place (n,) that is named with it, (n, d)."""
        away = vectors - self.mean[places]
        if self.scale.ndim == 2:
            return away * self.scale[places]
        chunks = zip(torch.split(away, CHUNK), torch.split(places, CHUNK), strict=True)
        return torch.cat([(some[:, None] @ self.scale[at])[:, 0] for some, at in chunks])

    def start(self, joined: Tensor, draw: torch.Generator) -> None:
        """Sets scale and projection by maps of some good pictures: channels of a backbone differ by orders of magnitude."""
        spread, centre = torch.std_mean(joined, dim=(0, 2, 3))
        depth, channels = self.projection.shape
        mixed = torch.eye(channels)
        if depth < channels:
            mixed = torch.randn(depth, channels, generator=draw) / depth**0.5
        self.projection = mixed / spread.clamp(min=LEAST * float(spread.mean()) + TINY)
        self.offset = -self.projection @ centre

    def learn(self, moments: Moments) -> None:
        """Sets what is good at each place by the moments of the vectors of good parts."""
        self.mean, self.scale = moments.mean, roots(moments.spread)


def roots(spread: Tensor) -> Tensor:
    """Inverse roots, float32, of covariances (n, d, d) of n places, or of variances (n, d), each drawn towards their mean."""
    mean = spread.mean(dim=0)
    whole = spread.ndim == 3
    each = mean.diagonal() if whole else mean
    least = each.clamp(min=LEAST * float(each.mean()) + TINY)
    if not whole:
        return (
            ((1 - SHARED) * spread.clamp(min=0) + SHARED * each + (1 + RIDGE) * least - each).rsqrt().float()
        )
    common = SHARED * mean + torch.diag((1 + RIDGE) * least - each)
    found = []
    for some in torch.split(spread, CHUNK):
        values, directions = torch.linalg.eigh((1 - SHARED) * some + common)
        scaled = directions * values.clamp(min=TINY).rsqrt()[:, None]
        found.append((scaled @ directions.transpose(1, 2)).float())
    return torch.cat(found)

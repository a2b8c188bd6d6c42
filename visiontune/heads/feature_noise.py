"""Anomalies without a picture: Gaussian noise on whitened features, within areas shaped like blobs."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

COARSE = (4, 9)  # cells of the grids whose noise shapes the areas: large blobs, small ones
HIGH = (1.0, 1.4)  # deviations of that noise above which an area begins
SPREAD = (0.5, 3.0)  # deviations of good parts that the noise has, drawn by its logarithm for each picture


def noised(cells: Tensor) -> tuple[Tensor, Tensor]:
    """Whitened features (N, d, h, w) with noise in some areas, and where, uint8 (N, h, w).

    Whitened features of good parts have a deviation of 1 in every direction at every place, so that one scale of noise fits
    any backbone. It draws from torch's random state. The idea is that of SimpleNet and SuperSimpleNet (Rolih et al. 2024, arXiv
    2408.03143), there on features as they are.
    """
    n, _, height, width = cells.shape
    small = torch.rand(n, 1, 1, device=cells.device) < 0.5
    large_area, small_area = (
        functional.interpolate(
            torch.randn(n, 1, side, side, device=cells.device), size=(height, width), mode="bicubic"
        )[:, 0]
        > least
        for side, least in zip(COARSE, HIGH, strict=True)
    )
    where = torch.where(small, small_area, large_area)
    low, high = (math.log(edge) for edge in SPREAD)
    spread = torch.empty(n, 1, 1, 1, device=cells.device).uniform_(low, high).exp()
    return cells + spread * torch.randn_like(cells) * where[:, None], where.to(torch.uint8)

"""Moves boxes from a frame to the network's input and back, as `fit` moves the pixels: region of interest, then stretch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.regions import roi_pixels

Corners = NDArray[np.float64]  # (k, 4), x0 y0 x1 y1 in pixels
Size = tuple[int, int]
Region = tuple[float, float, float, float]


def to_input(corners: NDArray[Any], *, frame: Size, size: Size, roi: Region | None = None) -> Corners:
    """Corners (k, 4) in pixels of the input (h, w), of those in pixels of a frame (H, W); nothing is cut off.

    The region of interest has whole pixels for edges, as in `fit_nodes`; a frame's edge becomes the input's edge.
    """
    start, scale = _way(frame, size, roi)
    return (np.asarray(corners, np.float64) - start) * scale


def to_frame(corners: NDArray[Any], *, frame: Size, size: Size, roi: Region | None = None) -> Corners:
    """The way back: corners (k, 4) in pixels of a frame (H, W), of those in pixels of the input (h, w)."""
    start, scale = _way(frame, size, roi)
    return np.asarray(corners, np.float64) / scale + start


def _way(frame: Size, size: Size, roi: Region | None) -> tuple[Corners, Corners]:
    x0, y0, x1, y1 = roi_pixels(*frame, roi)
    across, down = size[1] / (x1 - x0), size[0] / (y1 - y0)
    return np.array([x0, y0, x0, y0], np.float64), np.array([across, down, across, down])

"""Defects of a stated size, drawn as coverage: how much of each pixel they take, before any contrast.

Drawn four times finer than the frame, at a random fraction of a pixel, averaged and softened as a lens does. Sizes are in pixels
of the frame: the diameter of a spot, the diameter of the circle of the same area for a stain, the length of a line.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, sqrt

import numpy as np
from scipy.ndimage import gaussian_filter

from visiontune.data.painter.noise import Array, Rng, smooth
from visiontune.data.painter.placing import outline
from visiontune.data.painter.strokes import Path, fracture, sweep, trace

FINE = 4  # drawn pixels per frame pixel
LENS = 0.5  # frame pixels, deviation of the blur
SLENDER = 20  # a line is this many times longer than wide, and at least a pixel wide
FAINT = 0.02  # coverage below this is none


def coverage(kind: str, size: float, rng: Rng) -> Array:
    """One defect: float32 (h, w), 0..1, trimmed to where it is. Raises KeyError for a kind that is not in SHAPES."""
    fine = SHAPES[kind](size * FINE, rng)
    pad = 4 * FINE
    shift = rng.integers(0, FINE, 2)
    height, width = (
        -(-(side + pad + int(s)) // FINE) * FINE + pad for side, s in zip(fine.shape, shift, strict=True)
    )
    canvas = np.zeros((height, width), np.float32)
    top, left = pad + int(shift[0]), pad + int(shift[1])
    canvas[top : top + fine.shape[0], left : left + fine.shape[1]] = fine
    pixels = canvas.reshape(height // FINE, FINE, width // FINE, FINE).mean(axis=(1, 3))
    seen = np.asarray(gaussian_filter(pixels, LENS, mode="constant"), np.float32)
    rows, cols = np.nonzero(seen > FAINT)
    return seen[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]


def spot(size: float, rng: Rng) -> Array:
    """A round disc of diameter `size`."""
    x, y = _grid(size / 2 + 1)
    return np.clip(size / 2 + 0.5 - np.hypot(x, y), 0, 1)


def stain(size: float, rng: Rng) -> Array:
    """A ragged area with a soft edge; half covered or more it has the area of a circle of diameter `size`."""
    seed = int(rng.integers(2**31))
    x, y = _grid(100.0)
    unit = outline(np.random.default_rng(seed), x, y, 30.0, 0.3)
    radius = size / 2 / (sqrt(float((unit < 1).sum()) / pi) / 30)
    x, y = _grid(100 / 30 * radius + 1)
    rho = outline(np.random.default_rng(seed), x, y, radius, 0.3)
    return smooth(rho, 1.2, 0.8)


def scratch(size: float, rng: Rng) -> Array:
    """A slightly bent line of length `size`."""
    path = sweep(rng, (0.0, 0.0), rng.uniform(0, 2 * pi), size, rng.normal(0, 0.3), 0.02)
    return _line(path, size)


def crack(size: float, rng: Rng) -> Array:
    """A jagged line of length `size`, measured along it."""
    path = fracture(rng, (0.0, 0.0), rng.uniform(0, 2 * pi), size, max(2.0 * FINE, size / 8))
    walked = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(path, axis=0).T))])
    return _line(path[walked <= size], size)


def _line(path: Path, length: float) -> Array:
    width = max(float(FINE), length / SLENDER)
    reach = width / 2 + 1.5
    path = path - path.min(axis=0) + reach + 1
    height, across = (int(np.ceil(side + reach + 2)) for side in path.max(axis=0)[::-1])
    stroke = trace(path, (height, across), reach)
    drawn = np.zeros((height, across), np.float32)
    drawn[stroke.rows, stroke.cols] = np.clip(width / 2 + 0.5 - np.abs(stroke.side), 0, 1)
    return drawn


def _grid(reach: float) -> tuple[Array, Array]:
    r = int(np.ceil(reach))
    y, x = np.mgrid[-r : r + 1, -r : r + 1].astype(np.float32)
    return x, y


SHAPES: dict[str, Callable[[float, Rng], Array]] = {
    "spot": spot,
    "stain": stain,
    "scratch": scratch,
    "crack": crack,
}

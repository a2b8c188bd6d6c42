"""From a product and a piece of metal to a flawless part: shaping, breaking the edges, handling."""

import numpy as np
from numpy.typing import NDArray

from visiontune.data.painter.noise import Array, Rng, cloud, fractal, slopes, smooth, spread
from visiontune.data.painter.plates import plate
from visiontune.data.painter.surface import Surface
from visiontune.data.painter.turned import turned

Indices = tuple[NDArray[np.intp], ...]
STYLES = ("turned", "ground", "brushed", "cast")


def machine(plan: Rng, rng: Rng, style: str, size: tuple[int, int]) -> Surface:
    """Make a flawless part of `style`, one of `STYLES`, for a frame of `size` (h, w).

    `plan` draws the product (its drawing and the settings of the machine), `rng` the single part.
    """
    part = turned(plan, rng, size) if style == "turned" else plate(plan, rng, style, size)
    if style == "cast":
        _round_edges(plan, rng, part)
    else:
        _chamfer(plan, rng, part)
    _patina(rng, part)
    return part


def _near_edges(rng: Rng, part: Surface, width: float, uneven: float) -> tuple[Indices, Array, Array, Array]:
    """The canvas pixels within `width` of an edge, their unevenly worn depth, its gradient x and y."""
    at = np.nonzero(np.abs(part.depth) < width * 1.5 + 2)
    wear = cloud(rng, part.shape, 5 * part.unit)[at]
    right, down = slopes(part.depth)
    depth = part.depth[at] * (1 + np.float32(uneven) * wear)
    return at, depth, right[at], down[at]


def _chamfer(plan: Rng, rng: Rng, part: Surface) -> None:
    """Break the edges of a machined part: a bevel with marks along the edge, and the odd nick."""
    width, steep = part.unit * plan.uniform(1.3, 3.6), np.float32(plan.uniform(0.55, 1.0))
    uneven = 0.02 if rng.random() < 0.7 else rng.uniform(0.03, 0.09)
    at, depth, gx, gy = _near_edges(rng, part, width, uneven)
    bevel = smooth(depth, width * 1.25, width * 0.6)
    flat = 1 - bevel
    keep = np.float32(0.35) + np.float32(0.65) * flat
    part.tilt_x[at] = part.tilt_x[at] * keep - gx * bevel * steep
    part.tilt_y[at] = part.tilt_y[at] * keep - gy * bevel * steep
    part.across[at] = part.across[at] * flat + np.float32(0.25) * bevel
    part.along[at] = part.along[at] * flat + np.float32(0.16) * bevel
    tx, ty = part.grain_x[at] * flat - gy * bevel, part.grain_y[at] * flat + gx * bevel
    length = np.maximum(np.hypot(tx, ty), np.float32(1e-3))
    part.grain_x[at], part.grain_y[at] = tx / length, ty / length


def _round_edges(plan: Rng, rng: Rng, part: Surface) -> None:
    """A casting falls off towards its edges."""
    width = part.unit * plan.uniform(5, 9)
    at, depth, gx, gy = _near_edges(rng, part, width, 0.10)
    slope = np.clip(1 - depth / np.float32(width), 0, 1.2) ** 2 * np.float32(1.3)
    part.tilt_x[at] -= gx * slope
    part.tilt_y[at] -= gy * slope


def _patina(rng: Rng, part: Surface) -> None:
    """Handling, coolant film and alloy: reflectance and roughness drift over the part."""
    h, w = part.shape
    film = fractal(rng, part.shape, 45 * part.unit, 2)
    speckle = spread(rng.standard_normal((h, w // 2 + 4), dtype=np.float32), w, 1)
    part.gloss *= np.clip(1 + np.float32(rng.uniform(0.02, 0.10)) * film, 0.5, 1.6)
    part.gloss *= np.clip(1 + np.float32(rng.uniform(0.03, 0.10)) * speckle, 0.3, 2)
    part.along *= np.clip(1 + np.float32(rng.uniform(0.03, 0.15)) * film, 0.6, 1.6)
    part.warmth += np.float32(rng.normal(0.1, 0.25))

"""Smooth random fields: the irregularity that separates a photograph from a drawing."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Rng = np.random.Generator


def spread(coarse: Array, length: int, axis: int) -> Array:
    """Stretch `coarse` to `length` along `axis` with cubic B-spline weights (smooth, no ringing).

    The four taps are summed one by one instead of as a matrix product, so that the result does not
    depend on the number of BLAS threads. `coarse` needs at least four samples along `axis`.
    """
    at = np.linspace(1.0, coarse.shape[axis] - 2.0, length, dtype=np.float32)
    base = np.clip(at.astype(np.intp), 1, coarse.shape[axis] - 3)
    t = at - base.astype(np.float32)
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    out = np.zeros([length if k == axis else n for k, n in enumerate(coarse.shape)], np.float32)
    for tap, weight in enumerate(weights):
        shaped = np.asarray(weight / 6, np.float32).reshape(
            [-1 if k == axis else 1 for k in range(coarse.ndim)]
        )
        out += np.take(coarse, base + (tap - 1), axis=axis) * shaped
    return out


def cloud(rng: Rng, shape: tuple[int, int], cell: float) -> Array:
    """Gaussian field of about unit deviation, float32 (h, w), whose blobs are about `cell` pixels wide."""
    h, w = (max(4, round(n / max(cell, 1.0)) + 4) for n in shape)
    coarse = rng.standard_normal((h, w), dtype=np.float32)
    return spread(spread(coarse, shape[1], 1), shape[0], 0) * np.float32(2.1)


def fractal(rng: Rng, shape: tuple[int, int], cell: float, octaves: int = 3) -> Array:
    """Sum of clouds, each half as wide and half as strong as the one before; about unit deviation."""
    field = sum((cloud(rng, shape, cell / 2**k) * 0.5**k for k in range(octaves)), np.float32(0))
    return np.asarray(field * np.float32(0.87), np.float32)


def wander(rng: Rng, length: int, cell: float) -> Array:
    """One-dimensional cloud, float32 (length,), about unit deviation."""
    coarse = rng.standard_normal(max(4, round(length / max(cell, 1.0)) + 4), dtype=np.float32)
    return spread(coarse, length, 0) * np.float32(1.45)


def streaks(rng: Rng, across: int, along: int, cell: float) -> Array:
    """Grooves of a tool, float32 (across, along): white across the grain, smooth over `cell` pixels along it."""
    coarse = rng.standard_normal((across, max(4, round(along / cell) + 4)), dtype=np.float32)
    return spread(coarse, along, 1) * np.float32(1.45)


def slopes(field: Array) -> tuple[Array, Array]:
    """Change of a field (h, w) per pixel to the right and downwards, both float32 (h, w)."""
    down, right = np.gradient(np.asarray(field, np.float32))
    return np.asarray(right, np.float32), np.asarray(down, np.float32)


def smooth(x: Array, low: float, high: float) -> Array:
    """Smooth step from 0 at `low` to 1 at `high`; falls where `low > high`."""
    t = np.clip((x - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)

"""Fits error = a x^-b + c, none of them negative, to many curves at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EXPONENTS = np.linspace(
    0.05, 1.5, 30
)  # at 1.5 twice the parts leave a third of the errors; theory knows no more than 1


def fitted(curves: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
    """The (a, b, c), each (n,), that miss each of `curves` (n, k) least at `x` (k,), in squares relative to the mean curve.

    b is the best of EXPONENTS. For each of them a and c are linear, so their least squares are known in closed form; where one
    would be negative the best lies on the edge: the level of a flat curve, or a law that falls to nothing.
    """
    weights = 1 / np.maximum(curves.mean(axis=0), 1e-6) ** 2
    powers = x[np.newaxis] ** -EXPONENTS[:, np.newaxis]  # (exponents, k)
    total = weights.sum()
    p, pp = powers @ weights, powers**2 @ weights
    y, py = curves @ weights, curves @ (powers * weights).T  # (n,), (n, exponents)
    scale = pp * total - p**2
    a = (total * py - p * y[:, np.newaxis]) / scale
    c = (pp * y[:, np.newaxis] - p * py) / scale
    flat, pure = a < 0, c < 0
    level = np.broadcast_to((y / total)[:, np.newaxis], a.shape)
    a, c = np.where(flat, 0, np.where(pure, py / pp, a)), np.where(flat, level, np.where(pure, 0, c))
    # the squares without the term that no law changes
    misses = a**2 * pp + c**2 * total + 2 * a * c * p - 2 * a * py - 2 * c * y[:, np.newaxis]
    best = misses.argmin(axis=1)
    rows = np.arange(len(curves))
    return a[rows, best], EXPONENTS[best], c[rows, best]

"""Exact bounds on how many events there are a frame, from k in n frames: Garwood (1936), Biometrika 28, by bisection.

They hold where events come independently of each other; false regions that come in flocks are less certain than that.
"""

from __future__ import annotations

import math

import numpy as np


def interval(k: int, frames: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided bounds (low, high) on the mean number a frame, half of the doubt on either side; (0, inf) for no frames.

    Raises ValueError unless k >= 0, frames >= 0 and 0 < confidence < 1.
    """
    if k < 0 or frames < 0 or not 0 < confidence < 1:
        raise ValueError(
            f"expected k >= 0, frames >= 0 and 0 < confidence < 1, found {k}, {frames}, {confidence}"
        )
    if not frames:
        return 0.0, math.inf
    side = (1 - confidence) / 2
    low = 0.0 if k == 0 else _mean_at(k - 1, 1 - side)
    return low / frames, _mean_at(k, side) / frames


def _mean_at(k: int, chance: float) -> float:
    """The mean at which P(X <= k) is `chance`."""
    counts = np.arange(k + 1)
    log_factorials = np.array([math.lgamma(count + 1) for count in range(k + 1)])

    def cdf(mean: float) -> float:
        return float(np.exp(counts * math.log(mean) - mean - log_factorials).sum())

    low, high = 0.0, k + 10 * math.sqrt(k + 1) + 100.0
    while cdf(high) > chance:  # only for a confidence beyond all use
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if cdf(middle) > chance else (low, middle)
    return high

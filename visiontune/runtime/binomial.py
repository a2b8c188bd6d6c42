"""Exact bounds on a rate that was seen k times in n: Clopper and Pearson (1934), Biometrika 26, by bisection.

They hold for parts drawn independently from those the line will see; parts of one lot are not, which is why
`measure` also resamples whole groups.
"""

from __future__ import annotations

import math

import numpy as np


def upper(k: int, n: int, confidence: float = 0.95) -> float:
    """One-sided upper bound: with `confidence`, the true rate is at most this. 1 if n is 0.

    The largest rate p with P(X <= k) >= 1 - confidence for X ~ Binomial(n, p). Raises ValueError unless 0 <=
    k <= n and 0 < confidence < 1.
    """
    _check(k, n, confidence)
    if k == n:
        return 1.0
    log_choose = _log_choose(k, n)
    low, high = 0.0, 1.0
    while (middle := (low + high) / 2) not in (low, high):
        if _cdf(log_choose, n, middle) >= 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def lower(k: int, n: int, confidence: float = 0.95) -> float:
    """One-sided lower bound: with `confidence`, the true rate is at least this; 0 if n is 0. Raises as `upper`."""
    _check(k, n, confidence)
    return 0.0 if k == 0 else 1 - upper(n - k, n, confidence)


def interval(k: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Two-sided bounds (low, high), half of the doubt on either side; (0, 1) if n is 0. Raises as `upper`."""
    _check(k, n, confidence)
    side = (1 + confidence) / 2
    return lower(k, n, side), upper(k, n, side)


def smallest_certifiable_rate(n: int, misses: int = 0, confidence: float = 0.95) -> float:
    """The smallest rate that n parts with this many misses certify: `upper`, by its other name."""
    return upper(misses, n, confidence)


def parts_needed(rate: float, misses: int = 0, confidence: float = 0.95) -> int:
    """How many parts with this many misses certify `rate`: 299 without a miss for 1 % at 95 %.

    The smallest n with P(X <= misses) <= 1 - confidence for X ~ Binomial(n, rate). Raises ValueError unless
    0 < rate < 1, misses >= 0 and 0 < confidence < 1.
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate: expected 0 < rate < 1, found {rate}")
    _check(misses, misses, confidence)

    def enough(n: int) -> bool:
        return n > misses and _cdf(_log_choose(misses, n), n, rate) <= 1 - confidence

    high = misses + 1
    while not enough(high):
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _log_choose(k: int, n: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """ln of the binomial coefficients (n over i), i = 0..k."""
    i = np.arange(1, k + 1)
    return np.concatenate(([0.0], np.cumsum(np.log((n - i + 1) / i))))


def _cdf(log_choose: np.ndarray[tuple[int], np.dtype[np.float64]], n: int, p: float) -> float:
    """P(X <= k) for X ~ Binomial(n, p), 0 < p < 1, where k + 1 is the length of `log_choose`."""
    i = np.arange(len(log_choose))
    return float(np.exp(log_choose + i * math.log(p) + (n - i) * math.log1p(-p)).sum())


def _check(k: int, n: int, confidence: float) -> None:
    if not 0 <= k <= n:
        raise ValueError(f"expected 0 <= k <= n, found k {k}, n {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, found {confidence}")

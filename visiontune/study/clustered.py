"""Bounds on a rate over several trials of each part: trials of one part are alike, so they count as one part and no more."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from visiontune.runtime.measurement import Rate


def rate(hits: NDArray[np.int64], trials: int, confidence: float = 0.95) -> Rate:
    """The rate of hits (parts,), each of `trials` trials, with bounds for independent parts, however alike their trials are.

    Clopper and Pearson's interval with the parts for trials and the sum of their shares for hits: shares between 0 and 1 vary
    no more between parts than hits and misses of whole parts would. Where the trials of a part are in truth independent it is
    wider than need be; how alike they are cannot be seen from the few parts that are missed. With one trial a part it is exact.
    No parts: rate None, bounds 0..1.
    """
    parts = len(hits)
    if parts == 0:
        return Rate(0, 0, None, 0.0, 1.0, 1.0)
    k = float(hits.sum()) / trials
    low, high = lower(k, parts, (1 - confidence) / 2), upper(k, parts, (1 - confidence) / 2)
    return Rate(int(hits.sum()), parts * trials, k / parts, low, high, upper(k, parts, 1 - confidence))


def lower(k: float, n: int, doubt: float) -> float:
    """Clopper and Pearson's lower bound for k of n, k not necessarily whole, that fails with the chance `doubt`."""
    return 0.0 if k <= 0 else float(beta.ppf(doubt, k, n - k + 1))


def upper(k: float, n: int, doubt: float) -> float:
    """The upper bound, likewise."""
    return 1.0 if k >= n else float(beta.ppf(1 - doubt, k + 1, n - k))

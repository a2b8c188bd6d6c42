"""Bounds on a rate over several trials of each part: trials of one part are alike, so they count for less than as many parts.

Clopper and Pearson's interval at the effective number of trials: Korn and Graubard (1998), Survey Methodology 24, 193-201.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from visiontune.runtime.measurement import Rate


def rate(hits: NDArray[np.int64], trials: int, confidence: float = 0.95) -> Rate:
    """The rate of hits (parts,), each of `trials` trials, with bounds for independent parts.

    The design effect (variance between parts over that of independent trials) is held within 1..trials; where nothing or
    everything is a hit it cannot be seen and is taken as `trials`: no hit in 30 parts x 3 trials bounds like 0 in 30. With
    one trial a part this is Clopper and Pearson's interval. No parts: rate None, bounds 0..1.
    """
    parts = len(hits)
    k, n = int(hits.sum()), parts * trials
    if n == 0:
        return Rate(0, 0, None, 0.0, 1.0, 1.0)
    share = k / n
    effective = n / design_effect(hits, trials)
    low, high = _bounds(share * effective, effective, (1 - confidence) / 2)
    return Rate(k, n, share, low, high, _bounds(share * effective, effective, 1 - confidence)[1])


def design_effect(hits: NDArray[np.int64], trials: int) -> float:
    """How many times the variance of independent trials the rate's variance is, 1..trials; `trials` where it cannot be seen."""
    parts = len(hits)
    share = hits.sum() / (parts * trials)
    if parts < 2 or share in (0, 1):
        return float(trials)
    between = ((hits / trials - share) ** 2).sum() / (parts * (parts - 1))
    alone = share * (1 - share) / (parts * trials)
    return float(np.clip(between / alone, 1, trials))


def _bounds(k: float, n: float, side: float) -> tuple[float, float]:
    low = 0.0 if k <= 0 else float(beta.ppf(side, k, n - k + 1))
    high = 1.0 if k >= n else float(beta.ppf(1 - side, k + 1, n - k))
    return low, high

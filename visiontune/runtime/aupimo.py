"""AUPIMO: how much of each picture's defect is covered where good parts show next to no false pixel (Bertoldo et al. 2024)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 1e-5, 1e-4  # shares of false pixels of good pictures between which it counts

Weights = NDArray[np.float64]


def aupimo(covered: Weights, false: Weights, low: float = LOW, high: float = HIGH) -> float | None:
    """The mean over pictures of their marked pixels' recall, averaged over the logarithm of the false share; None if undefined.

    covered    (bins,) the mean over pictures with a defect of the share of their marked pixels whose score lies in each bin, from
               the lowest to the highest; adds up to 1
    false      (bins,) the same of all pixels of the good pictures, and of these only
    low, high  the false shares between which is averaged, 0 < low < high

    arXiv 2401.01984: the threshold for a false share F is the lowest at which the mean over good pictures of their share of
    false pixels is at most F; so the integral is a sum over steps, exact and never above 1. As it is linear in the
    pictures, the mean may be taken before it. Where the good pictures hold fewer than 1 / F cells, one cell of them
    decides, and all the false shares below it stand for the threshold above every good pixel.
    """
    if not covered.sum() > 0 or not false.sum() > 0:
        return None
    used = np.flatnonzero((covered > 0) | (false > 0))[::-1]
    shares = np.cumsum(false[used])
    recall = np.concatenate([[0.0], np.cumsum(covered[used])])
    # Of false shares from edges[i] to edges[i + 1] the lowest allowed threshold is above bin used[i].
    edges = np.log(np.clip(np.concatenate([[0.0], shares, [math.inf]]), low, high))
    area = (recall * np.diff(edges)).sum()
    return float(min(area / math.log(high / low), 1.0))

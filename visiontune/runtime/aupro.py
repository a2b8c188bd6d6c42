"""AUPRO: how much of each defect is covered, large or small alike, while few good pixels are (Bergmann et al. 2021, IJCV 129)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LIMIT = 0.3  # the share of unmarked pixels up to which the curve counts

Weights = NDArray[np.float64]


def aupro(covered: Weights, unmarked: Weights, limit: float = LIMIT) -> float | None:
    """The area under the per-region overlap, up to a share `limit` of false pixels, divided by it: 0..1; None if undefined.

    covered   (bins,) the mean over defects of the share of the defect's pixels whose score lies in each bin, from the lowest to
              the highest; adds up to 1
    unmarked  (bins,) how many unmarked pixels have their score in each bin
    limit     0..1, above 0

    The curve starts at (0, 0), has a point for each bin and is straight in between (trapezoids), also where it crosses the
    limit, so that it can never exceed 1. A map that is the same everywhere gives limit / 2: chance.
    """
    total = unmarked.sum()
    if not total > 0 or not covered.sum() > 0:
        return None
    used = np.flatnonzero((covered > 0) | (unmarked > 0))[::-1]
    false = np.concatenate([[0.0], np.cumsum(unmarked[used]) / total])
    overlap = np.concatenate([[0.0], np.cumsum(covered[used])])
    last = int(np.searchsorted(false, limit, side="right"))
    if last < len(false):
        share = (limit - false[last - 1]) / (false[last] - false[last - 1])
        at_limit = overlap[last - 1] + share * (overlap[last] - overlap[last - 1])
        false, overlap = np.append(false[:last], limit), np.append(overlap[:last], at_limit)
    area = ((false[1:] - false[:-1]) * (overlap[1:] + overlap[:-1]) / 2).sum()
    return float(min(max(area / limit, 0.0), 1.0))  # sums of shares may end a rounding off

"""Average precision: the precision at each threshold, weighted by how much recall it adds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]


def average_precision(marked: Weights, unmarked: Weights) -> float | None:
    """The average precision, 0..1, of scores in bins; None if nothing is marked.

    marked, unmarked  (bins,) how much of either has its score in each bin, from the lowest to the highest

    The sum over thresholds of precision times the recall that the threshold adds, without interpolation, as scikit-learn's
    average_precision_score.
    """
    total = marked.sum()
    if not total > 0:
        return None
    hits, alarms = np.cumsum(marked[::-1]), np.cumsum((marked + unmarked)[::-1])
    added = marked[::-1] > 0
    found = (hits[added] / alarms[added] * marked[::-1][added]).sum() / total
    return float(min(found, 1.0))  # a sum of weights may end a rounding off

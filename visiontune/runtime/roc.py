"""How well severities part defective from good pictures, whatever the thresholds: the area under the ROC curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def auroc(severity: NDArray[np.float64], defective: NDArray[np.bool_]) -> float | None:
    """The share of pairs (defective, good) in which the defective picture has the higher severity, ties as half, 0..1.

    `severity` and `defective` (n,). By ranks (Mann and Whitney 1947, Ann. Math. Stat. 18). None where a side has no picture.
    """
    bad, good = np.sort(severity[defective]), np.sort(severity[~defective])
    if not len(bad) or not len(good):
        return None
    below = np.searchsorted(good, bad, side="left").sum()
    ties = np.searchsorted(good, bad, side="right").sum() - below
    return float((below + ties / 2) / (len(bad) * len(good)))

"""Which box found which object: each object once, by the strongest box that overlaps it enough, as COCO matches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOBODY = -1
THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)  # of IoU, as in COCO


def matched(
    overlap: NDArray[np.float64], ignored: NDArray[np.bool_], thresholds: NDArray[np.float64] = THRESHOLDS
) -> NDArray[np.int64]:
    """For each threshold and box the object that it is counted for, or -1: int64 (t, k).

    overlap  (k, m) as `overlaps` gives it, the boxes strongest first
    ignored  (m,) objects that count for nothing: they take any number of boxes, which then are neither right nor false

    In order of strength, a box takes of the objects that are free and overlap it by the threshold or more the one it overlaps
    most, the last of equals; one to be ignored only where no other is left.
    """
    boxes, objects = overlap.shape
    owner = np.full((len(thresholds), boxes), NOBODY, np.int64)
    if not objects:
        return owner
    rows = np.arange(len(thresholds))
    least = np.minimum(thresholds, 1 - 1e-10)[:, None]
    free = np.ones((len(thresholds), objects), np.bool_)
    for box in np.flatnonzero((overlap >= least.min()).any(axis=1)).tolist():
        enough = np.where(free & (overlap[box] >= least), overlap[box], -1.0)
        real = np.where(ignored, -1.0, enough)
        told = np.where((real >= 0).any(axis=1, keepdims=True), real, enough)
        best = objects - 1 - told[:, ::-1].argmax(axis=1)  # the last of equals
        took = told[rows, best] >= 0
        owner[took, box] = best[took]
        free[rows[took], best[took]] = ignored[best[took]]
    return owner

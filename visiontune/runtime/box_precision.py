"""COCO's average precision and recall of boxes of one kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RECALLS = np.linspace(0, 1, 101)


def precision_and_recall(
    scores: NDArray[np.float32], right: NDArray[np.bool_], void: NDArray[np.bool_], objects: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Average precision and the recall of all boxes together, 0..1, at each of t thresholds of IoU: (t,) and (t,).

    scores   (n,) of the boxes of all pictures, in the pictures' order
    right    (n, t) whether a box found an object
    void     (n, t) whether it counts for nothing
    objects  how many there are to be found, at least 1

    The mean over 101 recalls of the best precision at that recall or beyond (Lin et al. 2014, arXiv 1405.0312, as pycocotools
    computes it). Boxes of equal score count in the pictures' order.
    """
    order = np.argsort(-scores, kind="stable")
    right, false = right[order] & ~void[order], ~right[order] & ~void[order]
    hits, alarms = right.cumsum(axis=0), false.cumsum(axis=0)
    precision = np.zeros((len(scores) + 1, right.shape[1]))  # the last row: recalls that are not reached
    if not len(scores):
        return precision[0], precision[0]
    precision[:-1] = hits / np.maximum(hits + alarms, 1)
    precision[:-1] = np.maximum.accumulate(precision[-2::-1], axis=0)[::-1]
    recall = hits / objects
    average = [precision[np.searchsorted(recall[:, at], RECALLS), at].mean() for at in range(right.shape[1])]
    return np.array(average), recall[-1]

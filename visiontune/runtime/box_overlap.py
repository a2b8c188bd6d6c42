"""How far boxes overlap: intersection over union, and over the box itself where the other is to be ignored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def overlaps(
    boxes: NDArray[Any], others: NDArray[Any], ignored: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """IoU (k, m), 0..1, of boxes (k, 4) with others (m, 4), x0 y0 x1 y1; 0 for boxes without area.

    Where an other is `ignored` (m,), it is the share of the box that lies in it, as COCO has it for crowds: a box on one of a
    crowd overlaps the crowd fully.
    """
    boxes, others = np.asarray(boxes, np.float64), np.asarray(others, np.float64)
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    own, theirs = areas(boxes)[:, None], areas(others)[None]
    of = own + theirs - shared
    if ignored is not None:
        of = np.where(ignored[None], own, of)
    found: NDArray[np.float64] = np.divide(shared, of, out=np.zeros_like(shared), where=of > 0)
    return found


def areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Areas (k,) of boxes (k, 4); 0 where a box ends before it begins."""
    found: NDArray[np.float64] = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(axis=1)
    return found

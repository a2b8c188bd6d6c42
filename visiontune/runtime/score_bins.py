"""Bins for scores of any size, so fine that no order of practical use is lost, and that memory does not grow with the data."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

DIGITS = 10  # binary digits that are kept: a bin is 2^-10 of a score wide, near 1 of its distance to 1
_CUT = 23 - DIGITS  # of the 23 binary digits of a float32


def _steps(value: float) -> int:
    return int(np.float32(value).view(np.uint32)) >> _CUT


_HALF = _steps(0.5)
_MOST = _steps(float(np.finfo(np.float32).max)) + 1
BINS = _MOST + 2 * _HALF + 1 + _MOST


def bins(scores: ArrayLike) -> NDArray[np.int64]:
    """The bin 0..BINS-1 of each score, in the scores' order: a higher bin is a higher score, equal scores share theirs.

    scores  finite float32, any shape; not clamped to 0..1

    A float's leading digits are its bin; above 0.5 it is those of the distance to 1, where a network that is sure has all its
    scores. So two scores share a bin only if they differ by less than 2^-10 of either and of either's distance to 0 or 1,
    whichever is nearer.
    """
    values = np.asarray(scores, np.float32) + np.float32(0)  # and no negative zero
    distance = np.where(values < 0, -values, np.where(values < 0.5, values, np.abs(values - np.float32(1))))
    steps = (distance.view(np.uint32) >> _CUT).astype(np.int64)
    low = np.where(values < 0, _MOST - 1 - steps, _MOST + steps)
    high = np.where(values <= 1, _MOST + 2 * _HALF - steps, _MOST + 2 * _HALF + 1 + steps)
    return np.where(values < 0.5, low, high)

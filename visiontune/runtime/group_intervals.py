"""Intervals of accuracy and escapes when whole groups are drawn anew."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.bootstrap import Totals, percentile_interval, replicates

Interval = tuple[float, float] | None


def accuracy_counts(
    truth: NDArray[np.int64], right: NDArray[np.bool_], escaped: NDArray[np.bool_], classes: int
) -> NDArray[np.int64]:
    """A row a picture, (n, 2 * classes + 2): one per class, hit per class, defective, escaped."""
    member = np.eye(classes, dtype=np.int64)[truth]
    return np.column_stack([member, member * right[:, np.newaxis], truth != 0, escaped])


def group_intervals(totals: Totals, *, samples: int, confidence: float, escapes: bool) -> dict[str, Interval]:
    """Intervals of balanced accuracy, top-1 and escapes over rows of `accuracy_counts` summed by group; None if undefined."""
    statistics: dict[str, Callable[[Totals], Totals]] = {
        "balanced_accuracy": balanced_accuracy,
        "top1": _top1,
    }
    if escapes:
        statistics["escapes"] = _escapes
    if samples < 1 or len(totals) < 2:  # one group says nothing about the next
        return dict.fromkeys(statistics)
    drawn = replicates(totals, count=samples)
    return {
        name: percentile_interval(drawn, statistic, confidence=confidence)
        for name, statistic in statistics.items()
    }


def balanced_accuracy(totals: Totals) -> Totals:
    """Mean recall of the classes present, for rows of `accuracy_counts`, summed."""
    size = (totals.shape[1] - 2) // 2
    parts, hits = totals[:, :size], totals[:, size : 2 * size]
    present = parts > 0
    recalls = np.divide(hits, parts, out=np.zeros_like(hits), where=present)
    mean: Totals = recalls.sum(axis=1) / present.sum(axis=1)
    return mean


def _top1(totals: Totals) -> Totals:
    size = (totals.shape[1] - 2) // 2
    share: Totals = totals[:, size : 2 * size].sum(axis=1) / totals[:, :size].sum(axis=1)
    return share


def _escapes(totals: Totals) -> Totals:
    defective, escaped = totals[:, -2], totals[:, -1]
    return np.divide(escaped, defective, out=np.full_like(escaped, np.nan), where=defective > 0)

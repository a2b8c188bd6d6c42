"""Bootstrap intervals over groups: parts of one lot or patient are alike, so whole groups are drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Totals = NDArray[np.float64]
SEED = 20250101  # fixed, so that measuring twice prints the same numbers
CHUNK = 2_000_000  # group draws at a time: bounds the memory


def group_totals(groups: list[str], counts: NDArray[np.int64]) -> Totals:
    """Sums the rows of `counts` (n, columns), one a part, over each group: float64 (groups, columns)."""
    position: dict[str, int] = {}
    member = [position.setdefault(group, len(position)) for group in groups]
    totals = np.zeros((len(position), counts.shape[1]))
    np.add.at(totals, member, counts)
    return totals


def replicates(totals: Totals, *, count: int, seed: int = SEED) -> Totals:
    """The column sums of `count` samples of whole groups, drawn with replacement: float64 (count, columns)."""
    groups = len(totals)
    stream = np.random.default_rng(seed)
    step = max(1, CHUNK // groups)
    sums = []
    for start in range(0, count, step):
        rows = min(step, count - start)
        drawn = stream.integers(groups, size=(rows, groups)) + groups * np.arange(rows)[:, np.newaxis]
        times = np.bincount(drawn.ravel(), minlength=rows * groups).reshape(rows, groups)
        sums.append(times @ totals)
    return np.concatenate(sums)


def percentile_interval(
    samples: Totals, statistic: Callable[[Totals], Totals], *, confidence: float
) -> tuple[float, float] | None:
    """The central `confidence` of the statistic over samples (count, columns); None if it is NaN in all of them."""
    values = statistic(samples)
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    side = 50 * (1 - confidence)
    low, high = np.percentile(values, [side, 100 - side])
    return float(low), float(high)

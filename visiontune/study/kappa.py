"""Cohen's and Fleiss' kappa, with intervals that know that the trials of one part are not independent.

Cohen (1960), Educational and Psychological Measurement 20; Fleiss (1971), Psychological Bulletin 76. The textbook standard
errors hold for one rating a part and appraiser; a study has several, so whole parts are drawn anew (bootstrap).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.bootstrap import percentile_interval, replicates
from visiontune.study import clustered

Sums: TypeAlias = NDArray[np.float64]
Ratings: TypeAlias = NDArray[np.int64]
SAMPLES = 2000


@dataclass(frozen=True)
class Kappa:
    """Agreement beyond chance, 1 is perfect, 0 is chance; None where everything was called the same, which says nothing.

    low, high  percentile bootstrap over parts. Where nearly all agree such samples hardly differ, so `low` is no more than
               the exact bound on agreement leaves, parts counted (see `clustered`)
    """

    value: float | None
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"value": self.value, "low": self.low, "high": self.high}


def cohen(first: Ratings, second: Ratings, categories: int, *, confidence: float = 0.95) -> Kappa:
    """Cohen's kappa of two appraisers: int64 (parts, trials) each, paired trial by trial, values 0..categories-1.

    As AIAG's cross-tabulation does, all trials go into one table. Raises ValueError where shapes differ or a value is none.
    """
    if first.shape != second.shape:
        raise ValueError(f"expected two tables of one shape, found {first.shape} and {second.shape}")
    _check(first, categories)
    _check(second, categories)
    cells = np.eye(categories * categories, dtype=np.float64)[first * categories + second].sum(axis=1)

    def parts(sums: Sums) -> tuple[Sums, Sums]:
        tables = sums.reshape(-1, categories, categories)
        total = tables.sum(axis=(1, 2))
        agreed = np.trace(tables, axis1=1, axis2=2) / total
        return agreed, (tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1) / total**2

    return _estimated(cells, parts, confidence)


def fleiss(ratings: Ratings, categories: int, *, confidence: float = 0.95) -> Kappa:
    """Fleiss' kappa of int64 (parts, ratings), values 0..categories-1; at least two ratings a part.

    Within an appraiser the ratings are the trials, between appraisers all trials of all. Raises ValueError for fewer.
    """
    many = ratings.shape[1]
    if many < 2:
        raise ValueError(f"expected at least two ratings a part, found {many}")
    _check(ratings, categories)
    counts = np.eye(categories, dtype=np.float64)[ratings].sum(axis=1)
    agreed_pairs = ((counts**2).sum(axis=1) - many) / (many * (many - 1))
    table = np.column_stack([counts, agreed_pairs, np.ones(len(counts))])

    def parts(sums: Sums) -> tuple[Sums, Sums]:
        share = sums[:, :categories] / (sums[:, -1:] * many)
        return sums[:, -2] / sums[:, -1], (share**2).sum(axis=1)

    return _estimated(table, parts, confidence)


def _estimated(table: Sums, parts: Callable[[Sums], tuple[Sums, Sums]], confidence: float) -> Kappa:
    """Kappa of the column sums of `table`, a row a part; `parts` gives the shares of agreement, seen and by chance."""

    def kappa(sums: Sums) -> Sums:
        agreed, chance = parts(sums)
        beyond = 1 - chance
        usable = beyond > 1e-12
        return np.where(usable, (agreed - chance) / np.where(usable, beyond, 1), np.nan)

    whole = table.sum(axis=0, keepdims=True)
    value = float(kappa(whole)[0])
    if np.isnan(value):
        return Kappa(None, None, None)
    agreed, chance = (float(share[0]) for share in parts(whole))
    least = clustered.lower(agreed * len(table), len(table), (1 - confidence) / 2)
    surely = (least - chance) / (1 - chance)
    found = percentile_interval(replicates(table, count=SAMPLES), kappa, confidence=confidence)
    low, high = found if found is not None else (surely, value)
    return Kappa(value, min(low, surely), high)


def _check(ratings: Ratings, categories: int) -> None:
    if ratings.ndim != 2 or not ratings.size or ratings.min() < 0 or ratings.max() >= categories:
        raise ValueError(f"expected ratings 0..{categories - 1} as (parts, trials), found {ratings.shape}")

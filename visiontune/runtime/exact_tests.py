"""Exact tests on counts: whether one model errs more than another, one group more than the rest, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def mcnemar(worse: int, better: int) -> float:
    """Two-sided p of the exact test of McNemar (1947), Psychometrika 12: how `worse` + `better` changed parts divide.

    If neither of two judges were better, each part on which they differ would fall to either side with chance 1/2. 1 if none
    differs. Raises ValueError for a negative count.
    """
    few = min(worse, better)
    return min(1.0, 2 * mcnemar_worse(worse + better - few, few))


def mcnemar_worse(worse: int, better: int) -> float:
    """One-sided p: the chance of at least `worse` of the changed parts if neither were better. Raises as `mcnemar`."""
    if worse < 0 or better < 0:
        raise ValueError(f"expected counts >= 0, found {worse} and {better}")
    n = worse + better
    k = np.arange(worse, n + 1)
    logs = _log_factorials(n)
    return _total(logs[n] - logs[k] - logs[n - k] - n * math.log(2))


def fisher_more(hits: int, of: int, other_hits: int, other_of: int) -> float:
    """One-sided p of the exact test of Fisher (1922), J. R. Stat. Soc. 85: `hits` or more among these `of`, if all were alike.

    The hypergeometric tail: of all hits + other_hits, drawn blindly out of of + other_of, at least `hits` fall here.
    Raises ValueError unless 0 <= hits <= of on either side.
    """
    if not (0 <= hits <= of and 0 <= other_hits <= other_of):
        raise ValueError(f"expected 0 <= hits <= of, found {hits} of {of} and {other_hits} of {other_of}")
    everywhere, n = hits + other_hits, of + other_of
    k = np.arange(hits, min(everywhere, of) + 1)
    logs = _log_factorials(n)
    here = logs[of] - logs[k] - logs[of - k]
    there = logs[other_of] - logs[everywhere - k] - logs[other_of - everywhere + k]
    return _total(here + there - (logs[n] - logs[everywhere] - logs[n - everywhere]))


def holm(p: Sequence[float]) -> list[float]:
    """The p values corrected for how many they are (Holm 1979, Scand. J. Statist. 6), in their order.

    Calling those below 0.05 real calls anything at all wrongly in at most one of twenty such lists, however they depend.
    """
    adjusted = [0.0] * len(p)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def _total(logs: NDArray[np.float64]) -> float:
    return min(1.0, float(np.exp(logs).sum()))


@lru_cache(maxsize=8)
def _log_factorials(n: int) -> NDArray[np.float64]:
    """ln i! for i = 0..n."""
    return np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))

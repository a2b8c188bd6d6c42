"""The gate between phases: a phase is kept, and the next one opens, only if val gained beyond the noise of the split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 2000


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What a phase gained: mean fall of the val loss in nats, and its lower bound over redrawn groups."""

    mean: float
    low: float
    kept: bool


def gained(
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    groups: Sequence[str],
    *,
    confidence: float = 0.9,
    seed: int = 0,
) -> Gain:
    """Compares the val losses (n,) of the same pictures before and after a phase by a paired bootstrap over groups.

    Whole groups are redrawn, because exposures of one part are not independent. The phase is kept if the mean fall is
    positive in at least the share `confidence` of the draws. With a single group nothing can be told from noise: not kept.
    """
    fall = np.asarray(before, np.float64) - np.asarray(after, np.float64)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.bincount(member, weights=fall)
    sizes = np.bincount(member)
    mean = float(fall.mean())
    if len(names) < 2:
        return Gain(mean=mean, low=float("-inf"), kept=False)
    draws = np.random.default_rng(seed).integers(len(names), size=(DRAWS, len(names)))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low = float(np.quantile(means, 1 - confidence))
    return Gain(mean=mean, low=low, kept=low > 0)

"""Whether probabilities mean what they say: the expected calibration error, before and after the temperature."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 15  # as in Guo et al. 2017
DRAWS, SEED = 100, 20250101  # of what chance alone would show

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """How far the probability of the named kind lies from the share that is named rightly, 0..1, on the measured pictures.

    temperature             by which the logits are divided
    ece_before, ece_after   expected calibration error without and with it
    ece_by_chance           what probabilities that are exactly right would show on average, for so few pictures
    bins                    of equally many pictures
    """

    temperature: float
    ece_before: float
    ece_after: float
    ece_by_chance: float
    bins: int


def calibration(kinds: Floats, truth: NDArray[np.int64], temperature: float) -> Calibration:
    """The calibration of probabilities `kinds` (n, C) that a temperature was applied to; `truth` (n,) true classes.

    What they were before is computed from them: kinds ** temperature, normalised, is the softmax of the bare logits.
    """
    before = np.power(kinds, temperature)
    before /= before.sum(axis=1, keepdims=True)
    sure, right = kinds.max(axis=1), kinds.argmax(axis=1) == truth
    stream = np.random.default_rng(SEED)
    chance = [calibration_error(sure, stream.random(len(sure)) < sure) for _ in range(DRAWS)]
    return Calibration(
        temperature=temperature,
        ece_before=calibration_error(before.max(axis=1), right),
        ece_after=calibration_error(sure, right),
        ece_by_chance=float(np.mean(chance)),
        bins=min(BINS, len(sure)),
    )


def calibration_error(
    sure: Floats, right: NDArray[np.bool_], *, bins: int = BINS, weights: Floats | None = None
) -> float:
    """Expected calibration error, 0..1: the mean over bins, each by its weight, of |share right - mean probability|.

    The measure of Guo et al. 2017 (arXiv 1706.04599) over bins of equal weight, as Nixon et al. 2019 (arXiv 1904.01685)
    recommend: with bins of equal width nearly all pictures of a sure model would lie in one. `sure` (n,) probabilities of
    the named kinds, `right` (n,) whether these are true, `weights` (n,) positive, all 1 if None. Pictures of one probability
    share their mean rightness, so that the order of the pictures says nothing.
    """
    order = np.argsort(sure, kind="stable")
    sure, weight = sure[order], (np.ones(len(sure)) if weights is None else weights[order])
    _, tied = np.unique(sure, return_inverse=True)
    rightness = np.bincount(tied, weight * right[order]) / np.bincount(tied, weight)
    whole = weight.sum()
    middle = (np.cumsum(weight) - weight / 2) / whole
    bin_of = np.minimum((middle * min(bins, len(sure))).astype(np.int64), bins - 1)
    gaps = np.bincount(bin_of, weight * (rightness[tied] - sure))
    return float(np.abs(gaps).sum() / whole)

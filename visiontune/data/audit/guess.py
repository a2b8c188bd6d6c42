"""How well one fact about a picture tells its class, on parts that took no part in the learning, against chance.

A histogram per class is all the classifier that one fact needs: 16 bins, the class whose share of the bin is the largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = Sequence[float] | Sequence[str]
Codes = NDArray[np.intp]

FOLDS = 5
BINS = 16
SHUFFLES = 60
MOST = 5000  # pictures; of more a part is drawn, by whole parts
FEWEST_PARTS = 5  # of a class; with fewer the folds hold too few


@dataclass(frozen=True, slots=True)
class Guess:
    """Balanced accuracy out of fold, what shuffled labels reach at most, and the classes asked for."""

    accuracy: float
    by_chance: float
    classes: int

    @property
    def gain(self) -> float:
        """0 at chance, 1 where the fact alone tells every class."""
        chance = 1 / self.classes
        return (self.accuracy - chance) / (1 - chance)

    @property
    def beyond_chance(self) -> bool:
        """Better than each of the shuffles, which makes p < 1 / SHUFFLES, and by more than a hair."""
        return self.accuracy > self.by_chance + 0.02


def guess(
    values: Values, labels: Sequence[str], parts: Sequence[int], *, least: float = -1.0, seed: int = 0
) -> Guess | None:
    """Learns `values` -> `labels` in FOLDS folds of whole parts; None where fewer than two classes have FEWEST_PARTS parts,
    and where the gain stays below `least`.

    Numbers are binned by quantiles of the training folds, texts are taken as they are. For chance, labels are shuffled among
    whole parts, so that the exposures of one part do not look like proof.
    """
    if not len(labels):
        return None
    rng = np.random.default_rng(seed)
    _, y = np.unique(np.asarray(labels), return_inverse=True)
    _, part = np.unique(np.asarray(parts), return_inverse=True)
    kept = _kept(y, part, rng)
    if len(np.unique(y[kept])) < 2:
        return None
    chosen, y = np.unique(y[kept], return_inverse=True)
    _, part = np.unique(part[kept], return_inverse=True)
    fold = rng.permutation(part.max() + 1)[part] % FOLDS
    bins = _binned(np.asarray(values)[kept], fold)
    accuracy = _accuracy(bins, y, fold, len(chosen))
    if Guess(accuracy, 1.0, len(chosen)).gain < least:
        return None
    label_of = np.zeros(part.max() + 1, np.intp)
    label_of[part] = y  # a part with two labels takes one of them
    shuffled = [_accuracy(bins, rng.permutation(label_of)[part], fold, len(chosen)) for _ in range(SHUFFLES)]
    return Guess(accuracy, max(shuffled), len(chosen))


def _kept(y: Codes, part: Codes, rng: np.random.Generator) -> NDArray[np.bool_]:
    """The pictures of classes with enough parts, and not too many of them."""
    counts = np.array([len(np.unique(part[y == c])) for c in range(y.max() + 1)])
    kept = counts[y] >= FEWEST_PARTS
    if kept.sum() > MOST:
        order = rng.permutation(part.max() + 1)
        ahead = np.cumsum(np.bincount(part[kept], minlength=len(order))[order])
        kept &= np.isin(part, order[: int(np.searchsorted(ahead, MOST)) + 1])
    return kept


def _binned(values: NDArray[np.generic], fold: Codes) -> list[Codes]:
    """For each fold the bins of all pictures, with edges from the other folds."""
    if values.dtype.kind not in "fiu":
        codes = np.unique(values, return_inverse=True)[1]
        return [codes] * FOLDS
    numbers = values.astype(np.float64)
    found = []
    for k in range(FOLDS):
        learned = numbers[fold != k]
        edges = np.unique(np.quantile(learned, np.linspace(0, 1, BINS + 1)[1:-1]))
        found.append(np.searchsorted(edges, numbers, side="right"))
    return found


def _accuracy(bins: list[Codes], y: Codes, fold: Codes, classes: int) -> float:
    """Mean recall of the classes, each picture judged by the folds that do not hold it."""
    right = np.zeros(len(y), bool)
    for k, codes in enumerate(bins):
        away, here = fold != k, fold == k
        values = int(codes.max()) + 1
        counts = np.bincount(codes[away] * classes + y[away], minlength=values * classes)
        counts = counts.reshape(values, classes)
        share = counts / np.maximum(counts.sum(0), 1)
        best = share.argmax(1)
        best[counts.sum(1) == 0] = -1  # a value never seen: no guess
        right[here] = best[codes[here]] == y[here]
    hits = np.bincount(y[right], minlength=classes)
    return float((hits / np.maximum(np.bincount(y, minlength=classes), 1)).mean())

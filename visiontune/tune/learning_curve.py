"""How much data is enough? Heads on nested subsets of the parts, a power law through their errors, what twice the parts may give.

An error that falls as a n^-b + c (Hestness et al. 2017, arXiv 1712.00409) is fitted to the errors that linear heads make on val
when they learn from 1/8, 1/4, 1/2 and all of the train parts. Beyond twice the parts nothing is claimed: a power law misjudges
needs far beyond the data (Mahmood et al. 2022, arXiv 2207.01725). The heads see fixed features, so a curve takes seconds; what
more parts do to the backbone when it is fine-tuned too is not in it.

How often the 90 % band holds the truth (scripts/measure_learning_curve.py: half of the parts say what all of them give; four data
sets, 25 divisions each): all classes alike 92 % of 75, single classes 87 % of 1063, whose truth is itself measured on few parts.
FEW and the weights of parts were settled on these; with a backbone and a size that had no say in it: 95 % and 88 %. Curves made
by known laws: 93 % of 1000. Where it misses, more parts mostly helped more. But no law here rises: a good class may lose what
thin defects win (magnetic tiles: 20 % of 25 above the band).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.tune.nested import SHARES, Features, mistakes
from visiontune.tune.power_law import fitted

Floats = NDArray[np.float64]

REPLICATES = 1000
FEW = 8  # parts of a class, in train and in val, below which the band would not hold what it says
BAND = (5.0, 95.0)  # per cent


@dataclass(frozen=True)
class Parts:
    """How many parts there are, and how many they count as where each class weighs alike: the thinnest class says most then.

    Of one class they count as many as they are. Of all: in train the harmonic mean of the classes, since a head needs some of
    each; in val the parts of like weight that would tell as much.
    """

    number: int
    counts_as: int

    def __str__(self) -> str:
        text = f"{self.number} {'part' if self.number == 1 else 'parts'}"
        thin = self.counts_as < min(self.number, FEW)
        return f"{text} that count as {self.counts_as}" if thin else text


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """Errors of one class, or of all classes alike (balanced), as shares 0..1 of its parts: a part of many pictures counts once.

    train, val  the parts that hold the class
    errors      on val, of heads that learnt from each of SHARES; the last is the error now
    low, high   what each may truly be on other parts like those of val: 90 %
    twice       (low, middle, high) with twice the train parts; None where the parts are too few to say
    """

    name: str
    train: Parts
    val: Parts
    errors: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    twice: tuple[float, float, float] | None

    def __str__(self) -> str:
        if self.twice is None:
            return f"{self.name}: too few to say ({self.train} in train, {self.val} in val; {FEW} of each are needed)"
        now, (low, middle, high) = percent(self.errors[-1]), map(percent, self.twice)
        return (
            f"{self.name}: {now} % errors now ({self.val} in val: {percent(self.low[-1])} to {percent(self.high[-1])} %); "
            f"with twice the pictures expect {low} to {high} %, middle {middle} %"
        )


@dataclass(frozen=True, kw_only=True)
class LearningCurve:
    """`pictures` and `parts` of each subset (means over ORDERS), the balanced error, and that of each class that val holds.

    Twice the pictures means twice the parts; more exposures of the same parts are something else.
    """

    pictures: tuple[int, ...]
    parts: tuple[int, ...]
    balanced: Expectation
    classes: tuple[Expectation, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, (*self.classes, self.balanced)))

    def as_dict(self) -> dict[str, Any]:
        """As plain data, with the sentence of each expectation."""
        said = [{**asdict(one), "says": str(one)} for one in (self.balanced, *self.classes)]
        return {
            "pictures": list(self.pictures),
            "parts": list(self.parts),
            "balanced": said[0],
            "classes": said[1:],
        }


def learning_curve(train: Features, val: Features, classes: Sequence[str], *, seed: int = 0) -> LearningCurve:
    """Fits heads on nested subsets of the train parts and says what twice the parts may give. See `expectation`."""
    wrong, pictures, parts = mistakes(train, val, len(classes), seed=seed)
    balanced, by_class = expectations(wrong, train, val, classes, seed=seed)
    return LearningCurve(
        pictures=tuple(pictures.mean(axis=1).round().astype(int).tolist()),
        parts=tuple(parts.mean(axis=1).round().astype(int).tolist()),
        balanced=balanced,
        classes=by_class,
    )


def expectations(
    wrong: NDArray[np.bool_], train: Features, val: Features, classes: Sequence[str], *, seed: int = 0
) -> tuple[Expectation, tuple[Expectation, ...]]:
    """The balanced expectation and that of each class, from the mistakes (len(SHARES), ORDERS, n) on val's pictures."""
    _, member = np.unique(np.asarray(val.groups), return_inverse=True)
    alike = part_weights(val.labels, member)
    held = [
        len({g for g, at in zip(train.groups, train.labels, strict=True) if at == label})
        for label in range(len(classes))
    ]
    present = [label for label in range(len(classes)) if (val.labels == label).any()]

    def told(name: str, weights: Floats, parts: Parts, place: int) -> Expectation:
        rng = np.random.default_rng([seed, 1, place])
        return expectation(name, wrong, weights / weights.sum(), member, parts, rng)

    mean = len(present) / sum(1 / max(held[label], 0.5) for label in present)
    balanced = told("all classes alike", alike, Parts(len(set(train.groups)), int(mean)), 0)
    return balanced, tuple(
        told(classes[label], alike * (val.labels == label), Parts(held[label], held[label]), label + 1)
        for label in present
    )


def part_weights(labels: NDArray[np.int64], member: NDArray[np.int64]) -> Floats:
    """Weights (n,) of pictures, sum 1: classes weigh alike, in a class its parts, in a part its pictures.

    A mean over pictures would be biased where parts differ in how many they have, and the more so the fewer parts there are.
    """
    pairs, place, pictures = np.unique(
        np.stack([labels, member]), axis=1, return_inverse=True, return_counts=True
    )
    parts = np.bincount(pairs[0])
    return np.asarray(1 / (np.count_nonzero(parts) * parts[labels] * pictures[place.reshape(-1)]))


def expectation(
    name: str,
    wrong: NDArray[np.bool_],
    weights: Floats,
    member: NDArray[np.int64],
    train: Parts,
    rng: np.random.Generator,
) -> Expectation:
    """What the law says at twice the parts, with a 90 % band over REPLICATES of val's parts and of the subsets.

    `wrong` bool (sizes, orders, n), `weights` (n,) of the pictures, which sum to 1, `member` int64 (n,) their groups.

    Val's parts and the orders are redrawn by the Bayesian bootstrap (Rubin 1981, Ann. Statist. 9). A plain one would be sure of
    an error of 0 in 14 parts; two half parts, one always right and one always wrong, make it Jeffreys' interval, whose low end
    is 0 where no error was seen (Brown, Cai and DasGupta 2001, Statist. Sci. 16). All the parts give only one subset: how far
    another set of as many would err from it, and one of twice as many, is drawn with the spread of independent halves, which is
    twice the variance of halves of one set. The law is fitted to every replicate, and scales the replicate's last error.
    """
    rows = np.flatnonzero(weights > 0)
    rows = rows[np.argsort(member[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(member[rows], prepend=-1))
    missed = np.add.reduceat(wrong[..., rows] * weights[rows], starts, axis=2)  # (sizes, orders, parts)
    sizes = np.add.reduceat(weights[rows], starts)
    typical = (sizes**2).sum()  # of sizes that sum to 1: one over the number of parts if all weigh alike
    seen = missed.sum(axis=2)
    errors = seen.mean(axis=1)

    parts = rng.exponential(size=(REPLICATES, len(sizes)))
    orders = rng.exponential(size=(REPLICATES, wrong.shape[1]))
    always = typical * rng.gamma(0.5, size=(REPLICATES, 2))
    orders /= orders.sum(axis=1, keepdims=True)
    totals = np.einsum("bg,srg,br->bs", parts, missed, orders, optimize=True) + always[:, :1]
    curves = totals / (parts @ sizes + always.sum(axis=1))[:, np.newaxis]
    curves[:, -1] += rng.normal(0, np.sqrt(2 * variance_of_orders(missed[-2], sizes)), REPLICATES)
    curves = curves.clip(0, 1)

    a, b, c = fitted(curves, np.array(SHARES))
    stays = (a * 2.0**-b + c) / np.maximum(a + c, 1e-12)  # of the errors, with twice the parts
    low, high = np.percentile(np.column_stack([curves, curves[:, -1] * stays]), BAND, axis=0)
    low[np.append(errors, errors[-1]) <= 0] = 0
    middle = float(np.clip(errors[-1] * np.median(stays), low[-1], high[-1]))
    val = Parts(len(sizes), round(1 / typical))
    enough = min(train.counts_as, val.counts_as) >= FEW
    return Expectation(
        name=name,
        train=train,
        val=val,
        errors=tuple(errors.tolist()),
        low=tuple(low[:-1].tolist()),
        high=tuple(high[:-1].tolist()),
        twice=(float(low[-1]), middle, float(high[-1])) if enough else None,
    )


def variance_of_orders(missed: Floats, sizes: Floats) -> float:
    """How much the error varies with the subset it was learnt from, on endless val parts; from `missed` (orders, parts).

    Random effects of order, part and both: the last is chance in the mean over few parts, and is taken off.
    """
    seen = missed.sum(axis=1)
    chance = (missed - seen[:, np.newaxis] * sizes).var(axis=0, ddof=1).sum()
    return max(float(seen.var(ddof=1) - chance), 0.0)


def percent(share: float) -> str:
    """A share 0..1 in per cent, as far as so few parts tell: "12", "0.7"."""
    return f"{100 * share:.{1 if 0 < share < 0.0995 else 0}f}"

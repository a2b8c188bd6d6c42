"""Temperature and bands from the val share: what pass, review and reject may promise, and what the data cannot certify."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from visiontune.runtime.bands import NEVER, Bands
from visiontune.runtime.errors import CalibrationRefused
from visiontune.tune.clearance import clear_above, clear_below
from visiontune.tune.good_only import good_bands
from visiontune.tune.promise import KINDS, allowed_misses, each_kind, promise


@dataclass(frozen=True, kw_only=True)
class Target:
    """What the user asks of the verdicts. Rates are shares of parts, 0..1."""

    escapes: float  # of the defective parts, how many may pass
    overkill: float  # of the good parts, how many may be rejected
    confidence: float  # of calibration shares like this one, in how many the promise must hold

    def __post_init__(self) -> None:
        for name in ("escapes", "overkill", "confidence"):
            value = getattr(self, name)
            if not 0 < value < 1:
                raise CalibrationRefused(f"{name} must lie between 0 and 1, both excluded, got {value}")


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A share as the network judged it, a row a picture."""

    severity: NDArray[np.float32]  # (n,) 0..1
    kinds: NDArray[np.float32]  # (n, C) probabilities
    labels: NDArray[np.int64]  # (n,) true class
    groups: Sequence[str]  # (n,) part of each picture
    classes: Sequence[str] = ()  # names of the classes, in the order of the labels
    one_class: bool = False  # whether good parts alone are enough


def fit_temperature(
    logits: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """The temperature that minimises the weighted cross entropy of softmax(logits / T) (Guo et al. 2017, arXiv 1706.04599).

    `logits` (n, C), `labels` (n,), `weights` (n,). The answer lies in 0.05..20; 1 where the logits say nothing.
    """
    if not np.ptp(logits):
        return 1.0

    def loss(log_temperature: float) -> float:
        scaled = logits / math.exp(log_temperature)
        top = scaled.max(axis=1)
        normaliser = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
        return float(np.average(normaliser - scaled[np.arange(len(labels)), labels], weights=weights))

    found = minimize_scalar(loss, bounds=(math.log(0.05), math.log(20.0)), method="bounded")
    return float(math.exp(found.x))


def inspection_bands(judged: Judged, target: Target) -> Bands:
    """Bands where class 0 is good, by fixed-sequence Learn-then-Test (Angelopoulos et al. 2021, arXiv 2110.01052).

    The unit is the part: a defective part escapes if any exposure of it passes, a good part is overkill if any is rejected;
    exposures of one part are not independent, parts are. Pass lies below the (k+1)-th smallest defective severity, where k
    misses still certify the escape rate; reject lies above the matching severity of the good parts. If not even k = 0
    certifies, the band is set at k = 0 and the evidence says what it can certify and how many parts are missing; and what it
    certifies of each kind of defect by itself. Without a defective part, `good_bands` where the head is of one class.
    """
    defective = judged.labels != 0
    bad = per_part(judged, defective, np.min)
    good = per_part(judged, ~defective, np.max)
    if judged.one_class and len(good) and not len(bad):
        return good_bands(good, judged.severity, overkill=target.overkill, confidence=target.confidence)
    if not len(bad) or not len(good):
        lacking = "defective" if not len(bad) else "good"
        raise CalibrationRefused(
            f"the val share holds no {lacking} part; expected both to set bands: add some to val or split anew"
        )
    passes = max(0, allowed_misses(len(bad), target.escapes, target.confidence))
    review_from = clear_below(np.sort(bad)[passes], judged.severity) if passes < len(bad) else NEVER
    rejects = max(0, allowed_misses(len(good), target.overkill, target.confidence))
    reject_from = clear_above(np.sort(good)[::-1][rejects], judged.severity) if rejects < len(good) else 0.0
    reject_from = max(reject_from, review_from)
    passed = int((bad < np.float32(review_from)).sum())
    rejected = int((good >= np.float32(reject_from)).sum())
    return Bands(
        review_from=review_from,
        reject_from=reject_from,
        evidence={
            "method": "fixed-sequence Learn-then-Test, exact binomial, unit: part",
            "confidence": target.confidence,
            "escapes": promise(len(bad), passes, passed, target.escapes, target.confidence),
            "overkill": promise(len(good), rejects, rejected, target.overkill, target.confidence),
            **kinds_that_pass(judged, review_from, target.escapes, target.confidence),
        },
    )


def kinds_that_pass(judged: Judged, review_from: float, asked: float, confidence: float) -> dict[str, Any]:
    """Evidence of each kind of defect; empty where there is but one, or where the classes have no names."""
    kinds = np.unique(judged.labels[judged.labels != 0]).tolist()
    if len(kinds) < 2 or not judged.classes:
        return {}
    lowest = {judged.classes[kind]: per_part(judged, judged.labels == kind, np.min) for kind in kinds}
    return {
        KINDS: each_kind(
            {name: len(parts) for name, parts in lowest.items()},
            {name: int((parts < np.float32(review_from)).sum()) for name, parts in lowest.items()},
            asked=asked,
            confidence=confidence,
        )
    }


def per_part(
    judged: Judged, chosen: NDArray[np.bool_], reduce: Callable[[list[float]], float]
) -> NDArray[np.float32]:
    """One severity per part of the chosen pictures."""
    parts: dict[str, list[float]] = {}
    for index in np.flatnonzero(chosen).tolist():
        parts.setdefault(judged.groups[index], []).append(float(judged.severity[index]))
    return np.array([reduce(values) for values in parts.values()], np.float32)

"""Temperature and bands from the val share: what pass, review and reject may promise, and what the data cannot certify."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import beta, binom

from visiontune.runtime.bands import NEVER, Bands
from visiontune.runtime.errors import CalibrationRefused


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


def allowed_misses(n: int, rate: float, confidence: float) -> int:
    """The largest k such that k misses in n parts certify a miss rate of at most `rate`; -1 if not even 0 do.

    Exact binomial test: P(X <= k; n, rate) <= 1 - confidence.
    """
    misses = np.arange(n + 1)
    passing = binom.cdf(misses, n, rate) <= 1 - confidence
    return int(passing.sum()) - 1


def certifiable(n: int, misses: int, confidence: float) -> float:
    """The smallest rate that `misses` in `n` parts certify: the one-sided Clopper-Pearson bound."""
    return 1.0 if misses >= n else float(beta.ppf(confidence, misses + 1, n - misses))


def needed(rate: float, confidence: float) -> int:
    """How many parts without a single miss certify `rate`."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - rate))


def inspection_bands(judged: Judged, target: Target) -> Bands:
    """Bands where class 0 is good, by fixed-sequence Learn-then-Test (Angelopoulos et al. 2021, arXiv 2110.01052).

    The unit is the part: a defective part escapes if any exposure of it passes, a good part is overkill if any is rejected;
    exposures of one part are not independent, parts are. Pass lies below the (k+1)-th smallest defective severity, where k
    misses still certify the escape rate; reject lies above the matching severity of the good parts. If not even k = 0
    certifies, the band is set at k = 0 and the evidence says what it can certify and how many parts are missing.
    """
    defective = judged.labels != 0
    bad = per_part(judged, defective, np.min)
    good = per_part(judged, ~defective, np.max)
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
        },
    )


def sorting_bands(judged: Judged, target: Target) -> Bands:
    """Bands without a good class: pass while "the named kind is wrong" is certified to be rare among what passes.

    Selective classification: thresholds are tried from the strictest on, each by an exact binomial test on the pictures it
    passes, and the walk ends at the first that fails. Nothing is rejected: what is not sure enough goes to review.
    """
    wrong = judged.kinds.argmax(axis=1) != judged.labels
    order = np.argsort(judged.severity, kind="stable")
    smallest = needed(target.escapes, target.confidence)
    passed = best = errors = 0
    edges = np.flatnonzero(np.diff(judged.severity[order], append=np.float32(NEVER)))
    for edge in edges[edges + 1 >= min(smallest, len(order))]:
        count = int(edge) + 1
        missed = int(wrong[order[:count]].sum())
        if binom.cdf(missed, count, target.escapes) > 1 - target.confidence:
            break
        passed, best, errors = count, int(edge), missed
    if passed:
        review_from = clear_above(judged.severity[order[best]], judged.severity)
    else:
        review_from = clear_below(judged.severity[wrong].min(), judged.severity) if wrong.any() else NEVER
        passed = int((judged.severity < review_from).sum())
    return Bands(
        review_from=review_from,
        reject_from=max(NEVER, review_from),
        evidence={
            "method": "selective classification, fixed sequence, exact binomial, unit: picture",
            "confidence": target.confidence,
            "wrong kind among passed": promise(passed, errors, errors, target.escapes, target.confidence),
        },
    )


def clear_below(edge: float, severities: NDArray[np.float32]) -> float:
    """The highest threshold not above `edge` that keeps clear of every severity of the share.

    A threshold that touches a severity would let the last bit of an engine's arithmetic decide; midway in the next gap wide
    enough, it cannot. Going down passes fewer parts, so no promise is weakened.
    """
    above = float(edge)
    for below in sorted({float(value) for value in severities if value < edge}, reverse=True):
        if above - below > clearance(above):
            return (above + below) / 2
        above = below
    return above / 2


def clear_above(edge: float, severities: NDArray[np.float32]) -> float:
    """The lowest threshold above `edge` that keeps clear of every severity of the share."""
    below = float(edge)
    for above in sorted({float(value) for value in severities if value > edge}):
        if above - below > clearance(above):
            return (above + below) / 2
        below = above
    return below + max((1 - below) / 2, 2 * clearance(below))


def clearance(severity: float) -> float:
    """How wide a gap must be at `severity` to be more than rounding."""
    return 2e-5 * severity + 1e-9


def promise(n: int, allowed: int, seen: int, asked: float, confidence: float) -> dict[str, Any]:
    """What `n` parts certify at a threshold that lets `allowed` of them through, beside what was asked and what is missing.

    `seen` of them are let through by the final threshold: keeping clear of severities, or lifting reject to review, may
    leave fewer than allowed. The certified rate is that of `allowed`, which the parts' scores had no say in.
    """
    certified = certifiable(n, allowed, confidence)
    missing = 0 if certified <= asked else max(0, needed(asked, confidence) - n)
    return {
        "parts": n,
        "allowed": allowed,
        "misses": seen,
        "asked": asked,
        "certified": certified,
        "missing_parts": missing,
    }


def per_part(judged: Judged, chosen: NDArray[np.bool_], reduce: Any) -> NDArray[np.float32]:
    """One severity per part of the chosen pictures."""
    parts: dict[str, list[float]] = {}
    for index in np.flatnonzero(chosen).tolist():
        parts.setdefault(judged.groups[index], []).append(float(judged.severity[index]))
    return np.array([reduce(values) for values in parts.values()], np.float32)


def sentence(evidence: dict[str, Any]) -> list[str]:
    """The evidence in words, a line for each promise."""
    unit = "pictures" if evidence.get("method", "").endswith("picture") else "parts"
    lines = []
    for name, found in evidence.items():
        if not isinstance(found, dict):
            continue
        said = f"{name}: {found['misses']} of {found['parts']} {unit} ({found['allowed']} allowed) certify at most "
        said += f"{at_most(found['certified'])} at {100 * evidence['confidence']:.3g} % confidence"
        if found["certified"] > found["asked"]:
            said += f"; {found['missing_parts']} more {unit} without a miss are needed for {100 * found['asked']:.3g} %"
        lines.append(said)
    return lines


def at_most(rate: float) -> str:
    """A bound 0..1 in per cent, two digits, rounded up: what is printed still holds."""
    step = 10.0 ** (1 - math.floor(math.log10(100 * rate)))
    return f"{math.ceil(100 * rate * step - 1e-6) / step:.3g} %"

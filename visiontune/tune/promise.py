"""What held-out parts certify of a rate, exactly, and how many are missing; as evidence for the card and in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import binom

from visiontune.runtime import binomial

HELD = "review or reject of good parts"  # names in the evidence
UNKNOWN = "unknown: val holds no defective part"  # what it says of escapes then
ESTIMATE = "planted defects, an estimate"  # the name in the evidence of what is said of them beside it
KINDS = "kinds"  # the name in the evidence of what is said of each kind by itself


def allowed_misses(n: int, rate: float, confidence: float) -> int:
    """The largest k such that k misses in n parts certify a miss rate of at most `rate`; -1 if not even 0 do.

    Exact binomial test: P(X <= k; n, rate) <= 1 - confidence.
    """
    misses = np.arange(n + 1)
    passing = binom.cdf(misses, n, rate) <= 1 - confidence
    return int(passing.sum()) - 1


def any_threshold(n: int, misses: int, confidence: float) -> float:
    """What `misses` in `n` parts certify of a threshold that was chosen on these parts, in whatever way.

    A threshold with k of n parts on its wrong side lies no further than the (k+1)-th of them, and the rate beyond that one has
    for its bound that of Clopper and Pearson for k misses (Wilks 1941). With doubt d / ((k + 1)(k + 2)) for each k, which
    sums to d, all of these hold at once.
    """
    doubt = (1 - confidence) / ((misses + 1) * (misses + 2))
    return binomial.upper(misses, n, 1 - doubt)


def promise(n: int, allowed: int, seen: int, asked: float, confidence: float) -> dict[str, Any]:
    """What `n` parts certify at a threshold that lets `allowed` of them through, beside what was asked and what is missing.

    `seen` of them are let through by the final threshold: keeping clear of severities, or lifting reject to review, may
    leave fewer than allowed. The certified rate is that of `allowed`, which the parts' scores had no say in.
    """
    certified = binomial.upper(allowed, n, confidence)
    missing = 0 if certified <= asked else max(0, binomial.parts_needed(asked, 0, confidence) - n)
    return entry(n, seen, asked=asked, certified=certified, missing=missing, allowed=allowed)


def unasked(n: int, misses: int, certified: float) -> dict[str, Any]:
    """The same where no rate was asked for, but the least cost: what is said is what is certified, rounded up to two digits."""
    return entry(n, misses, asked=rounded_up(certified), certified=certified, missing=0, allowed=misses)


def entry(
    n: int, misses: int, *, asked: float, certified: float, missing: int, allowed: int | None = None
) -> dict[str, Any]:
    """A promise as the evidence holds it; `allowed` where that many misses were allowed beforehand."""
    found = {
        "parts": n,
        "allowed": allowed,
        "misses": misses,
        "asked": asked,
        "certified": certified,
        "missing_parts": missing,
    }
    return {name: value for name, value in found.items() if value is not None}


def each_kind(
    parts: dict[str, int], misses: dict[str, int], *, asked: float, confidence: float
) -> dict[str, Any]:
    """The evidence of each kind by itself, `misses[kind]` of `parts[kind]` let through, the least certified first.

    The threshold was set on all kinds together, so that how many of one kind it lets through is left to them: the bounds are
    those of `any_threshold`. They hold for each kind by itself, not for all of them at once.
    """
    found = {}
    fewest = binomial.parts_needed(asked, 0, 1 - (1 - confidence) / 2)  # of any threshold, without a miss
    for kind, n in parts.items():
        certified = any_threshold(n, misses[kind], confidence)
        missing = 0 if certified <= asked else max(0, fewest - n)
        found[kind] = entry(n, misses[kind], asked=asked, certified=certified, missing=missing)
    return dict(sorted(found.items(), key=lambda item: -item[1]["certified"]))


def sentence(evidence: dict[str, Any]) -> list[str]:
    """The evidence in words, a line for each promise and each kind."""
    lines = []
    for name, found in evidence.items():
        if found == UNKNOWN:
            lines.append(f"{name}: {found}; visiontune pod tells them by size, from planted defects")
        if not isinstance(found, dict):
            continue
        if name == ESTIMATE:
            lines.append(f"{name}: {found['passed']} of {found['pictures']} pass; real ones may do otherwise")
        elif name == KINDS:
            lines += [f"  {kind}: {in_words(one, evidence['confidence'])}" for kind, one in found.items()]
        else:
            lines.append(f"{name}: {in_words(found, evidence['confidence'])}")
    return lines


def in_words(found: dict[str, Any], confidence: float) -> str:
    """One promise."""
    allowed = f" ({found['allowed']} allowed)" if "allowed" in found else ""
    said = (
        f"{found['misses']} of {found['parts']} parts{allowed} certify at most {at_most(found['certified'])}"
    )
    said += f" at {100 * confidence:.3g} % confidence"
    if found["certified"] > found["asked"]:
        said += f"; {found['missing_parts']} more parts without a miss are needed for {100 * found['asked']:.3g} %"
    return said


def at_most(rate: float) -> str:
    """A bound 0..1 in per cent, two digits, rounded up: what is printed still holds."""
    step = 10.0 ** (1 - math.floor(math.log10(100 * rate)))
    return f"{math.ceil(100 * rate * step - 1e-6) / step:.3g} %"


def rounded_up(rate: float) -> float:
    """A rate 0..1 to two digits, rounded up."""
    step = 10.0 ** (1 - math.floor(math.log10(rate)))
    return min(1.0, math.ceil(rate * step) / step)

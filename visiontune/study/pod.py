"""The probability of detection over size, and the smallest defect reliably found: a90 and a90/95.

Hit/miss analysis of MIL-HDBK-1823A (2009): logit POD(a) = b0 + b1 ln a. a90 is the size found in nine of ten cases; a90/95 is
its upper 95 % bound, the figure to promise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import binom

from visiontune.runtime import binomial
from visiontune.study import logistic
from visiontune.study.logistic import Line

RELIABLY = 0.90
FEW = 60  # plantings below which MIL-HDBK-1823A does not want a hit/miss curve
FEWEST = 10  # parts that must differ before drawing them anew says anything
SAMPLES = 500
SEED = 20250101
DOUBT = 0.05  # a finding against the curve that chance would give less often is told


@dataclass(frozen=True)
class Curve:
    """What one series of planted defects says. Sizes in the unit they were planted in.

    planted, found  defects, and those found; `groups` parts they lie on: fewer than `planted` where parts were used again
    low, high       smallest and largest planted
    b0, b1          logit POD(a) = b0 + b1 ln a; `method` how they were found; None where there is no curve
    a50, a90        sizes found in five and in nine of ten cases; None outside low..high, where nothing was seen
    a90_95          with the confidence, a90 is at most this; never below `low`; None where it lies beyond `high`, where the
                    curve does not fit large misses, or where parts that come again are fewer than ten
    largest_missed  the largest that was not found, None if none
    notes           what a reader must know
    """

    planted: int
    found: int
    groups: int
    low: float
    high: float
    b0: float | None
    b1: float | None
    method: str
    a50: float | None
    a90: float | None
    a90_95: float | None
    largest_missed: float | None
    confidence: float
    notes: tuple[str, ...]

    def pod(self, size: float) -> float | None:
        """The fitted probability of detection at a size; None where there is no curve."""
        if self.b0 is None or self.b1 is None:
            return None
        return float(expit(self.b0 + self.b1 * math.log(size)))

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def curve(
    sizes: Sequence[float],
    found: Sequence[bool],
    groups: Sequence[str] | None = None,
    *,
    confidence: float = 0.95,
) -> Curve:
    """The curve through hits and misses.

    sizes   > 0, at least two different
    groups  the part that each defect lies on. Where parts repeat, hits on one part are not independent: parts are drawn anew
            (bootstrap, Firth's curve each time) and the larger of the two bounds is taken

    The bound is a profile likelihood ratio's (`logistic.upper_quantile`), which stands where hits and misses are completely
    separated; the curve is then Firth's. Where nothing was missed the bound counts hits instead. Raises ValueError for sizes
    that are not positive, not two, or not as many as `found`.
    """
    a, hit = np.asarray(sizes, np.float64), np.asarray(found, bool)
    if len(a) != len(hit) or not (a > 0).all() or len(np.unique(a)) < 2:
        raise ValueError("expected positive sizes, at least two different, each with its hit or miss")
    parts = [str(place) for place in range(len(a))] if groups is None else list(groups)
    x, many = np.log(a), len(set(parts))
    line = logistic.fit(x, hit) if hit.any() and not hit.all() else None
    if line is not None:
        bound = logistic.upper_quantile(x, hit, RELIABLY, confidence)
    else:
        bound = _all_found(x, parts, confidence) if hit.all() else math.inf
    if many < len(a) and line is not None:
        bound = max(bound, _over_parts(x, hit, parts, confidence))
    rising = line is not None and line.b1 > 0
    low, high = float(a.min()), float(a.max())
    a90 = _size(line.quantile(RELIABLY), low, high) if line is not None else None
    against = _against(a, hit, a90)
    held = bound <= math.log(high) + 1e-12 and not against
    a90_95 = math.exp(max(bound, math.log(low))) if held else None
    missed = a[~hit]
    return Curve(
        planted=len(a),
        found=int(hit.sum()),
        groups=many,
        low=low,
        high=high,
        b0=line.b0 if line else None,
        b1=line.b1 if line else None,
        method=_method(line),
        a50=_size(line.quantile(0.5), low, high) if line is not None and rising else None,
        a90=a90,
        a90_95=a90_95,
        largest_missed=float(missed.max()) if missed.size else None,
        confidence=confidence,
        notes=(*_notes(a, hit, line, a90, bound, many), *against),
    )


def _all_found(x: NDArray[np.float64], parts: list[str], confidence: float) -> float:
    """Where nothing was missed: ln of the size by which 29 parts (at 95 %) bear a defect that was found.

    No curve is needed: were less than nine of ten found at that size, and no more at smaller ones, so many hits in a row would be
    rarer than the doubt that is left.
    """
    needed = binomial.parts_needed(1 - RELIABLY, 0, confidence)
    seen: set[str] = set()
    for place in np.argsort(x, kind="stable").tolist():
        seen.add(parts[place])
        if len(seen) == needed:
            return float(x[place])
    return math.inf


def _over_parts(x: NDArray[np.float64], hit: NDArray[np.bool_], parts: list[str], confidence: float) -> float:
    """The upper bound of ln a90 when whole parts are drawn anew; infinity where the samples do not settle it."""
    names = sorted(set(parts))
    if len(names) < FEWEST:
        return math.inf
    members = [np.array([place for place, part in enumerate(parts) if part == name]) for name in names]
    stream = np.random.default_rng(SEED)
    values: list[float] = []
    for _ in range(SAMPLES):
        drawn = np.concatenate([members[int(at)] for at in stream.integers(len(names), size=len(names))])
        usable = np.ptp(x[drawn]) > 0 and hit[drawn].any()
        values.append(
            logistic.fit(x[drawn], hit[drawn], firth=True).quantile(RELIABLY) if usable else math.inf
        )
    return float(np.quantile(values, confidence, method="higher"))


def _size(log_size: float, low: float, high: float) -> float | None:
    """The size, where it lies within what was planted."""
    return math.exp(log_size) if math.log(low) <= log_size <= math.log(high) else None


def _method(line: Line | None) -> str:
    if line is None:
        return "none"
    return "Firth's penalised likelihood" if line.firth else "maximum likelihood"


def _notes(
    a: NDArray[np.float64],
    hit: NDArray[np.bool_],
    line: Line | None,
    a90: float | None,
    bound: float,
    many: int,
) -> tuple[str, ...]:
    low, high = f"{a.min():.3g}", f"{a.max():.3g}"
    notes = []
    if len(a) < FEW:
        notes.append(f"only {len(a)} defects were planted; MIL-HDBK-1823A asks for {FEW} at least")
    too_few = many < min(len(a), FEWEST)
    if too_few:
        notes.append(
            f"{len(a)} defects lie on {many} parts: too few parts for a bound, {FEWEST} at least are needed"
        )
    elif many < len(a):
        notes.append(f"{len(a)} defects lie on {many} parts; the bound counts parts")
    if line is None:
        if hit.any():
            return (*notes, f"every defect was found, down to {low}: a90 lies below; plant smaller ones")
        return (*notes, f"no defect was found, up to {high}: a90 lies beyond; plant larger or stronger ones")
    if line.b1 <= 0:
        return (*notes, "larger defects are not found more often: there is no a90")
    if line.firth:
        notes.append(
            "hits and misses are completely separated: the curve is a step whose steepness is unknown"
        )
    if a90 is None:
        beyond = line.quantile(RELIABLY) > math.log(a.max())
        notes.append(
            f"a90 lies beyond the largest planted, {high}; plant larger ones"
            if beyond
            else f"a90 lies below the smallest planted, {low}; plant smaller ones"
        )
    elif bound > math.log(a.max()) + 1e-12 and not too_few:
        notes.append(f"a90/95 lies beyond the largest planted, {high}; plant more, or larger ones")
    return tuple(notes)


def _against(a: NDArray[np.float64], hit: NDArray[np.bool_], a90: float | None) -> list[str]:
    """Misses among large defects that a rising curve cannot explain: some are missed whatever their size."""
    if a90 is None:
        return []
    large = hit[a >= a90]
    if large.size and binom.cdf(large.sum(), large.size, RELIABLY) < DOUBT:
        missed = int((~large).sum())
        return [
            f"{missed} of {large.size} defects of a90 and larger were missed, too many for this curve: some are missed "
            "whatever their size, so a90 must not be trusted and no bound is given"
        ]
    return []

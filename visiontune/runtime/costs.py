"""What a model's errors mean on the line: escapes per shipped million and the expected cost, at the line's rate of defects.

The set that is measured seldom holds as many defects as the line makes. Rates among defective and among good parts carry over, so
everything here mixes these two by the line's own rate. Reviewed parts are taken to be judged rightly by people, at their cost.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from visiontune.runtime import binomial
from visiontune.runtime.bootstrap import Totals
from visiontune.runtime.errors import CalibrationRefused

MILLION = 1e6
Counts = tuple[int, int, int]  # parts passed, reviewed, rejected


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What one part costs in each case, in any one currency; what is decided rightly at once costs nothing.

    escape, overkill  > 0: a defective part that passes, a good part that is rejected
    review            >= 0: a part that a person looks at

    Raises CalibrationRefused for other values.
    """

    escape: float
    overkill: float
    review: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < math.inf or (value == 0 and name != "review"):
                least = "a number >= 0" if name == "review" else "a number > 0"
                raise CalibrationRefused(f"the cost of {name}: expected {least}, found {value}")

    @classmethod
    def parse(cls, text: str) -> Costs:
        """The costs that "escape=100,overkill=5,review=1" names. Raises CalibrationRefused for any other text."""
        pairs = [pair.partition("=") for pair in text.split(",")]
        try:
            found = {name.strip(): float(value) for name, _, value in pairs}
        except ValueError:
            found = {}
        if len(pairs) != 3 or found.keys() != {"escape", "overkill", "review"}:
            raise CalibrationRefused(
                f"costs: expected escape=NUMBER,overkill=NUMBER,review=NUMBER, found {text!r}"
            )
        return cls(**found)

    @property
    def defective(self) -> tuple[float, float, float]:
        """Of a defective part that passes, is reviewed, is rejected."""
        return self.escape, self.review, 0.0

    @property
    def good(self) -> tuple[float, float, float]:
        """Of a good part that passes, is reviewed, is rejected."""
        return 0.0, self.review, self.overkill

    def __str__(self) -> str:
        return f"escape {self.escape:g}, overkill {self.overkill:g}, review {self.review:g}"


@dataclass(frozen=True)
class Estimate:
    """A figure with exact bounds, for independent parts.

    value      None where a side has no part to say
    low, high  two-sided bounds
    upper      one-sided upper bound: what the parts certify
    """

    value: float | None
    low: float
    high: float
    upper: float


def check_prevalence(prevalence: float) -> float:
    """The share of defective parts among those that the line makes. Raises CalibrationRefused unless 0 < it < 1."""
    if not 0 < prevalence < 1:
        raise CalibrationRefused(
            f"prevalence: expected the share of defective parts on the line, between 0 and 1, found {prevalence}"
        )
    return prevalence


def shipped_escapes(defective: Counts, good: Counts, prevalence: float, confidence: float = 0.95) -> Estimate:
    """Defective parts among a million shipped: 1e6 p e / (p e + (1 - p) (1 - o)), p prevalence, e escapes, o overkill.

    What people review they judge rightly: its good parts are shipped, its defective ones are not. The figure grows with
    either rate, so Clopper-Pearson bounds on both, the doubt shared between them (Bonferroni), bound it.
    """

    def per_million(escapes: float, overkill: float) -> float:
        bad = prevalence * escapes
        return MILLION * bad / (bad + (1 - prevalence) * (1 - overkill)) if bad else 0.0

    seen = ((defective[0], sum(defective)), (good[2], sum(good)))
    one, two = _shared(confidence, 2)
    value = None
    if all(n for _, n in seen) and (seen[0][0] or seen[1][0] < seen[1][1]):  # else nothing is shipped
        value = per_million(*(k / n for k, n in seen))
    return Estimate(
        value,
        low=per_million(*(binomial.lower(k, n, two) for k, n in seen)),
        high=per_million(*(binomial.upper(k, n, two) for k, n in seen)),
        upper=per_million(*(binomial.upper(k, n, one) for k, n in seen)),
    )


def expected_cost(
    defective: Counts, good: Counts, costs: Costs, prevalence: float, confidence: float = 0.95
) -> Estimate:
    """The cost of a million parts made, in the currency of `costs`."""
    sides = ((prevalence, defective, costs.defective), (1 - prevalence, good, costs.good))
    return _expected(sides, confidence)


def expected_load(
    defective: Counts, good: Counts, decision: int, prevalence: float, confidence: float = 0.95
) -> Estimate:
    """Of a million parts made, how many get this decision (0 pass, 1 review, 2 reject)."""
    weight = (float(decision == 0), float(decision == 1), float(decision == 2))
    return _expected(((prevalence, defective, weight), (1 - prevalence, good, weight)), confidence)


def expected_overkill(good: Counts, prevalence: float, confidence: float = 0.95) -> Estimate:
    """Of a million parts made, how many are good and rejected."""
    return _expected(((1 - prevalence, good, (0.0, 0.0, 1.0)),), confidence)


def mean_costs(totals: Totals, costs: Costs, prevalence: float) -> Totals:
    """The cost of a million parts made, float64 (n,), for rows of counts (n, 6): defective passed, reviewed, rejected, then good.

    NaN for a row without defective or without good parts.
    """
    mean = np.zeros(len(totals))
    for share, counts, each in (
        (prevalence, totals[:, :3], costs.defective),
        (1 - prevalence, totals[:, 3:], costs.good),
    ):
        whole = counts.sum(axis=1)
        paid = np.asarray(counts @ np.array(each), np.float64)
        mean += share * np.divide(paid, whole, out=np.full(len(paid), np.nan), where=whole > 0)
    return MILLION * mean


Side = tuple[
    float, Counts, tuple[float, float, float]
]  # share of the line's parts, counts, cost of each outcome


def _expected(sides: Sequence[Side], confidence: float) -> Estimate:
    """A million times the mean cost, with exact bounds.

    On each side the outcomes are ranked by cost; the mean is then a sum of costs' steps times the share of parts that reach the
    step, each a binomial rate. The doubt is shared between the rates (Bonferroni), whatever their dependence.
    """
    steps = [step for share, counts, costs in sides for step in _steps(share, counts, costs)]
    floor = sum(share * min(costs) for share, _, costs in sides)
    one, two = _shared(confidence, max(1, len(steps)))

    def total(rates: Sequence[float]) -> float:
        return MILLION * (floor + sum(step[0] * rate for step, rate in zip(steps, rates, strict=True)))

    known = all(n for _, _, n in steps)
    return Estimate(
        total([k / n for _, k, n in steps]) if known else None,
        low=total([binomial.lower(k, n, two) for _, k, n in steps]),
        high=total([binomial.upper(k, n, two) for _, k, n in steps]),
        upper=total([binomial.upper(k, n, one) for _, k, n in steps]),
    )


def _steps(share: float, counts: Counts, costs: tuple[float, float, float]) -> list[tuple[float, int, int]]:
    """(what reaching the step costs more, parts that reach it, parts), for the steps that cost anything."""
    ranked = sorted(zip(costs, counts, strict=True))
    steps = []
    for at in (1, 2):
        rise = ranked[at][0] - ranked[at - 1][0]
        if rise > 0:
            steps.append((share * rise, sum(n for _, n in ranked[at:]), sum(counts)))
    return steps


def _shared(confidence: float, rates: int) -> tuple[float, float]:
    """The confidence that each of several one-sided bounds needs for a one-sided, and for a two-sided, statement on all."""
    doubt = (1 - confidence) / rates
    return 1 - doubt, 1 - doubt / 2

"""A measured set carried over to a line that makes defective parts at another rate."""

from __future__ import annotations

from dataclasses import dataclass

from visiontune.runtime.bootstrap import Totals, percentile_interval
from visiontune.runtime.costs import (
    Costs,
    Counts,
    Estimate,
    check_prevalence,
    expected_cost,
    expected_load,
    expected_overkill,
    mean_costs,
    shipped_escapes,
)
from visiontune.runtime.rate import Rate, exact_rate


@dataclass(frozen=True)
class AtLine:
    """What to expect of a million parts of a line. Counts are of parts; reviewed parts are taken to be judged rightly by people.

    prevalence       share of defective parts on the line, as stated
    set_prevalence   the same in the measured set
    differs          whether the stated one lies outside the bounds of the set's
    shipped_escapes  defective parts in a million shipped
    overkill         good parts rejected, of a million made
    review           parts for a person, of a million made
    costs            as stated; None without
    cost             of a million made, in the currency of the costs
    cost_interval    of the same, when whole groups are drawn anew; None where undefined. Where no part escaped, none
                     escapes in any draw: then only the exact bounds of `cost` tell the doubt
    """

    prevalence: float
    set_prevalence: Rate
    differs: bool
    shipped_escapes: Estimate
    overkill: Estimate
    review: Estimate
    costs: Costs | None
    cost: Estimate | None
    cost_interval: tuple[float, float] | None


def at_line(
    defective: Counts,
    good: Counts,
    *,
    prevalence: float,
    costs: Costs | None,
    confidence: float,
    drawn: Totals | None,
) -> AtLine:
    """The measured counts of parts (passed, reviewed, rejected) at the line's `prevalence`.

    drawn  float64 (count, 6), what samples of whole groups gave: defective passed, reviewed, rejected, good passed, ...

    Raises CalibrationRefused for a prevalence outside 0..1.
    """
    check_prevalence(prevalence)
    held = exact_rate(sum(defective), sum(defective) + sum(good), confidence)
    interval = None
    if costs is not None and drawn is not None:
        stated = costs
        interval = percentile_interval(
            drawn, lambda totals: mean_costs(totals, stated, prevalence), confidence=confidence
        )
    return AtLine(
        prevalence=prevalence,
        set_prevalence=held,
        differs=not held.low <= prevalence <= held.high,
        shipped_escapes=shipped_escapes(defective, good, prevalence, confidence),
        overkill=expected_overkill(good, prevalence, confidence),
        review=expected_load(defective, good, 1, prevalence, confidence),
        costs=costs,
        cost=None if costs is None else expected_cost(defective, good, costs, prevalence, confidence),
        cost_interval=interval,
    )

"""What is asked of the verdicts, as rates or as costs, and the bands that answer it."""

from __future__ import annotations

from visiontune.runtime.bands import Bands
from visiontune.runtime.costs import Costs
from visiontune.runtime.errors import CalibrationRefused
from visiontune.tune.calibrate import Judged, Target, inspection_bands
from visiontune.tune.kind_costs import KindCosts, kind_cost_bands, kind_cost_sentence
from visiontune.tune.operating_point import cost_bands, cost_sentence
from visiontune.tune.promise import sentence
from visiontune.tune.sorting import sorting_bands


def asked_bands(
    judged: Judged,
    target: Target,
    *,
    good: bool,
    costs: Costs | KindCosts | None = None,
    prevalence: float | None = None,
) -> Bands:
    """The bands for a val share: by rates, or by costs where they are given.

    `good` says whether class 0 is good. Raises CalibrationRefused where costs and data do not fit together.
    """
    if costs is None:
        if prevalence is not None:
            raise CalibrationRefused(
                "prevalence: expected costs with it, found none; say costs=Costs(...), or leave it out"
            )
        return (inspection_bands if good else sorting_bands)(judged, target)
    if isinstance(costs, KindCosts):
        if good or prevalence is not None:
            raise CalibrationRefused(
                "costs: KindCosts are for a sorter without a good class and without a prevalence; say "
                "costs=Costs(escape=..., overkill=..., review=...) and prevalence="
            )
        return kind_cost_bands(judged, costs, confidence=target.confidence)
    if not good:
        raise CalibrationRefused(
            "costs: these data have no good class, so nothing escapes; say costs=KindCosts(wrong=..., review=...)"
        )
    if prevalence is None:
        raise CalibrationRefused(
            "costs: expected the line's rate of defective parts with them, found none; say prevalence=0.02 or the like"
        )
    return cost_bands(judged, costs, prevalence=prevalence, confidence=target.confidence)


def in_sentences(bands: Bands) -> list[str]:
    """The evidence in words, a line each."""
    evidence = dict(bands.evidence or {})
    lines = sentence(evidence)
    if "cost_per_million" in evidence:
        lines.insert(0, (cost_sentence if "prevalence" in evidence else kind_cost_sentence)(evidence))
    return lines

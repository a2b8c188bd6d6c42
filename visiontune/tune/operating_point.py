"""Bands by what errors cost: the thresholds at which held-out parts, weighted to the line's rate of defects, cost least."""

from __future__ import annotations

from typing import Any

import numpy as np

from visiontune.runtime.bands import Bands
from visiontune.runtime.bootstrap import SEED, percentile_interval, replicates
from visiontune.runtime.costs import Costs, check_prevalence, mean_costs
from visiontune.runtime.errors import CalibrationRefused
from visiontune.runtime.part_decisions import PartDecisions
from visiontune.tune.calibrate import Judged
from visiontune.tune.cheapest import Floats, Parts, candidates, cheapest, parts_of
from visiontune.tune.platt import fit_sigmoid
from visiontune.tune.promise import any_threshold, unasked

METHOD = "expected cost, unit: part"
OPTIMISM_DRAWS = 200


def cost_bands(
    judged: Judged, costs: Costs, *, prevalence: float, confidence: float = 0.95, bootstrap: int = 1000
) -> Bands:
    """Bands where class 0 is good: those that cost least at the line's `prevalence`, the share of defective parts, 0..1.

    Chow (1970), IEEE Trans. Inf. Theory 16: pass, review or reject, whichever is expected to cost least; review pays where the
    cheaper of the two errors still costs more than a review. Here the expectation is taken over the held-out parts, defective
    and good ones each weighted to their share on the line. Few parts tell few thresholds apart: of those within a standard error
    of the cheapest, the one nearest Chow's own is taken, which takes the severity for a probability (by Platt's sigmoid).

    The unit is the part, as in `inspection_bands`. Evidence: the cost per million parts, its interval when whole groups are drawn
    anew (thresholds as they are), and how much the choice on these very parts flatters it (the optimism of Efron and
    Tibshirani 1993, chapter 17); and what the parts certify of escapes and overkill. These bounds hold although the thresholds
    were chosen on the same parts: they hold at once for every threshold that could have been chosen (see `any_threshold`).

    Raises CalibrationRefused where defective or good parts are lacking, or for a prevalence outside 0..1.
    """
    check_prevalence(prevalence)
    parts = parts_of(judged)
    if parts.defective.all() or not parts.defective.any():
        lacking = "good" if parts.defective.any() else "defective"
        raise CalibrationRefused(
            f"the val share holds no {lacking} part; expected both to set bands: add some to val or split anew"
        )
    meaning = fit_sigmoid(parts.severity, parts.defective)
    review, reject = chow_probabilities(costs, prevalence, float(parts.defective.mean()))
    chow = meaning.severity(review), meaning.severity(reject)
    edges = [candidates(judged.severity, one) for one in chow]
    once = np.ones(len(parts.severity))
    review_from, reject_from = cheapest(parts, once, edges, chow, costs, prevalence)
    bands = Bands(review_from, reject_from)
    decided = PartDecisions(parts.groups, parts.defective, bands.decisions(parts.severity))
    bad, good = decided.counts(True), decided.counts(False)
    seen = float(mean_costs(np.array([[*bad, *good]], np.float64), costs, prevalence)[0])
    optimism = _optimism(parts, edges, chow, costs, prevalence)
    totals = decided.by_group(int(parts.groups.max()) + 1)
    interval = None
    if bootstrap > 0 and len(totals) > 1:
        drawn = replicates(totals, count=bootstrap)
        interval = percentile_interval(
            drawn, lambda sums: mean_costs(sums, costs, prevalence), confidence=confidence
        )
    evidence = {
        "method": METHOD,
        "confidence": confidence,
        "prevalence": prevalence,
        "set_prevalence": float(parts.defective.mean()),
        "costs": str(costs),
        "cost_per_million": seen,
        "cost_interval": None if interval is None else list(interval),
        "optimism": optimism,
        "escapes": unasked(sum(bad), bad[0], any_threshold(sum(bad), bad[0], confidence)),
        "overkill": unasked(sum(good), good[2], any_threshold(sum(good), good[2], confidence)),
    }
    return Bands(review_from, reject_from, evidence)


def chow_probabilities(costs: Costs, prevalence: float, held: float) -> tuple[float, float]:
    """The probabilities of a defect, in a set of which the share `held` is defective, from which review and reject pay.

    On the line the probability p pays a review from c_review / c_escape on and a rejection from 1 - c_review / c_overkill on;
    where the first is not below the second, review never pays and both are c_overkill / (c_escape + c_overkill). Bayes' rule
    carries p from the line to the set: its odds are multiplied by those of a defect in the set over those on the line.
    """
    review, reject = costs.review / costs.escape, 1 - costs.review / costs.overkill
    if review >= reject:
        review = reject = costs.overkill / (costs.escape + costs.overkill)
    factor = held / (1 - held) * (1 - prevalence) / prevalence
    return _shifted(review, factor), _shifted(reject, factor)


def cost_sentence(evidence: dict[str, Any]) -> str:
    """What the bands cost, in words."""
    said = paid(evidence)
    said += f" at {100 * evidence['prevalence']:.3g} % defective parts, where val holds {100 * evidence['set_prevalence']:.3g} %"
    said += f" ({evidence['costs']}); chosen on these very parts, which flatters it by about {evidence['optimism']:,.0f}"
    return said


def paid(evidence: dict[str, Any]) -> str:
    """The cost with its interval, in words."""
    said = f"cost: {evidence['cost_per_million']:,.0f} per million parts"
    if evidence["cost_interval"] is None:
        return said
    low, high = evidence["cost_interval"]
    return f"{said} [{low:,.0f}, {high:,.0f}]"


def _optimism(
    parts: Parts, edges: list[Floats], chow: tuple[float, float], costs: Costs, prevalence: float
) -> float:
    """How much less thresholds cost, per million, on the parts they were chosen on than on those these were drawn from."""
    stream = np.random.default_rng(SEED)
    groups = int(parts.groups.max()) + 1
    found = []
    for _ in range(OPTIMISM_DRAWS):
        times = np.bincount(stream.integers(groups, size=groups), minlength=groups)[parts.groups]
        if not times[parts.defective].any() or not times[~parts.defective].any():
            continue
        chosen = Bands(*cheapest(parts, times.astype(np.float64), edges, chow, costs, prevalence))
        outcome = chosen.decisions(parts.severity) + 3 * ~parts.defective
        counts = np.stack([np.bincount(outcome, minlength=6), np.bincount(outcome, times, minlength=6)])
        everywhere, there = mean_costs(counts.astype(np.float64), costs, prevalence)
        found.append(float(everywhere - there))
    return float(np.mean(found)) if found else 0.0


def _shifted(p: float, factor: float) -> float:
    return p * factor / (p * factor + 1 - p)

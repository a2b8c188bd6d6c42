"""Bands by what errors cost: the thresholds at which held-out parts, weighted to the line's rate of defects, cost least."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime import binomial
from visiontune.runtime.bands import NEVER, Bands
from visiontune.runtime.bootstrap import SEED, percentile_interval, replicates
from visiontune.runtime.costs import Costs, check_prevalence, mean_costs
from visiontune.runtime.errors import CalibrationRefused
from visiontune.runtime.part_decisions import PartDecisions, group_indices
from visiontune.tune.calibrate import Judged, clearance

METHOD = "expected cost, unit: part"
OPTIMISM_DRAWS = 200

Floats = NDArray[np.float64]


def cost_bands(
    judged: Judged, costs: Costs, *, prevalence: float, confidence: float = 0.95, bootstrap: int = 1000
) -> Bands:
    """Bands where class 0 is good: those that cost least at the line's `prevalence`, the share of defective parts, 0..1.

    Chow (1970), IEEE Trans. Inf. Theory 16: pass, review or reject, whichever is expected to cost least; review pays where the
    cheaper of the two errors still costs more than a review. Here the expectation is taken over the held-out parts, defective
    and good ones each weighted to their share on the line. Few parts tell few thresholds apart: of those within a standard error
    of the cheapest, the one nearest Chow's own is taken, which trusts the severity as a probability. (On parts drawn from two
    normal crowds, 50 defective ones, that cost about 7 % more than the best thresholds there are, the cheapest ones 12 %.)

    The unit is the part, as in `inspection_bands`. Evidence: the cost per million parts, its interval when whole groups are drawn
    anew (thresholds as they are), and how much the choice on these very parts flatters it (the optimism of Efron and
    Tibshirani 1993, chapter 17); and what the parts certify of escapes and overkill. These bounds hold although the thresholds
    were chosen on the same parts: they hold at once for every threshold that could have been chosen (see `any_threshold`).

    Raises CalibrationRefused where defective or good parts are lacking, or for a prevalence outside 0..1.
    """
    check_prevalence(prevalence)
    parts = _parts(judged)
    if parts.defective.all() or not parts.defective.any():
        lacking = "good" if parts.defective.any() else "defective"
        raise CalibrationRefused(
            f"the val share holds no {lacking} part; expected both to set bands: add some to val or split anew"
        )
    chow = chow_thresholds(costs, prevalence, float(parts.defective.mean()))
    edges = [_candidates(judged.severity, one) for one in chow]
    once = np.ones(len(parts.severity))
    review_from, reject_from = _cheapest(parts, once, edges, chow, costs, prevalence)
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
        "escapes": _bound(sum(bad), bad[0], confidence),
        "overkill": _bound(sum(good), good[2], confidence),
    }
    return Bands(review_from, reject_from, evidence)


def chow_thresholds(costs: Costs, prevalence: float, held: float) -> tuple[float, float]:
    """The severities from which review and reject pay, if severity is the probability of a defect in the held-out set.

    `held` is the share of that set that is defective. On the line the probability p pays a review from c_review / c_escape on
    and a rejection from 1 - c_review / c_overkill on; where the first is not below the second, review never pays and both are
    c_overkill / (c_escape + c_overkill). Bayes' rule carries p from the line to the set: its odds are multiplied by those of
    a defect in the set over those on the line.
    """
    review, reject = costs.review / costs.escape, 1 - costs.review / costs.overkill
    if review >= reject:
        review = reject = costs.overkill / (costs.escape + costs.overkill)
    factor = held / (1 - held) * (1 - prevalence) / prevalence
    return _shifted(review, factor), NEVER if reject >= 1 else _shifted(reject, factor)


def any_threshold(n: int, misses: int, confidence: float) -> float:
    """What `misses` in `n` parts certify of a threshold that was chosen on these parts, in whatever way.

    A threshold with k of n parts on its wrong side lies no further than the (k+1)-th of them, and the rate beyond that one has
    for its bound that of Clopper and Pearson for k misses (Wilks 1941). With doubt d / ((k + 1)(k + 2)) for each k, which
    sums to d, all of these hold at once.
    """
    doubt = (1 - confidence) / ((misses + 1) * (misses + 2))
    return binomial.upper(misses, n, 1 - doubt)


def cost_sentence(evidence: dict[str, Any]) -> str:
    """What the bands cost, in words."""
    said = f"cost: {evidence['cost_per_million']:,.0f} per million parts"
    if evidence["cost_interval"] is not None:
        low, high = evidence["cost_interval"]
        said += f" [{low:,.0f}, {high:,.0f}]"
    said += f" at {100 * evidence['prevalence']:.3g} % defective parts ({evidence['costs']}); chosen on these very parts, "
    return said + f"which flatters it by about {evidence['optimism']:,.0f}"


@dataclass(frozen=True)
class _Parts:
    """A row a part: its severity (of its pictures the lowest if it is defective, else the highest), side and group."""

    severity: NDArray[np.float32]
    defective: NDArray[np.bool_]
    groups: NDArray[np.int64]


def _parts(judged: Judged) -> _Parts:
    keys, part = np.unique(2 * group_indices(judged.groups) + (judged.labels != 0), return_inverse=True)
    bad = keys % 2 == 1
    lowest, highest = np.full(len(keys), np.float32(NEVER)), np.full(len(keys), np.float32(-1))
    np.minimum.at(lowest, part, judged.severity)
    np.maximum.at(highest, part, judged.severity)
    return _Parts(np.where(bad, lowest, highest), bad, keys // 2)


def _candidates(severities: NDArray[np.float32], wanted: float) -> Floats:
    """A threshold in every gap between severities that is more than rounding, in its middle half as near `wanted` as may be."""
    known = np.unique(severities.astype(np.float64))
    low, high = np.append(0.0, known), np.append(known, max(1.0, wanted))
    last = len(known)
    wide = (high - low > np.array([clearance(edge) for edge in high])) & (low < high)
    quarter = (high - low) / 4
    placed = np.clip(wanted, low + quarter, high - quarter)
    placed[0] = min(wanted, placed[0])  # no severity lies below the first gap, and none above the last
    placed[last] = max(wanted, placed[last])
    ends = [0.0] if not wide[0] else []
    ends += [float(known[-1]) + max((1 - float(known[-1])) / 2, 2 * clearance(1.0))] if not wide[last] else []
    return np.sort(np.concatenate([placed[wide], ends]))


def _cheapest(
    parts: _Parts,
    weights: Floats,
    edges: list[Floats],
    chow: tuple[float, float],
    costs: Costs,
    prevalence: float,
) -> tuple[float, float]:
    """The thresholds review_from <= reject_from that the weighted parts cannot tell from the cheapest, nearest to Chow's.

    What passing below one threshold costs and what rejecting from the other on costs add up, so that one walk finds the
    cheapest pair; then each moves towards Chow's as far as the parts in between leave it within a standard error.
    """
    bad = parts.defective
    whole = np.where(bad, weights[bad].sum() / prevalence, weights[~bad].sum() / (1 - prevalence))
    share = weights / whole
    if chow[0] == chow[1]:  # review never pays
        whole_cost = _below(parts, share, edges[0], (costs.escape, -costs.overkill))
        only = float(edges[0][_nearest(edges[0], whole_cost.like(int(whole_cost.cost.argmin())), chow[0])])
        return only, only
    passing = _below(parts, share, edges[0], (costs.escape - costs.review, -costs.review))
    rejecting = _below(parts, share, edges[1], (costs.review, costs.review - costs.overkill))
    after = np.minimum.accumulate(rejecting.cost[::-1])[::-1]  # the cheapest rejecting from here on
    i = int((passing.cost + after).argmin())
    j = i + int(rejecting.cost[i:].argmin())
    i = _nearest(edges[0], passing.like(i) & (np.arange(len(after)) <= j), chow[0])
    j = _nearest(edges[1], rejecting.like(j) & (np.arange(len(after)) >= i), chow[1])
    return float(edges[0][i]), max(float(edges[0][i]), float(edges[1][j]))


@dataclass(frozen=True)
class _Paid:
    """For each threshold what the parts below it cost, and the running sum of the squares of it."""

    cost: Floats
    squares: Floats

    def like(self, best: int) -> NDArray[np.bool_]:
        """Which thresholds cost as much as `best`, or more by less than a standard error of the difference.

        The difference is a sum over the parts in between, so its variance is about the sum of their squares. One part alone
        is a whole standard error: what parts the crowds cleanly stays.
        """
        doubt = np.sqrt(np.abs(self.squares - self.squares[best]))
        more = self.cost - self.cost[best]
        alike: NDArray[np.bool_] = (more < (1 - 1e-9) * doubt) | (more <= 1e-9 * np.sqrt(self.squares[-1]))
        return alike


def _below(parts: _Parts, share: Floats, edges: Floats, paid: tuple[float, float]) -> _Paid:
    """For each threshold, the parts below it at `paid` for (a defective, a good) part, times its share."""
    order = np.argsort(parts.severity, kind="stable")
    each = (np.where(parts.defective, paid[0], paid[1]) * share)[order]
    at = np.searchsorted(parts.severity[order], edges.astype(np.float32), side="left")
    return _Paid(np.append(0.0, np.cumsum(each))[at], np.append(0.0, np.cumsum(each**2))[at])


def _nearest(edges: Floats, allowed: NDArray[np.bool_], wanted: float) -> int:
    """The allowed threshold nearest `wanted`, by odds."""
    odds = _log_odds(np.append(edges, wanted))
    distance = np.where(allowed, np.abs(odds[:-1] - odds[-1]), math.inf)
    return int(distance.argmin())


def _optimism(
    parts: _Parts, edges: list[Floats], chow: tuple[float, float], costs: Costs, prevalence: float
) -> float:
    """How much less thresholds cost, per million, on the parts they were chosen on than on those these were drawn from."""
    stream = np.random.default_rng(SEED)
    groups = int(parts.groups.max()) + 1
    found = []
    for _ in range(OPTIMISM_DRAWS):
        times = np.bincount(stream.integers(groups, size=groups), minlength=groups)[parts.groups]
        if not times[parts.defective].any() or not times[~parts.defective].any():
            continue
        chosen = Bands(*_cheapest(parts, times.astype(np.float64), edges, chow, costs, prevalence))
        outcome = chosen.decisions(parts.severity) + 3 * ~parts.defective
        counts = np.stack([np.bincount(outcome, minlength=6), np.bincount(outcome, times, minlength=6)])
        everywhere, there = mean_costs(counts.astype(np.float64), costs, prevalence)
        found.append(float(everywhere - there))
    return float(np.mean(found)) if found else 0.0


def _bound(n: int, misses: int, confidence: float) -> dict[str, Any]:
    """As `calibrate.promise`; nothing was asked but the cost, so what is certified is what is said."""
    certified = any_threshold(n, misses, confidence)
    return {
        "parts": n,
        "allowed": misses,
        "misses": misses,
        "asked": certified,
        "certified": certified,
        "missing_parts": 0,
    }


def _shifted(p: float, factor: float) -> float:
    return p * factor / (p * factor + 1 - p)


def _log_odds(p: Floats) -> Floats:
    clipped = np.clip(p, 1e-9, 1 - 1e-9)
    odds: Floats = np.log(clipped / (1 - clipped))
    return odds

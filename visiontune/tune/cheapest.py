"""The search for the two thresholds at which held-out parts cost least."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.bands import NEVER
from visiontune.runtime.costs import Costs
from visiontune.runtime.part_decisions import group_indices
from visiontune.tune.calibrate import Judged
from visiontune.tune.clearance import clearance
from visiontune.tune.platt import log_odds

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Parts:
    """A row a part: its severity (of its pictures the lowest if it is defective, else the highest), side and group."""

    severity: NDArray[np.float32]
    defective: NDArray[np.bool_]
    groups: NDArray[np.int64]


def parts_of(judged: Judged) -> Parts:
    """The parts behind the pictures; class 0 is good."""
    keys, part = np.unique(2 * group_indices(judged.groups) + (judged.labels != 0), return_inverse=True)
    bad = keys % 2 == 1
    lowest, highest = np.full(len(keys), np.float32(NEVER)), np.full(len(keys), np.float32(-1))
    np.minimum.at(lowest, part, judged.severity)
    np.maximum.at(highest, part, judged.severity)
    return Parts(np.where(bad, lowest, highest), bad, keys // 2)


def candidates(severities: NDArray[np.float32], wanted: float) -> Floats:
    """A threshold in every gap between severities that is more than rounding, in its middle half as near `wanted` as may be."""
    known = np.unique(severities.astype(np.float64))
    low, high = np.append(0.0, known), np.append(known, max(1.0, wanted))
    last = len(known)
    wide = (high - low > 2 * np.array([clearance(edge) for edge in high])) & (low < high)
    quarter = (high - low) / 4
    placed = np.clip(wanted, low + quarter, high - quarter)
    placed[0] = min(wanted, placed[0])  # no severity lies below the first gap, and none above the last
    placed[last] = max(wanted, placed[last])
    ends = [0.0] if not wide[0] else []
    ends += [float(known[-1]) + max((1 - float(known[-1])) / 2, 2 * clearance(1.0))] if not wide[last] else []
    return np.sort(np.concatenate([placed[wide], ends]))


def cheapest(
    parts: Parts,
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
class Paid:
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


def _below(parts: Parts, share: Floats, edges: Floats, paid: tuple[float, float]) -> Paid:
    """For each threshold, the parts below it at `paid` for (a defective, a good) part, times its share."""
    order = np.argsort(parts.severity, kind="stable")
    each = (np.where(parts.defective, paid[0], paid[1]) * share)[order]
    at = np.searchsorted(parts.severity[order], edges.astype(np.float32), side="left")
    return Paid(np.append(0.0, np.cumsum(each))[at], np.append(0.0, np.cumsum(each**2))[at])


def _nearest(edges: Floats, allowed: NDArray[np.bool_], wanted: float) -> int:
    """The allowed threshold nearest `wanted`, by odds."""
    odds = log_odds(np.append(edges, wanted))
    distance = np.where(allowed, np.abs(odds[:-1] - odds[-1]), math.inf)
    return int(distance.argmin())

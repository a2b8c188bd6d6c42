"""Bands of a sorter by what its mistakes cost: a matrix of costs instead of a rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime import binomial
from visiontune.runtime.bands import NEVER, Bands
from visiontune.runtime.bootstrap import percentile_interval, replicates
from visiontune.runtime.costs import MILLION
from visiontune.runtime.errors import CalibrationRefused
from visiontune.runtime.part_decisions import group_indices
from visiontune.tune.calibrate import Judged
from visiontune.tune.clearance import clear_below
from visiontune.tune.operating_point import paid
from visiontune.tune.promise import unasked
from visiontune.tune.sorting import GRID, WRONG, counted, part_edges

METHOD = "expected cost of a sorter, unit: part"


@dataclass(frozen=True, kw_only=True)
class KindCosts:
    """What one part costs, in any one currency; one that passes under its own name costs nothing.

    wrong   > 0: a part that passes under another name
    review  >= 0: a part that a person looks at
    pairs   (true kind, named kind) -> >= 0: where a mistake costs otherwise than `wrong`

    Raises CalibrationRefused for other values.
    """

    wrong: float
    review: float
    pairs: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.wrong < math.inf:
            raise CalibrationRefused(f"the cost of wrong: expected a number > 0, found {self.wrong}")
        others = {"review": self.review} | {f"{a} named {b}": cost for (a, b), cost in self.pairs.items()}
        for name, cost in others.items():
            if not 0 <= cost < math.inf:
                raise CalibrationRefused(f"the cost of {name}: expected a number >= 0, found {cost}")

    def matrix(self, classes: Sequence[str]) -> NDArray[np.float64]:
        """The cost of passing [true kind, named kind], float64 (C, C). Raises CalibrationRefused for an unknown kind."""
        position = {name: index for index, name in enumerate(classes)}
        found = np.full((len(classes), len(classes)), float(self.wrong))
        np.fill_diagonal(found, 0.0)
        for pair, cost in self.pairs.items():
            if unknown := [name for name in pair if name not in position]:
                raise CalibrationRefused(
                    f"costs of pairs: expected kinds out of {', '.join(classes)}, found {', '.join(unknown)}"
                )
            found[position[pair[0]], position[pair[1]]] = cost
        return found

    def __str__(self) -> str:
        pairs = [f"{a} named {b} {cost:g}" for (a, b), cost in self.pairs.items()]
        return ", ".join([f"wrong kind {self.wrong:g}", *pairs, f"review {self.review:g}"])


def kind_cost_bands(
    judged: Judged, costs: KindCosts, *, confidence: float = 0.95, bootstrap: int = 1000
) -> Bands:
    """Bands without a good class at which the held-out parts cost least: a review pays while mistakes cost more.

    `judged.classes` names the kinds. Of the thresholds of the fixed GRID the cheapest is taken (the strictest of equals). A part
    costs what its dearest picture does. Evidence: the cost per million parts, its interval when whole groups are drawn anew
    (threshold as it is); and the share of wrong kinds among the parts that pass, with a bound that holds although the threshold
    was chosen on these parts: exact, for all thresholds of the grid at once (Bonferroni).
    """
    matrix = costs.matrix(judged.classes)
    paid = matrix[judged.labels, judged.kinds.argmax(axis=1)]
    groups = group_indices(judged.groups)

    def part_costs(threshold: float) -> NDArray[np.float64]:
        each = np.where(judged.severity < np.float32(threshold), paid, costs.review)
        dearest = np.zeros(int(groups.max(initial=-1)) + 1)
        np.maximum.at(dearest, groups, each)
        return dearest

    tried = [0.0, *GRID.tolist(), NEVER]
    cheapest = tried[int(np.argmin([part_costs(edge).mean() for edge in tried]))]
    review_from = clear_below(cheapest, judged.severity) if 0 < cheapest < NEVER else cheapest
    each = part_costs(review_from)
    interval = None
    if bootstrap > 0 and len(each) > 1:
        drawn = replicates(np.stack([each, np.ones(len(each))], axis=1), count=bootstrap)
        interval = percentile_interval(
            drawn, lambda sums: MILLION * sums[:, 0] / sums[:, 1], confidence=confidence
        )
    passed, wrong = (counted(edges, review_from) for edges in part_edges(judged))
    bound = binomial.upper(wrong, passed, 1 - (1 - confidence) / len(tried))
    return Bands(
        review_from=review_from,
        reject_from=max(NEVER, review_from),
        evidence={
            "method": METHOD,
            "confidence": confidence,
            "costs": str(costs),
            "cost_per_million": MILLION * float(each.mean()),
            "cost_interval": None if interval is None else list(interval),
            WRONG: unasked(passed, wrong, bound),
        },
    )


def kind_cost_sentence(evidence: dict[str, Any]) -> str:
    """What the bands cost, in words."""
    return f"{paid(evidence)} of the kinds' mix in val ({evidence['costs']})"

"""Bands of a sorter, which has no good class: it passes what it names surely enough, and leaves the rest to a person."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from visiontune.runtime import binomial
from visiontune.runtime.bands import NEVER, Bands
from visiontune.runtime.part_decisions import group_indices
from visiontune.tune.calibrate import Judged, Target
from visiontune.tune.clearance import clear_below
from visiontune.tune.promise import entry

Edges = NDArray[np.float32]
WRONG = "wrong kind among passed"
# The thresholds that are tried, the same for whatever data: those of a sure network lie close to 0.
GRID = np.unique(np.concatenate([np.geomspace(1e-6, 0.05, 240), np.linspace(0.05, 1, 240)]))


def sorting_bands(judged: Judged, target: Target) -> Bands:
    """Bands without a good class: pass while "the named kind is wrong" is certified to be rare among the parts that pass.

    Selective classification (Geifman and El-Yaniv 2017, arXiv 1705.08500) by fixed-sequence Learn-then-Test with several starts
    (Angelopoulos et al. 2021, arXiv 2110.01052): the thresholds of a grid, fixed beforehand, are walked from the strict end on,
    each tested by an exact binomial test, until the first that fails. One walk starts where as many parts pass as no mistake
    needs, the others where twice, four times, ... as many do, so that one early mistake does not end everything; they share
    the doubt among them. The unit is the part: it passes if any picture of it does, and wrongly if any that does is named
    wrongly. Nothing is rejected: what is not sure enough goes to review.

    Where nothing is certified, what is surer than the surest mistake passes; the evidence then has a bound that holds for
    every threshold of the grid at once (Bonferroni).
    """
    passing, wrongly = part_edges(judged)
    found = walked(passing, wrongly, target)
    last = float(wrongly.min(initial=np.float32(NEVER))) if found is None else found
    # into the gap below: the same parts pass there as at `last`, and so the grid within that gap passed its tests too
    review_from = clear_below(last, judged.severity) if last < NEVER else NEVER
    passed, wrong = counted(passing, review_from), counted(wrongly, review_from)
    doubt = 1 - target.confidence
    certified = target.escapes if found is not None else binomial.upper(wrong, passed, 1 - doubt / len(GRID))
    fewest = binomial.parts_needed(target.escapes, 0, 1 - doubt / starts(len(passing), target))
    missing = 0 if found is not None else max(1, fewest - passed)
    return Bands(
        review_from=review_from,
        reject_from=max(NEVER, review_from),
        evidence={
            "method": "selective classification, fixed-sequence Learn-then-Test, exact binomial, unit: part",
            "confidence": target.confidence,
            WRONG: entry(
                passed, wrong, asked=target.escapes, certified=certified, missing=missing, allowed=wrong
            ),
        },
    )


def starts(parts: int, target: Target) -> int:
    """How many walks share the doubt, for so many parts in val."""
    return max(
        1, int(math.log2(max(1, parts / binomial.parts_needed(target.escapes, 0, target.confidence)))) + 1
    )


def walked(passing: Edges, wrongly: Edges, target: Target) -> float | None:
    """The loosest threshold of the grid that a walk certifies; None if none does."""
    count = starts(len(passing), target)
    doubt = (1 - target.confidence) / count
    passed = np.searchsorted(np.sort(passing), GRID.astype(np.float32), side="left")
    wrong = np.searchsorted(np.sort(wrongly), GRID.astype(np.float32), side="left")
    fails = binom.cdf(wrong, passed, target.escapes) > doubt
    smallest = binomial.parts_needed(target.escapes, 0, 1 - doubt)
    last = None
    for walk in range(count):
        begin = int(np.searchsorted(passed, smallest * 2**walk))
        ends = np.flatnonzero(fails[begin:])
        end = begin + int(ends[0]) if len(ends) else len(GRID)
        if end > begin:
            last = max(last or 0.0, float(GRID[end - 1]))
    return last


def part_edges(judged: Judged) -> tuple[Edges, Edges]:
    """For each part the severities above which a threshold passes it, and passes it wrongly (NEVER if it cannot), (p,)."""
    groups = group_indices(judged.groups)
    passing = np.full(int(groups.max(initial=-1)) + 1, np.float32(NEVER))
    wrongly = passing.copy()
    wrong = judged.kinds.argmax(axis=1) != judged.labels
    np.minimum.at(passing, groups, judged.severity)
    np.minimum.at(wrongly, groups[wrong], judged.severity[wrong])
    return passing, wrongly


def counted(edges: Edges, threshold: float) -> int:
    """How many parts lie below a threshold."""
    return int((edges < np.float32(threshold)).sum())

"""Which parts a study shows: a stated mix of clear and borderline ones, balanced over kinds, one picture a part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from visiontune.data.samples import Sample
from visiontune.runtime.bands import Bands
from visiontune.runtime.errors import BadData
from visiontune.runtime.verdict import Verdict

GOOD, DEFECTIVE, BORDERLINE = "clearly good", "clearly defective", "borderline"
LEAST = 10  # parts of a study: below that even a flawless appraiser proves nothing


@dataclass(frozen=True)
class Judged:
    """A labelled picture and what the model says of it."""

    sample: Sample
    verdict: Verdict


@dataclass(frozen=True)
class Choice:
    """A part of the study, and why it was chosen: GOOD, DEFECTIVE or BORDERLINE."""

    judged: Judged
    why: str


def one_a_part(samples: Sequence[Sample], *, seed: int) -> list[Sample]:
    """One picture of every part (group), drawn by the seed; pictures without a label are left out."""
    found: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: sample.id):
        if sample.label is not None:
            found.setdefault(sample.group, []).append(sample)
    stream = np.random.default_rng([seed, 1])
    return [several[int(stream.integers(len(several)))] for several in found.values()]


def choose(judged: Sequence[Judged], bands: Bands, good: str, *, parts: int, seed: int) -> list[Choice]:
    """The parts of a study, in an order that tells nothing.

    A third is borderline: half of it good, half defective, those whose severity is nearest to a threshold on the scale of
    log odds. A third is clearly good and a third clearly defective, the kinds in turn: drawn from the half of each that lies
    farthest from the thresholds, on whichever side, so that nothing is chosen because the model got it right. Where one
    stock is too small the others fill in, and of each the parts nearer to a threshold come last.

    Raises BadData for fewer pictures than `parts`, fewer than ten, or only good or only defective ones.
    """
    if parts < LEAST:
        raise BadData(f"expected a study of at least {LEAST} parts, found {parts}; 50 are usual")
    if len(judged) < parts:
        raise BadData(
            f"expected {parts} labelled parts, one picture of each group, found {len(judged)}; "
            f"ask for --parts {len(judged)}, take --split all, or add parts"
        )
    stream = np.random.default_rng([seed, 2])
    near = sorted(judged, key=lambda one: (distance(one.verdict.severity, bands), one.sample.id))
    sides = {
        True: [one for one in near if one.sample.label == good],
        False: [one for one in near if one.sample.label != good],
    }
    if not sides[True] or not sides[False]:
        there = "good" if sides[True] else "defective"
        raise BadData(f"expected good and defective parts, found only {there} ones; add the others")
    third, chosen = parts // 3, []
    for is_good, count in ((True, third - third // 2), (False, third // 2)):
        taken, sides[is_good] = sides[is_good][:count], sides[is_good][count:]
        chosen += [Choice(one, BORDERLINE) for one in taken]
    clear_good = _far_first(sides[True], stream)
    clear_bad = _in_turn(_far_first(sides[False], stream))
    left = parts - len(chosen)
    wanted = min(len(clear_good), max(left // 2, left - len(clear_bad)))
    chosen += [Choice(one, GOOD) for one in clear_good[:wanted]]
    chosen += [Choice(one, DEFECTIVE) for one in clear_bad[: left - wanted]]
    return [chosen[int(place)] for place in stream.permutation(len(chosen))]


def distance(severity: float, bands: Bands) -> float:
    """How far a severity lies from the nearer threshold that can be reached, in log odds; 0 for NaN: nothing is harder."""
    if math.isnan(severity):
        return 0.0
    edges = [edge for edge in (bands.review_from, bands.reject_from) if 0 < edge <= 1]
    return min((abs(_log_odds(severity) - _log_odds(edge)) for edge in edges), default=math.inf)


def orders(parts: int, appraisers: int, trials: int, *, seed: int) -> list[list[list[int]]]:
    """A random order of the parts for every appraiser and trial: [appraiser][trial] lists of 0..parts-1."""
    stream = np.random.default_rng([seed, 3])
    return [[stream.permutation(parts).tolist() for _ in range(trials)] for _ in range(appraisers)]


def _far_first(near: list[Judged], stream: np.random.Generator) -> list[Judged]:
    """The farther half in random order, then the nearer half, farthest first."""
    half = len(near) // 2
    far = near[half:]
    return [far[int(place)] for place in stream.permutation(len(far))] + near[:half][::-1]


def _in_turn(stock: list[Judged]) -> list[Judged]:
    """The same, one of each kind in turn."""
    queues: dict[str, list[Judged]] = {}
    for one in stock:
        queues.setdefault(one.sample.label or "", []).append(one)
    found: list[Judged] = []
    for turn in range(max(map(len, queues.values()), default=0)):
        found += [queue[turn] for _, queue in sorted(queues.items()) if turn < len(queue)]
    return found


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-6), 1 - 1e-6)
    return math.log(share / (1 - share))

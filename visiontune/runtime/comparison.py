"""Change control: whether a new model may replace the old one, from the verdicts of both on the same parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.card import ModelCard
from visiontune.runtime.errors import BadModel, CalibrationRefused
from visiontune.runtime.exact_tests import mcnemar, mcnemar_worse
from visiontune.runtime.flips import Flip, flips
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.judging import Judged, Part, judge
from visiontune.runtime.part_decisions import group_indices
from visiontune.runtime.rate import Rate, exact_rate

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Paired:
    """How often something befell parts under the old and under the new model; a part counts if it befell any picture of it.

    of             parts it could befall
    old, new       parts it befell
    worse, better  parts it befell under the new model only, under the old one only
    p, p_worse     exact McNemar test of these two: two-sided, and one-sided for "worse"
    """

    of: int
    old: int
    new: int
    worse: int
    better: int
    p: float
    p_worse: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` found. Parts are groups; every count is of parts but for `flips` and `flipped`, which are of pictures.

    n, groups    pictures and groups judged
    confidence   of bounds; 1 - confidence is the significance of "worse"
    escapes      defective parts that pass; without a good class, parts that pass under a wrong kind
    held         good parts that do not pass, overkill and review together; without a good class, parts that do not pass
    decisions    wrong decisions: defective parts that pass, good parts that do not; without a good class, parts that do not pass
                 under the right kind
    new_escapes  of the parts that `escapes` could befall, those that it befell under the new model only, with exact bounds
    allowed      the rate of new escapes that was to be certified; None where not one is allowed
    flipped      pictures that go another way
    flips        those and, last, pictures that are only named otherwise, the most harmful first
    go, reasons  the outcome, and why not
    """

    n: int
    groups: int
    confidence: float
    classes: tuple[str, ...]
    good: str | None
    escapes: Paired
    held: Paired
    decisions: Paired
    new_escapes: Rate
    allowed: float | None
    flipped: int
    flips: tuple[Flip, ...]
    go: bool
    reasons: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)


def compare(
    old: Inspector,
    new: Inspector,
    parts: Iterable[Part],
    *,
    allow: float | None = None,
    confidence: float = 0.95,
    doubts: Sequence[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Comparison:
    """Judges every part with both models and says whether the new one may replace the old.

    It may (`go`) if all of this holds:
    - no defective part that the old model stopped, in all its pictures, is passed by the new one in any; with `allow`, a rate
      0..1: the exact one-sided upper bound on the share of such parts is at most that
    - the good parts that do not pass (overkill and review) are not significantly more: one-sided exact McNemar
      p > 1 - confidence
    - there were defective and good parts to see this on, and the caller has no `doubts`, which become reasons against it

    Without a good class a part that passes under a wrong kind takes the place of the escape, and any part that does not
    pass that of overkill and review. `progress` is called with 1 for each picture and model.

    Raises BadModel if the classes of the two differ but for their order, BadData and BadFrame as `measure` does,
    CalibrationRefused for `allow` outside 0..1; ValueError for a confidence outside 0..1.
    """
    listed = list(parts)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, found {confidence}")
    if allow is not None and not 0 < allow < 1:
        raise CalibrationRefused(f"allow: expected a rate of new escapes between 0 and 1, found {allow}")
    card = old.card
    check_classes(card, new.card)
    before = judge(old, listed, card.classes, progress)
    after = judge(new, listed, card.classes, progress)
    groups = group_indices([part.group for part in listed])
    sorts = card.good is None
    bad = np.ones(len(groups), np.bool_) if sorts else before.truth != 0
    fine = bad if sorts else ~bad
    escapes = _paired(groups, bad, _escaped(before, sorts), _escaped(after, sorts))
    held = _paired(groups, fine, before.decisions != 0, after.decisions != 0)
    units = groups if sorts else 2 * groups + bad
    wrong = [_escaped(one, sorts) & bad | (one.decisions != 0) & fine for one in (before, after)]
    new_escapes = exact_rate(escapes.worse, escapes.of, confidence)
    found = flips(listed, before, after, card.classes, sorts=sorts)
    reasons = (*_against(escapes, held, new_escapes, allow, confidence, sorts), *doubts)
    return Comparison(
        n=len(listed),
        groups=len(set(groups.tolist())),
        confidence=confidence,
        classes=card.classes,
        good=card.good,
        escapes=escapes,
        held=held,
        decisions=_paired(units, np.ones(len(units), np.bool_), *wrong),
        new_escapes=new_escapes,
        allowed=allow,
        flipped=sum(one.decides for one in found),
        flips=found,
        go=not reasons,
        reasons=reasons,
    )


def check_classes(old: ModelCard, new: ModelCard) -> None:
    """Raises BadModel unless both know the same classes, in any order, and the same one is good."""
    if set(old.classes) != set(new.classes) or old.good != new.good:
        known = [f"{', '.join(card.classes)} (good: {card.good or 'none'})" for card in (old, new)]
        raise BadModel(
            f"expected models of the same classes, found {known[0]} in the old and {known[1]} in the new; "
            "measure each by itself"
        )


def _escaped(judged: Judged, sorts: bool) -> Bools:
    passed: Bools = judged.decisions == DECISIONS.index("pass")
    return passed & (judged.named != judged.truth) if sorts else passed


def _paired(units: NDArray[np.int64], among: Bools, old: Bools, new: Bools) -> Paired:
    parts = set(units[among].tolist())
    before, after = set(units[among & old].tolist()), set(units[among & new].tolist())
    worse, better = len(after - before), len(before - after)
    return Paired(
        len(parts),
        len(before),
        len(after),
        worse,
        better,
        mcnemar(worse, better),
        mcnemar_worse(worse, better),
    )


def _against(
    escapes: Paired, held: Paired, new_escapes: Rate, allow: float | None, confidence: float, sorts: bool
) -> list[str]:
    """What speaks against the new model."""
    reasons = []
    newly = f"{escapes.worse} of {escapes.of} {'parts' if sorts else 'defective parts'} pass "
    newly += f"{'under a wrong kind ' if sorts else ''}that did not with OLD"
    if not escapes.of:
        reasons.append("no defective part to try it on")
    elif allow is None and escapes.worse:
        reasons.append(newly)
    elif allow is not None and new_escapes.upper > allow:
        reasons.append(
            f"{newly}: at most {100 * new_escapes.upper:.3g}% certified, {100 * allow:.3g}% allowed"
        )
    if not held.of:
        reasons.append("no good part to try it on")
    elif held.p_worse <= 1 - confidence:
        reasons.append(
            f"significantly more {'parts' if sorts else 'good parts'} do not pass: {held.worse} newly, {held.better} no longer, "
            f"p {held.p_worse:.2g}"
        )
    return reasons

"""Measures a model on labelled parts: escapes, overkill, review load, accuracy, calibration, where, milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.at_line import at_line
from visiontune.runtime.bootstrap import group_totals, replicates
from visiontune.runtime.box_counter import BoxCounter
from visiontune.runtime.columns import KIND, SIZE, Columns, columns_of
from visiontune.runtime.costs import Costs, check_prevalence
from visiontune.runtime.errors import CalibrationRefused
from visiontune.runtime.group_intervals import accuracy_counts, balanced_accuracy, group_intervals
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.judging import Judged, Part, judge
from visiontune.runtime.localiser import Localiser
from visiontune.runtime.measurement import Measurement, Span
from visiontune.runtime.part_decisions import group_indices, part_decisions
from visiontune.runtime.rate import Rate, exact_rate
from visiontune.runtime.reliability import calibration
from visiontune.runtime.roc import auroc
from visiontune.runtime.slices import Harm, Slice, slices
from visiontune.runtime.verdict import Verdict

__all__ = ["Measurement", "Part", "measure"]

PASS, REVIEW, REJECT = range(3)
TOP = 5  # for top5, the label may be any of so many kinds


def measure(
    inspector: Inspector,
    parts: Iterable[Part],
    *,
    prevalence: float | None = None,
    costs: Costs | None = None,
    by: Sequence[str] | None = None,
    bootstrap: int = 1000,
    confidence: float = 0.95,
    progress: Callable[[int], None] | None = None,
) -> Measurement:
    """Judges every part with the very Inspector of the line and counts.

    prevalence  share of defective parts on the line, 0..1: also says what a million of its parts come to; needs a good class
    costs       of an escape, of overkill and of a review: also the expected cost; needs the prevalence
    by          the attributes of the parts to compare; None: all that leave two parts a value or more
    bootstrap   samples for the intervals over groups; 0 leaves them out, and so does a single group
    confidence  of bounds and intervals, 0..1
    progress    called with 1 for each part

    Raises BadData if there are no parts, or parts without a label or with one the model does not know, for an attribute in `by`
    that no part has, and for a box of a kind that a model of boxes does not know; BadFrame, with the path, if a picture or mask
    cannot be read, or a mask that a heatmap is compared with has another shape than its picture; BadModel if the model gives no
    usable answer; CalibrationRefused for a prevalence outside 0..1, for costs without one, and for either where there is no
    good class; ValueError for a confidence outside 0..1.
    """
    listed = list(parts)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, found {confidence}")
    card = inspector.card
    _check_line(prevalence, costs, card.good)
    groups = [part.group for part in listed]
    numbers = group_indices(groups)
    columns, left_out = columns_of(listed, numbers, card.good, by)
    masked = any(getattr(part, "mask", None) is not None for part in listed)
    localiser = Localiser(card) if masked else None
    boxed = any(getattr(part, "boxes", None) for part in listed)
    counter = BoxCounter.of(card) if boxed else None

    def seen(part: Part, frame: tuple[int, int], verdict: Verdict) -> None:
        if counter is not None:
            counter.add(part, frame, verdict.proposals)
        if (
            localiser is not None and verdict.proposals is None
        ):  # else its regions are not cut from the heatmap
            localiser.add(part, frame, verdict)

    judged = judge(inspector, listed, card.classes, progress, seen if masked or boxed else None)
    truth, right, sorts = judged.truth, judged.named == judged.truth, card.good is None
    passed, rejected = judged.decisions == PASS, judged.decisions == REJECT
    bad = truth != 0  # the good class is the first; without one, what is counted of this is left out below
    everything = np.ones(len(truth), np.bool_)
    decided = part_decisions(numbers, bad, judged.decisions)
    defective, good = decided.counts(True), decided.counts(False)
    totals = group_totals(groups, accuracy_counts(truth, right, bad & passed, len(card.classes)))

    def rate(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Rate:
        return exact_rate(int((hits & among).sum()), int(among.sum()), confidence)

    line = None
    if prevalence is not None:
        drawable = costs is not None and bootstrap > 0 and len(totals) > 1
        drawn = replicates(decided.by_group(len(totals)), count=bootstrap) if drawable else None
        line = at_line(
            defective, good, prevalence=prevalence, costs=costs, confidence=confidence, drawn=drawn
        )
    return Measurement(
        n=len(truth),
        groups=len(totals),
        confidence=confidence,
        classes=card.classes,
        good=card.good,
        top1=rate(right, everything),
        top5=rate(_in_top(judged), everything) if len(card.classes) > TOP else None,
        balanced_accuracy=float(balanced_accuracy(totals.sum(axis=0, keepdims=True))[0]),
        recall={name: rate(right, truth == c) for c, name in enumerate(card.classes) if (truth == c).any()},
        confusion=_confusion(truth, judged.named, len(card.classes)),
        auroc=None if sorts else auroc(judged.severity, bad),
        escapes=None if sorts else rate(passed, bad),
        escaped_groups=None if sorts else exact_rate(defective[PASS], sum(defective), confidence),
        overkill=None if sorts else rate(rejected, ~bad),
        overkill_groups=None if sorts else exact_rate(good[REJECT], sum(good), confidence),
        review=rate(judged.decisions == REVIEW, everything),
        wrong_passed=rate(~right, passed) if sorts else None,
        wrong_passed_groups=exact_rate(*_group_counts(numbers, passed, ~right), confidence)
        if sorts
        else None,
        parts=None if sorts else {"defective": _named(defective), "good": _named(good)},
        line=line,
        slices=_sliced(judged, columns, numbers, sorts, confidence),
        not_compared=left_out,
        calibration=calibration(judged.kinds, truth, card.temperature),
        intervals=group_intervals(totals, samples=bootstrap, confidence=confidence, escapes=not sorts),
        judge_ms=_span(judged.judge_ms),
        decode_ms=_span(judged.decode_ms),
        localisation=localiser.result(confidence) if localiser else None,
        detection=counter.result(confidence) if counter else None,
    )


def _check_line(prevalence: float | None, costs: Costs | None, good: str | None) -> None:
    if prevalence is None:
        if costs is None:
            return
        raise CalibrationRefused(
            "costs: expected the prevalence with them, found none; state the share of defective parts on the line"
        )
    check_prevalence(prevalence)
    if good is None:
        raise CalibrationRefused(
            "prevalence: expected a model with a good class, found one that sorts; leave prevalence and costs out"
        )


def _sliced(
    judged: Judged, columns: Columns, groups: NDArray[np.int64], sorts: bool, confidence: float
) -> tuple[Slice, ...]:
    bad = judged.truth != 0
    escapes = Harm("escapes", bad, judged.decisions == PASS)
    overkill = Harm("overkill", ~bad, judged.decisions == REJECT)
    wrong = Harm("wrong kind", np.ones(len(bad), np.bool_), judged.named != judged.truth)
    either = (wrong,) if sorts else (escapes, overkill)
    harms = {name: (escapes,) if name in (KIND, SIZE) else either for name in columns}
    return slices(columns, harms, groups, confidence)


def _group_counts(
    numbers: NDArray[np.int64], among: NDArray[np.bool_], befell: NDArray[np.bool_]
) -> tuple[int, int]:
    """How many groups it befell in any of their pictures, out of how many it could befall."""
    return len(np.unique(numbers[among & befell])), len(np.unique(numbers[among]))


def _in_top(judged: Judged) -> NDArray[np.bool_]:
    """Whether fewer than TOP kinds come before the label; of equal ones the first class does, as where the kind is named."""
    own = np.take_along_axis(judged.kinds, judged.truth[:, np.newaxis], axis=1)
    earlier = np.arange(judged.kinds.shape[1]) < judged.truth[:, np.newaxis]
    before = (judged.kinds > own) | (judged.kinds == own) & earlier
    found: NDArray[np.bool_] = before.sum(axis=1) < TOP
    return found


def _named(counts: tuple[int, int, int]) -> dict[str, int]:
    return dict(zip(DECISIONS, counts, strict=True))


def _confusion(truth: NDArray[np.int64], named: NDArray[np.int64], size: int) -> list[list[int]]:
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (truth, named), 1)
    table: list[list[int]] = counts.tolist()
    return table


def _span(ms: list[float]) -> Span:
    p50, p99 = np.percentile(ms, [50, 99])
    return Span(float(p50), float(p99))

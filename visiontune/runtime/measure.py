"""Measures a model on labelled parts: escapes, overkill, review load, accuracy, milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime import binomial
from visiontune.runtime.bootstrap import Totals, group_totals, percentile_interval, replicates
from visiontune.runtime.errors import BadData, BadModel
from visiontune.runtime.frame import decode
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.measurement import Measurement, Rate, Span
from visiontune.runtime.verdict import Verdict

__all__ = ["Measurement", "Part", "measure"]


class Part(Protocol):
    """A picture whose label is known; `visiontune.data`'s Sample is one."""

    @property
    def path(self) -> Path:
        """Of the picture."""

    @property
    def label(self) -> str | None:
        """One of the card's classes."""

    @property
    def group(self) -> str:
        """Parts of one group (lot, tile, patient) are not independent."""


@dataclass(frozen=True)
class _Judged:
    """The raw result: true class, named class and decision of each part, and the milliseconds."""

    truth: NDArray[np.int64]
    named: NDArray[np.int64]
    decisions: NDArray[np.str_]
    judge_ms: list[float]
    decode_ms: list[float]


def measure(
    inspector: Inspector,
    parts: Iterable[Part],
    *,
    bootstrap: int = 1000,
    confidence: float = 0.95,
    progress: Callable[[int], None] | None = None,
) -> Measurement:
    """Judges every part with the very Inspector of the line and counts.

    bootstrap   samples for the intervals over groups; 0 leaves them out, and so does a single group
    confidence  of bounds and intervals, 0..1
    progress    called with 1 for each part

    Raises BadData if there are no parts, or parts without a label or with one the model does not know;
    BadFrame, with the path, if a picture cannot be read; BadModel if the model gives no usable answer;
    ValueError for a confidence outside 0..1.
    """
    listed = list(parts)
    if not 0 < confidence < 1:
        raise ValueError(f"confidence: expected a number between 0 and 1, found {confidence}")
    classes = inspector.card.classes
    _check_labels(listed, classes)
    judged = _judge(inspector, listed, progress)
    groups = [part.group for part in listed]
    return _count(judged, groups, classes, inspector.card.good, bootstrap, confidence)


def _check_labels(parts: Sequence[Part], classes: Sequence[str]) -> None:
    if not parts:
        raise BadData("expected parts to measure, found none; name a share that holds some")
    for wrong, found in (
        ([part for part in parts if not part.label], "without a label"),
        ([part for part in parts if part.label and part.label not in classes], "with an unknown label"),
    ):
        if wrong:
            some = ", ".join(
                f"{part.path} ({part.label})" if part.label else f"{part.path}" for part in wrong[:5]
            )
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise BadData(
                f"expected labels out of {', '.join(classes)}, "
                f"found {len(wrong)} parts {found}: {some}{more}; label them or leave them out"
            )


def _judge(inspector: Inspector, parts: Sequence[Part], progress: Callable[[int], None] | None) -> _Judged:
    position = {name: index for index, name in enumerate(inspector.card.classes)}
    named, decisions, judge_ms, decode_ms = [], [], [], []
    for part in parts:
        begin = perf_counter()
        frame = decode(part.path, window=inspector.card.input.window)
        decoded = perf_counter()
        verdict = inspector(frame)
        judge_ms.append((perf_counter() - decoded) * 1e3)
        decode_ms.append((decoded - begin) * 1e3)
        named.append(position[_kind(verdict, part)])
        decisions.append(verdict.decision)
        if progress is not None:
            progress(1)
    truth = [position[part.label or ""] for part in parts]
    return _Judged(np.array(truth), np.array(named), np.array(decisions), judge_ms, decode_ms)


def _kind(verdict: Verdict, part: Part) -> str:
    if not verdict.kind:
        raise BadModel(f"expected probabilities, found NaN for {part.path}; the model must not be used")
    return verdict.kind


def _count(
    judged: _Judged,
    groups: list[str],
    classes: tuple[str, ...],
    good: str | None,
    samples: int,
    confidence: float,
) -> Measurement:
    truth, right = judged.truth, judged.named == judged.truth
    bad = truth != 0  # the good class is the first; without one, what is counted of this is left out below
    escaped = bad & (judged.decisions == "pass")
    member = np.eye(len(classes), dtype=np.int64)[truth]
    table = np.column_stack([member, member * right[:, np.newaxis], bad, escaped])
    totals = group_totals(groups, table)

    def rate(hits: NDArray[np.bool_], among: NDArray[np.bool_]) -> Rate:
        k, n = int((hits & among).sum()), int(among.sum())
        low, high = binomial.interval(k, n, confidence)
        return Rate(k, n, k / n if n else None, low, high, binomial.upper(k, n, confidence))

    everything = np.ones(len(truth), np.bool_)
    return Measurement(
        n=len(truth),
        groups=len(totals),
        confidence=confidence,
        classes=classes,
        good=good,
        top1=rate(right, everything),
        balanced_accuracy=float(balanced_accuracy(totals.sum(axis=0, keepdims=True))[0]),
        recall={name: rate(right, truth == c) for c, name in enumerate(classes) if (truth == c).any()},
        confusion=_confusion(truth, judged.named, len(classes)),
        escapes=None if good is None else rate(escaped, bad),
        escaped_groups=None if good is None else rate(totals[:, -1] > 0, totals[:, -2] > 0),
        overkill=None if good is None else rate(judged.decisions == "reject", ~bad),
        review=rate(judged.decisions == "review", everything),
        intervals=_intervals(totals, samples, confidence, good),
        judge_ms=_span(judged.judge_ms),
        decode_ms=_span(judged.decode_ms),
    )


def _confusion(truth: NDArray[np.int64], named: NDArray[np.int64], size: int) -> list[list[int]]:
    counts = np.zeros((size, size), np.int64)
    np.add.at(counts, (truth, named), 1)
    table: list[list[int]] = counts.tolist()
    return table


def balanced_accuracy(totals: Totals) -> Totals:
    """Mean recall of the classes present, for rows of [parts per class, hits per class, defective, escaped]."""
    size = (totals.shape[1] - 2) // 2
    parts, hits = totals[:, :size], totals[:, size : 2 * size]
    present = parts > 0
    recalls = np.divide(hits, parts, out=np.zeros_like(hits), where=present)
    mean: Totals = recalls.sum(axis=1) / present.sum(axis=1)
    return mean


def _top1(totals: Totals) -> Totals:
    size = (totals.shape[1] - 2) // 2
    share: Totals = totals[:, size : 2 * size].sum(axis=1) / totals[:, :size].sum(axis=1)
    return share


def _escapes(totals: Totals) -> Totals:
    defective, escaped = totals[:, -2], totals[:, -1]
    return np.divide(escaped, defective, out=np.full_like(escaped, np.nan), where=defective > 0)


def _intervals(
    totals: Totals, samples: int, confidence: float, good: str | None
) -> dict[str, tuple[float, float] | None]:
    statistics = {"balanced_accuracy": balanced_accuracy, "top1": _top1}
    if good is not None:
        statistics["escapes"] = _escapes
    if samples < 1 or len(totals) < 2:  # one group says nothing about the next
        return dict.fromkeys(statistics)
    drawn = replicates(totals, count=samples)
    return {
        name: percentile_interval(drawn, statistic, confidence=confidence)
        for name, statistic in statistics.items()
    }


def _span(ms: list[float]) -> Span:
    p50, p99 = np.percentile(ms, [50, 99])
    return Span(float(p50), float(p99))

"""What was measured: rates with their bounds, as numbers, as JSON, and as a table for people."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

WIDEST_MATRIX = 12  # classes; beyond that a terminal shows only the commonest confusions


@dataclass(frozen=True)
class Rate:
    """`hits` of `of` parts, with exact (Clopper-Pearson) bounds.

    rate       hits / of; None if there were no such parts
    low, high  two-sided bounds
    upper      one-sided upper bound: what the parts certify
    """

    hits: int
    of: int
    rate: float | None
    low: float
    high: float
    upper: float


@dataclass(frozen=True)
class Span:
    """Milliseconds per frame: median and 99th percentile."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Measurement:
    """What `measure` found. Bounds of a Rate hold for independent parts, intervals for independent groups.

    n, groups          parts and groups measured
    confidence         of all bounds and intervals, such as 0.95
    classes, good      as in the card
    top1               parts whose most probable kind is their label
    balanced_accuracy  mean recall of the classes that are present
    recall             per class that is present
    confusion          [true class][named kind], counts in the order of `classes`
    escapes            defective parts (label is not `good`) whose decision is pass; None without a good class
    escaped_groups     groups with a defective part of which at least one passed: the count to read when a group
                       is one part seen several times; None without a good class
    overkill           good parts whose decision is reject; None without a good class
    review             parts whose decision is review
    intervals          bootstrap over groups of "balanced_accuracy", "top1", "escapes": (low, high), None
                       where undefined
    judge_ms           from a decoded frame to the verdict; decode_ms from the path to the decoded frame
    """

    n: int
    groups: int
    confidence: float
    classes: tuple[str, ...]
    good: str | None
    top1: Rate
    balanced_accuracy: float
    recall: dict[str, Rate]
    confusion: list[list[int]]
    escapes: Rate | None
    escaped_groups: Rate | None
    overkill: Rate | None
    review: Rate
    intervals: dict[str, tuple[float, float] | None]
    judge_ms: Span
    decode_ms: Span

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        """The table of `table`."""
        return table(self)


def table(measured: Measurement) -> str:
    """The measurement in lines of text: what the line cares for first, then accuracy, confusions and time."""
    sure = f"{measured.confidence:.0%}"
    wide = max(12, *(len(name) + 2 for name in measured.classes))
    lines = [
        f"{measured.n} parts in {measured.groups} groups; exact {sure} bounds, for independent parts",
        "",
    ]
    if measured.escapes is not None and measured.overkill is not None:
        lines.append(_row("escapes", wide, measured.escapes, "defective parts passed", certified=True))
        if measured.escaped_groups is not None and measured.groups < measured.n:
            lines.append(
                _row("  by group", wide, measured.escaped_groups, "groups with such a part", certified=True)
            )
        lines.append(_row("overkill", wide, measured.overkill, "good parts rejected"))
    lines.append(_row("review", wide, measured.review, "parts for a person"))
    lines.append(_row("top-1", wide, measured.top1, "kind named rightly"))
    lines.append(
        f"{'balanced':<{wide}} {_percent(measured.balanced_accuracy):>8}   mean recall of the classes present"
    )
    intervals = {name: span for name, span in measured.intervals.items() if span is not None}
    if intervals:
        lines += ["", f"{sure} intervals when whole groups are drawn anew (bootstrap)"]
        lines += [f"  {name.replace('_', ' '):<20} {_bounds(*span)}" for name, span in intervals.items()]
    lines += ["", "recall of each class"]
    lines += [_row(f"  {name}", wide, rate, "") for name, rate in measured.recall.items()]
    lines += ["", *(_matrix(measured) if len(measured.classes) <= WIDEST_MATRIX else _commonest(measured))]
    lines += ["", f"judge   {_time(measured.judge_ms)}, from a decoded frame to the verdict"]
    lines += [f"decode  {_time(measured.decode_ms)}, from the file to a frame; not in the above"]
    return "\n".join(lines)


def _row(name: str, wide: int, rate: Rate, meaning: str, *, certified: bool = False) -> str:
    value = "-" if rate.rate is None else _percent(rate.rate)
    count, bounds = f"{rate.hits}/{rate.of}", _bounds(rate.low, rate.high)
    meaning += f"; at most {_percent(rate.upper)} certified, one-sided" if certified else ""
    return f"{name:<{wide}} {value:>8}   {count:>11}   {bounds:<18} {meaning}".rstrip()


def _matrix(measured: Measurement) -> list[str]:
    names = measured.classes
    cells = [[str(count) for count in row] for row in measured.confusion]
    wide = max(len("true"), *map(len, names))
    columns = [max(len(name), *(len(row[index]) for row in cells)) for index, name in enumerate(names)]
    rows = [("true", "named", names), *((name, "", row) for name, row in zip(names, cells, strict=True))]
    return [
        f"{head:<{wide}}  {mark:<5}  "
        + "  ".join(f"{cell:>{w}}" for cell, w in zip(row, columns, strict=True))
        for head, mark, row in rows
    ]


def _commonest(measured: Measurement, count: int = 10) -> list[str]:
    names = measured.classes
    wrong = [
        (hits, names[true], names[named])
        for true, row in enumerate(measured.confusion)
        for named, hits in enumerate(row)
        if hits and true != named
    ]
    wrong.sort(key=lambda item: -item[0])
    lines = [f"  {hits:>5}  {true} named {named}" for hits, true, named in wrong[:count]]
    return ["commonest confusions (all of them with --json)", *(lines or ["  none"])]


def _time(span: Span) -> str:
    return f"{span.p50:.2f} ms (p99 {span.p99:.2f})"


def _bounds(low: float, high: float) -> str:
    return f"[{_percent(low)}, {_percent(high)}]"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}%"

"""A measurement as a table for people: what the line cares for first, then groups, accuracy, confusions and time."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from visiontune.runtime.at_line import AtLine
from visiontune.runtime.costs import Estimate
from visiontune.runtime.detection_table import detection_lines
from visiontune.runtime.localisation_table import localisation_lines
from visiontune.runtime.rate import Rate
from visiontune.runtime.reliability import Calibration
from visiontune.runtime.slices import Slice

if TYPE_CHECKING:
    from visiontune.runtime.measurement import Measurement, Span

WIDEST_MATRIX = 12  # classes; beyond that a terminal shows only the commonest confusions
MOST_ROWS = 12  # of a list; the worst are shown
LONGEST = 40  # characters of a name
CUT = "(all of them with --json)"
OF = {
    "escapes": "defective parts passed",
    "overkill": "good parts rejected",
    "wrong kind": "parts named wrongly",
}


def table(measured: Measurement) -> str:
    """The measurement in lines of text."""
    sure = f"{measured.confidence:.0%}"
    shown = [_short(name) for name in measured.classes[:MOST_ROWS]]
    shown += [_short(one.value) for one in measured.slices]
    wide = min(LONGEST, max(12, *(len(name) + 2 for name in shown)))
    several = measured.groups < measured.n
    unit = f"parts in {measured.groups} groups" if several else "parts"
    lines = [
        f"{measured.n} {unit}; exact {sure} bounds, for independent {'groups' if several else 'parts'}",
        "",
    ]
    lines += _verdicts(measured, wide)
    lines += _at_line(measured.line, several) if measured.line is not None else []
    lines += _slices(measured, wide)
    lines += localisation_lines(measured.localisation, wide) if measured.localisation is not None else []
    lines += detection_lines(measured.detection, wide) if measured.detection is not None else []
    lines += ["", *_accuracy(measured, wide)]
    intervals = {name: span for name, span in measured.intervals.items() if span is not None}
    if intervals:
        lines += ["", f"{sure} intervals when whole groups are drawn anew (bootstrap)"]
        lines += [f"  {name.replace('_', ' '):<20} {_bounds(*span)}" for name, span in intervals.items()]
    lines += ["", *_recall(measured, wide)]
    lines += ["", *(_matrix(measured) if len(measured.classes) <= WIDEST_MATRIX else _commonest(measured))]
    lines += ["", f"judge   {_time(measured.judge_ms)}, from a decoded frame to the verdict"]
    lines += [f"decode  {_time(measured.decode_ms)}, from the file to a frame; not in the above"]
    return "\n".join(lines)


def _verdicts(measured: Measurement, wide: int) -> list[str]:
    lines = []
    several = measured.groups < measured.n
    for name, rate, by_group, meaning in (
        ("escapes", measured.escapes, measured.escaped_groups, OF["escapes"]),
        ("overkill", measured.overkill, measured.overkill_groups, OF["overkill"]),
        ("wrong kind", measured.wrong_passed, measured.wrong_passed_groups, "of the parts that pass"),
    ):
        if rate is None:
            continue
        certified = name != "overkill"
        lines.append(_row(name, wide, rate, meaning, certified=certified))
        if several and by_group is not None:
            lines.append(_row("  by group", wide, by_group, "groups with such a part", certified=certified))
    lines.append(_row("review", wide, measured.review, "parts for a person"))
    if measured.auroc is not None:
        meaning = "of a defective and a good part, the first has the higher severity (AUROC)"
        lines.append(f"{'in order':<{wide}} {_percent(measured.auroc):>8}   {meaning}")
    return lines


def _at_line(line: AtLine, several: bool) -> list[str]:
    held = "-" if line.set_prevalence.rate is None else _percent(line.set_prevalence.rate)
    lines = [
        "",
        f"on a line where {_percent(line.prevalence)} of the parts are defective{', by group' if several else ''}",
    ]
    lines.append(_figure("escapes", line.shipped_escapes, "per million shipped"))
    lines.append(_figure("overkill", line.overkill, "good parts rejected per million made"))
    lines.append(_figure("review", line.review, "for a person per million made"))
    if line.cost is not None:
        lines.append(_figure("cost", line.cost, f"per million made ({line.costs})"))
    low, high = line.cost_interval or (0.0, 0.0)
    if low < high:  # else no draw differs from another: that tells nothing
        lines.append(
            f"  {'':<10} {'':>10}   [{low:,.0f}, {high:,.0f}] when whole groups are drawn anew (bootstrap)"
        )
    lines.append("  parts in review are taken to be judged rightly by the person who looks at them")
    if line.differs:
        lines.append(
            f"  warning: {held} of the measured parts are defective, so the shares of this set (review, top-1, "
            "confusions) are not the line's"
        )
    return lines


def _figure(name: str, found: Estimate, meaning: str) -> str:
    value = "-" if found.value is None else f"{found.value:,.0f}"
    return (
        f"  {name:<10} {value:>10}   [{found.low:,.0f}, {found.high:,.0f}] {meaning}; "
        f"at most {found.upper:,.0f} certified"
    )


def _slices(measured: Measurement, wide: int) -> list[str]:
    lines = []
    tested = False
    for (by, harm), found in groupby(measured.slices, key=lambda one: (one.by, one.harm)):
        rows = list(found)
        if len(rows) < 2:  # says nothing beyond the figure for all
            continue
        tested = True
        of = " (share of the picture)" if by == "size" else ""
        lines += ["", f"{harm} by {by}{of}, worst first"]
        befell = sum(one.rate.hits > 0 for one in rows)
        shown = rows[: min(MOST_ROWS, befell + 1)]  # of those without, the one least is known of
        lines += [_slice(one, wide, 1 - measured.confidence) for one in shown]
        lines += _more(len(rows) - len(shown), f"without {harm} " if len(shown) > befell else "")
    if tested:
        lines += [
            "",
            "p: chance of so many if the group were like the others, corrected (Holm) for how many its list compares",
        ]
    if measured.not_compared:
        names = ", ".join(map(_short, measured.not_compared))
        lines += ["", f"not compared, for they have one value or a value for nearly every part: {names}"]
    return lines


def _slice(one: Slice, wide: int, doubt: float) -> str:
    said = "" if one.p is None else f"p {one.p:.2g}"
    said += "; worse than the others" if one.p is not None and one.p <= doubt else ""
    return _row(f"  {_short(one.value)}", wide, one.rate, said)


def _accuracy(measured: Measurement, wide: int) -> list[str]:
    lines = [_row("top-1", wide, measured.top1, "kind named rightly")]
    if measured.top5 is not None:
        lines.append(_row("top-5", wide, measured.top5, "kind among the five most probable"))
    balanced = _percent(measured.balanced_accuracy)
    lines.append(f"{'balanced':<{wide}} {balanced:>8}   mean recall of the classes present")
    return [*lines, _calibration(measured.calibration, wide)]


def _calibration(found: Calibration, wide: int) -> str:
    return (
        f"{'calibration':<{wide}} {_percent(found.ece_after):>8}   expected error of the probabilities; before the temperature "
        f"{found.temperature:.3g} {_percent(found.ece_before)}, by chance alone {_percent(found.ece_by_chance)}"
    )


def _recall(measured: Measurement, wide: int) -> list[str]:
    worst = sorted(measured.recall.items(), key=lambda item: (item[1].rate or 0, item[1].low, item[0]))
    return [
        "recall of each class, worst first",
        *(_row(f"  {_short(name)}", wide, rate, "") for name, rate in worst[:MOST_ROWS]),
        *_more(len(worst) - MOST_ROWS),
    ]


def _more(rows: int, which: str = "") -> list[str]:
    return [f"  and {rows} more {which}{CUT}"] if rows > 0 else []


def _row(name: str, wide: int, rate: Rate, meaning: str, *, certified: bool = False) -> str:
    value = "-" if rate.rate is None else _percent(rate.rate)
    count, bounds = f"{rate.hits}/{rate.of}", _bounds(rate.low, rate.high)
    meaning += f"; at most {_percent(rate.upper)} certified, one-sided" if certified else ""
    return f"{name:<{wide}} {value:>8}   {count:>11}   {bounds:<18} {meaning}".rstrip()


def _matrix(measured: Measurement) -> list[str]:
    names = [_short(name) for name in measured.classes]
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
    lines = [f"  {hits:>5}  {_short(true)} named {_short(named)}" for hits, true, named in wrong[:count]]
    return [f"commonest confusions {CUT}", *(lines or ["  none"])]


def _time(span: Span) -> str:
    return f"{span.p50:.2f} ms (p99 {span.p99:.2f})"


def _bounds(low: float, high: float) -> str:
    return f"[{_percent(low)}, {_percent(high)}]"


def _percent(value: float) -> str:
    return f"{100 * value:.2f}%"


def _short(name: str) -> str:
    return name if len(name) <= LONGEST - 2 else name[: LONGEST - 3] + "…"

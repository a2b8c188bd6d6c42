"""The page of planted defects: curves of the probability of detection over size, with a90 and its bound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from visiontune.report import study_page
from visiontune.report.plot import GOOD, MUTED, RISKY, WIDTH, Plot, style
from visiontune.report.study_page import Page, Table
from visiontune.report.words import percent

ACROSS = 2  # curves side by side
BINS = 6  # of sizes, for the measured shares
TOLD = 3  # sizes that the headline names
CAPTION = (
    "Line: the fitted curve. Dots: the share found among about as many defects each. Dashes at the top and bottom: every planted "
    "defect. Upright: a90 (solid) and a90/95 (dashed)."
)


def write(path: str | Path, found: Mapping[str, Any]) -> Path:
    """Writes the page; `found` is what `pod.json` holds."""
    return study_page.write(path, page(found))


def page(found: Mapping[str, Any]) -> Page:
    """What the page says."""
    series, mm = found["series"], found["pixel_mm"]
    calls = found["false_calls"]
    whole = [one for one in series if one["curve"]["a90_95"] is not None]
    rows = [
        (
            _name(one),
            f"{one['curve']['found']} of {one['curve']['planted']}",
            *(size(one["curve"][name], mm) for name in ("a50", "a90", "a90_95", "largest_missed")),
            f"{size(one['curve']['low'], mm)} to {size(one['curve']['high'], mm)}",
            one["curve"]["method"],
        )
        for one in series
    ]
    notes = list(found["notes"])
    notes += [f"{_name(one)}: {note}" for one in series for note in one["curve"]["notes"]]
    notes += [
        f"{_name(one)}: {one['unplanted']} defects found no place and are left out"
        for one in series
        if one["unplanted"]
    ]
    return Page(
        eyebrow="Smallest defect reliably found",
        model=found["model"],
        basis=f"{found['pictures']} good pictures of {found['parts']} parts.",
        headline=_headline(whole, series, mm),
        kept=len(whole) == len(series),
        statement=found["statement"],
        tables=[
            Table(
                "Sizes found",
                ("planted", "found", "a50", "a90", "a90/95", "largest missed", "sizes", "curve"),
                rows,
            ),
            Table(
                "Good pictures as they are",
                ("", "not passed", "rate", "bounds"),
                [
                    (
                        "false calls",
                        f"{calls['hits']} of {calls['of']}",
                        percent(calls["rate"]),
                        f"{percent(calls['low'])} to {percent(calls['high'])}",
                    )
                ],
            ),
        ],
        notes=notes,
        plot=plot(series, mm),
        plot_says="Probability of detection over size, a curve for each kind and contrast",
        caption=CAPTION,
    )


def plot(series: Sequence[Mapping[str, Any]], mm: float | None) -> Plot:
    """A curve for each series."""
    across = min(ACROSS, len(series))
    down = math.ceil(len(series) / across)
    with style():
        shape = Plot(WIDTH, 2.6 * down)
        grid = np.atleast_1d(shape.subplots(down, across, sharey=True)).ravel()
        for axes, one in zip(grid, series, strict=False):
            _draw(axes, one, mm)
        for axes in grid[len(series) :]:
            axes.set_visible(False)
    return shape


def _draw(axes: Axes, one: Mapping[str, Any], mm: float | None) -> None:
    curve, scale = one["curve"], mm or 1.0
    sizes = np.array([find["size"] for find in one["planted"]]) * scale
    hits = np.array([find["decision"] != "pass" for find in one["planted"]])
    axes.plot(sizes[hits], np.full(hits.sum(), 1.04), "|", color=GOOD, markersize=5, alpha=0.6)
    axes.plot(sizes[~hits], np.full((~hits).sum(), -0.04), "|", color=RISKY, markersize=5, alpha=0.6)
    for some in np.array_split(np.argsort(sizes), min(BINS, len(sizes))):
        axes.plot(np.exp(np.log(sizes[some]).mean()), hits[some].mean(), "o", color=MUTED, markersize=4)
    if curve["b0"] is not None:
        x = np.geomspace(curve["low"], curve["high"], 200)
        odds = curve["b0"] + curve["b1"] * np.log(x)
        axes.plot(x * scale, 1 / (1 + np.exp(-odds.clip(-700, 700))), color=GOOD, linewidth=1.6)
    for name, dashes in (("a90", "-"), ("a90_95", "--")):
        if curve[name] is not None:
            axes.axvline(curve[name] * scale, color=RISKY, linewidth=1.1, linestyle=dashes)
    axes.set_xscale("log")
    axes.set_ylim(-0.08, 1.08)
    axes.yaxis.set_major_locator(FixedLocator([0, 0.5, 0.9, 1]))
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")
    axes.xaxis.set_major_locator(FixedLocator(_ticks(curve["low"] * scale, curve["high"] * scale)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("pixels" if mm is None else "mm")
    axes.set_title(_name(one))


def _ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 of every decade within the range."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [
        step * 10.0**decade for decade in decades for step in (1, 2, 5) if low <= step * 10.0**decade <= high
    ]


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['kind']} {one['contrast']:+g} grey levels"


def _headline(
    whole: Sequence[Mapping[str, Any]], series: Sequence[Mapping[str, Any]], mm: float | None
) -> str:
    if not whole:
        return "No size can be promised in the range that was planted"
    if len(whole) > TOLD:
        return f"A size is found reliably (a90/95) for {len(whole)} of {len(series)} kinds and contrasts: see the table"
    said = "; ".join(f"{_name(one)}: {size(one['curve']['a90_95'], mm)}" for one in whole)
    left = (
        f". For {len(series) - len(whole)} of {len(series)} none can be promised"
        if len(whole) < len(series)
        else ""
    )
    return f"Found reliably (a90/95) from {said}{left}"


def size(value: float | None, mm: float | None) -> str:
    """`4.2 px`, or `0.21 mm (4.2 px)`; - for None."""
    if value is None:
        return "-"
    return f"{value:.3g} px" if mm is None else f"{value * mm:.3g} mm ({value:.3g} px)"

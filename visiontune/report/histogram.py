"""The histogram of severities over the bands: how far good and defective parts lie apart, and from the thresholds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from visiontune.report.plot import GOOD, INK, MUTED, PASS, REJECT, REVIEW, RISKY, WIDTH, Plot, style
from visiontune.report.words import counted, whole
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bands import Bands

BINS = 40  # about
DECADES = (2, 5)  # of severity shown towards 0 and towards 1: at least, at most
TICKS = 11


def severities(
    severity: NDArray[np.float32],
    defective: NDArray[np.bool_],
    bands: Bands | None = None,
    *,
    names: tuple[str, str] = ("good", "defective"),
) -> Plot:
    """Histograms of severity, good above defective, on a log count axis, over the bands.

    `severity` (n,) 0..1, `defective` (n,) bool; `names` of False and True. Both ends of the severity axis are stretched (log
    odds), because that is where the thresholds lie. Bars never straddle a threshold.
    """
    edges = severity_edges(severity, bands)
    decided = None if bands is None else bands.decisions(severity)
    inside = np.clip(severity.astype(np.float64), edges[0], edges[-1])
    places = log_odds(edges)
    heights = [np.histogram(inside[defective == side], edges)[0].tolist() for side in (False, True)]
    with style():
        plot = Plot(WIDTH, 4.0)
        panels = plot.subplots(2, 1, sharex=True, sharey=True)
        panels[0].set(yscale="log", ylim=(0.6, 1.5 * max(map(max, heights))))
        for axes, side, name, color in zip(panels, (False, True), names, (GOOD, RISKY), strict=True):
            mine = defective == side
            axes.bar(places[:-1], heights[int(side)], np.diff(places), align="edge", color=color, linewidth=0)
            title = f"{name}, {counted(int(mine.sum()), 'picture')}"
            if decided is not None:
                numbers = np.bincount(decided[mine], minlength=len(DECISIONS)).tolist()
                title += ": " + " · ".join(
                    f"{whole(n)} {word}" for n, word in zip(numbers, DECISIONS, strict=True)
                )
            axes.set_title(title, pad=4 if side or bands is None else 15)
            axes.set_ylabel("pictures")
            axes.yaxis.set_major_formatter(lambda count, _: whole(round(count)) if count >= 1 else "")
            axes.yaxis.set_minor_locator(NullLocator())
            axes.grid(axis="x", visible=False)
            if bands is not None:
                draw_bands(axes, edges, bands, words=not side)
        panels[1].set_xlim(places[0], places[-1])
        draw_severity_axis(panels[1], edges)
    return plot


def severity_edges(severity: NDArray[np.float32], bands: Bands | None) -> NDArray[np.float64]:
    """Bin edges, float64, rising: even in log odds between the ends of the axis and the thresholds, which are edges."""
    cuts = [] if bands is None else [float(np.float32(cut)) for cut in (bands.review_from, bands.reject_from)]
    inner = [cut for cut in cuts if 0 < cut < 1]
    low = 10.0 ** -decades(float(severity.min()), min(inner, default=1.0))
    high = 1 - 10.0 ** -decades(1 - float(severity.max()), 1 - max(inner, default=0.0))
    stops = [low, *sorted(set(inner)), high]
    width = float(np.diff(log_odds(np.array([low, high])))[0]) / BINS
    pieces = []
    for left, right in pairwise(stops):
        a, b = log_odds(np.array([left, right])).tolist()
        between = 1 / (1 + np.exp(-np.linspace(a, b, max(1, round((b - a) / width)) + 1)[1:-1]))
        pieces += [left, *between.tolist()]
    return np.array([*pieces, high])


def decades(severity: float, threshold: float) -> int:
    """How many decades the axis reaches towards an end, from the distances of the nearest severity and threshold to it.

    It ends before the farthest severities, if need be, but always beyond the thresholds.
    """
    least, most = DECADES
    reached = int(np.clip(np.ceil(-np.log10(max(severity, 1e-9))), least, most))
    return max(reached, 1 + int(np.ceil(-np.log10(threshold))))


def log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(p / (1 - p)), of 0 < p < 1."""
    return np.asarray(np.log(share) - np.log1p(-share))


def draw_bands(axes: Axes, edges: NDArray[np.float64], bands: Bands, *, words: bool) -> None:
    """Colours the ground by decision, with a line at each threshold; `words` puts the decision's name on top."""
    left, right = log_odds(edges[[0, -1]]).tolist()
    cuts = np.clip([float(bands.review_from), float(bands.reject_from)], edges[0], edges[-1])
    stops = [left, *log_odds(cuts).tolist(), right]
    for (start, end), color, word in zip(pairwise(stops), (PASS, REVIEW, REJECT), DECISIONS, strict=True):
        if end <= start:
            continue
        axes.axvspan(start, end, color=color, linewidth=0, zorder=0)
        if start > left:
            axes.axvline(start, color=INK, linewidth=0.9, zorder=3)
        if words and end - start > 0.05 * (right - left):
            axes.annotate(
                word,
                ((start + end) / 2, 1),
                xycoords=axes.get_xaxis_transform(),
                xytext=(0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                color=MUTED,
            )


def draw_severity_axis(axes: Axes, edges: NDArray[np.float64]) -> None:
    """Ticks at 0.001, 0.01, 0.1, 0.5, 0.9, 0.99 ..., as far as the axis goes; of many only every second or third."""
    below, above = (round(-float(np.log10(end))) for end in (edges[0], 1 - edges[-1]))
    step = -(-(below + above) // TICKS)
    ticks = [(10.0**-k, f"{10.0**-k:.{k}f}") for k in range(below, 0, -step)]
    ticks += [(0.5, "0.5"), *((1 - 10.0**-k, f"{1 - 10.0**-k:.{k}f}") for k in range(above, 0, -step))]
    axes.xaxis.set_major_locator(FixedLocator(log_odds(np.array([share for share, _ in ticks])).tolist()))
    axes.set_xticklabels([text for _, text in ticks])
    axes.set_xlabel("severity (both ends stretched: log odds)")

"""The section on what more pictures may give: the curve with its band, each class now and with twice the pictures, in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator

from visiontune.report.embed import figure
from visiontune.report.findings import Section
from visiontune.report.plot import GOOD, INK, MUTED, RISKY, WIDTH, Plot, style
from visiontune.report.words import printable, shortened, whole

SHOWN = 12  # classes drawn; the sentences name all
PAGE = Markup(
    '<p>{says}</p>\n<figure>\n<div class="scroll" tabindex="0" role="group" aria-label="{alt}">\n<img src="{address}" '
    'width="{width}" height="{height}" alt="{alt}" style="--least:{least}px;--most:{width}px">\n</div>\n<figcaption>{caption}'
    '</figcaption>\n</figure>\n<ul class="notes">\n{lines}\n</ul>'
)
CAPTION = (
    "Heads on 1/8, 1/4, 1/2 and all of the train parts. Bands are 90 %: they hold the chance of which parts val has and of which "
    "parts were learnt from, and rest on a power law, so nothing is said beyond twice the pictures."
)


def section(found: Mapping[str, Any]) -> Section:
    """The section; `found` is what run.json keeps of a learning curve."""
    drawn = figure(plot(found))
    said = [*(one["says"] for one in found["classes"]), found["balanced"]["says"]]
    body = PAGE.format(
        says=found["says"],
        alt="Balanced error by pictures, and each class now and with twice the pictures",
        address=drawn.address,
        width=drawn.width,
        height=drawn.height,
        least=min(560, drawn.width),
        caption=CAPTION,
        lines=Markup("\n").join(Markup("<li>{}</li>").format(printable(line)) for line in said),
    )
    return Section("How much data is enough", body)


def plot(found: Mapping[str, Any]) -> Plot:
    """Balanced error over pictures with its band, and beside it the classes, as many as can be told of."""
    classes = [one for one in found["classes"] if one["twice"] is not None]
    classes = sorted(classes, key=lambda one: -one["errors"][-1])[:SHOWN]
    with style():
        shape = Plot(WIDTH, max(2.9, 0.9 + 0.36 * (len(classes) + 1)))
        curve, kinds = shape.subplots(1, 2)
        draw_curve(curve, found["pictures"], found["balanced"])
        draw_classes(kinds, [*classes, found["balanced"]])
        for axes, values in ((curve, curve.yaxis), (kinds, kinds.xaxis)):
            values.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
            axes.legend(loc="best", fontsize=8)
    return shape


def draw_curve(axes: Axes, pictures: Sequence[int], one: Mapping[str, Any]) -> None:
    """The measured errors with their band, and what is expected at twice the last."""
    x = np.array(pictures, float)
    axes.fill_between(x, one["low"], one["high"], color=GOOD, alpha=0.15, linewidth=0)
    axes.plot(x, one["errors"], color=GOOD, marker="o", markersize=4, linewidth=1.6, label="measured")
    if one["twice"] is not None:
        low, middle, high = one["twice"]
        ahead = [x[-1], 2 * x[-1]]
        axes.fill_between(
            ahead, [one["low"][-1], low], [one["high"][-1], high], color=RISKY, alpha=0.18, linewidth=0
        )
        axes.plot(
            ahead,
            [one["errors"][-1], middle],
            color=RISKY,
            marker="o",
            markevery=[1],
            markersize=4,
            linewidth=1.6,
            linestyle=(0, (4, 2)),
            label="with twice the pictures",
        )
        x = np.append(x, 2 * x[-1])
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(x.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(lambda value, _: whole(round(value)))
    axes.set_xlabel("train pictures")
    axes.set_ylim(bottom=0)
    axes.set_title("Error, all classes alike")


def draw_classes(axes: Axes, shown: Sequence[Mapping[str, Any]]) -> None:
    """A row for each class: the error now with its band, and below it that with twice the pictures."""
    for row, one in enumerate(shown):
        label = {"now": "now", "twice": "with twice the pictures"} if not row else {}
        axes.plot([one["low"][-1], one["high"][-1]], [row - 0.14] * 2, color=GOOD, linewidth=2, alpha=0.5)
        axes.plot(
            one["errors"][-1], row - 0.14, "o", color=GOOD, markersize=4.5, label=label.get("now", "_now")
        )
        if one["twice"] is not None:
            low, middle, high = one["twice"]
            axes.plot([low, high], [row + 0.14] * 2, color=RISKY, linewidth=2, alpha=0.5)
            axes.plot(
                middle, row + 0.14, "o", color=RISKY, markersize=4.5, label=label.get("twice", "_twice")
            )
    axes.set_yticks(range(len(shown)), [shortened(one["name"]) for one in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(axis="y", visible=False)
    axes.tick_params(axis="y", length=0, labelcolor=INK, color=MUTED)
    axes.set_title("Error of each class")

"""The figures of the report and of a notebook: training curves, confusion, severities, reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from visiontune.report.histogram import severities
from visiontune.report.plot import GOOD, INK, MUTED, WIDTH, Plot, style
from visiontune.report.words import counted, shortened, whole, wide_letters
from visiontune.runtime import binomial

__all__ = ["confusion", "curves", "reliability", "severities"]

OPENED = ("#ffffff", "#f1f4f8", "#e4eaf1", "#d7e0ea", "#cad6e3")  # head only, one stage open, two ...
BLUES, ORANGES = ((1, 1, 1), (0.12, 0.42, 0.65)), ((1, 1, 1), (0.77, 0.31, 0.05))


def curves(history: Sequence[Mapping[str, Any]], best: int | None = None) -> Plot:
    """Losses (nats) and balanced accuracy over epochs; the ground darkens where more stages are open.

    `history` has an entry per epoch with the fields of learner.Epoch, `best` is the epoch that was kept.
    """
    with style():
        plot = Plot(WIDTH, 3.1)
        losses, accuracy = plot.subplots(1, 2)
        epochs = [int(entry["epoch"]) for entry in history]
        draw_line(losses, epochs, history, "train_loss", "train", MUTED)
        draw_line(losses, epochs, history, "val_loss", "val", GOOD)
        draw_line(accuracy, epochs, history, "val_balanced_accuracy", "val", GOOD)
        losses.set_title("Loss (nats)", pad=16)
        accuracy.set_title("Balanced accuracy", pad=16)
        accuracy.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
        for axes in (losses, accuracy):
            axes.set_xlabel("epoch, counted from 0")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            axes.grid(axis="x", visible=False)
            if not epochs:
                axes.text(0.5, 0.5, "no epochs were noted", ha="center", transform=axes.transAxes)
                continue
            draw_phases(axes, history)
            axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
            if best is not None:
                axes.axvline(
                    best, color=INK, linewidth=0.9, linestyle=(0, (4, 2)), label=f"kept: epoch {best}"
                )
            axes.legend(loc="best", fontsize=8)
    return plot


def draw_line(
    axes: Axes, epochs: list[int], history: Sequence[Mapping[str, Any]], field: str, label: str, color: str
) -> None:
    """One column of the history; a value that is missing leaves a gap."""
    values = [float("nan") if entry.get(field) is None else float(entry[field]) for entry in history]
    axes.plot(epochs, values, color=color, label=label, marker="o", markersize=3, linewidth=1.6)


def draw_phases(axes: Axes, history: Sequence[Mapping[str, Any]]) -> None:
    """Colours the ground by how many stages were open, and says so at the top."""
    starts = [
        i for i, entry in enumerate(history) if not i or entry.get("open") != history[i - 1].get("open")
    ]
    for start, end in pairwise([*starts, len(history)]):
        opened = int(history[start].get("open") or 0)
        left, right = history[start]["epoch"] - 0.5, history[end - 1]["epoch"] + 0.5
        axes.axvspan(left, right, color=OPENED[min(opened, len(OPENED) - 1)], linewidth=0, zorder=0)
        text = f"{opened} open" if opened else "head"
        wide = (right - left) / len(history) > 0.12
        axes.annotate(
            text if wide else f"{opened}",
            ((left + right) / 2, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha="center",
            color=MUTED,
            fontsize=7.5,
        )


def confusion(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: Sequence[str]) -> Plot:
    """Pictures of each true class (row) by the kind that was named (column): counts, coloured by the share of the row.

    `labels`, `predicted` int64 (n,), indices into `classes`. Right ones are blue, mistakes orange; empty cells are white.
    """
    size = len(classes)
    table = np.zeros((size, size), np.int64)
    np.add.at(table, (labels, predicted), 1)
    rows = table.sum(axis=1)
    names = [shortened(name) for name in classes]
    cell, font = (0.62, 8.5) if size <= 8 else (0.42, 7.5) if size <= 16 else (0.21, 5.8)
    side, font_size = cell * size, 8.5 if size <= 16 else 7
    longest = max(len(name) + wide_letters(name) for name in names)
    with style():
        plot = Plot(side + 3, side + 3)
        axes = plot.add_subplot()
        for true, named in zip(*np.nonzero(table), strict=True):
            share = table[true, named] / rows[true]
            color = shaded(share, right=true == named)
            axes.add_patch(Rectangle((named - 0.5, true - 0.5), 1, 1, facecolor=color, linewidth=0))
            text = whole(int(table[true, named]))
            if size <= 8:
                text += f"\n{rounded(share)}"
            dark = 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2] < 0.6
            axes.text(
                named, true, text, ha="center", va="center", fontsize=font, color="white" if dark else INK
            )
        axes.set_xlim(-0.5, size - 0.5)
        axes.set_ylim(size - 0.5, -0.5)
        axes.set_aspect("equal")
        axes.set_xticks(range(size), names, rotation=90 if size > 6 or longest > 9 else 0)
        axes.set_yticks(range(size), [f"{name} ({n})" for name, n in zip(names, rows.tolist(), strict=True)])
        axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(which="major", visible=False)
        axes.grid(which="minor", visible=True)
        axes.tick_params(which="both", length=0, labelsize=font_size)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("named kind")
        axes.set_ylabel("true class (pictures)")
        plot.fit(axes, side, side, room=0.005 * font_size * max(map(wide_letters, names)))
    return plot


def rounded(share: float) -> str:
    """A share in whole per cent that never says none or all where it is not."""
    text = f"{100 * share:.0f} %"
    return "<1 %" if text == "0 %" and share else ">99 %" if text == "100 %" and share < 1 else text


def shaded(share: float, *, right: bool) -> tuple[float, float, float]:
    """RGB 0..1 of a cell. Mistakes darken with the root of their share, so that a rare one is seen too."""
    light, full = BLUES if right else ORANGES
    weight = 0.08 + 0.92 * (share if right else np.sqrt(share))
    red, green, blue = (a + (b - a) * weight for a, b in zip(light, full, strict=True))
    return red, green, blue


def reliability(
    severity: NDArray[np.float32], defective: NDArray[np.bool_], *, name: str = "defective"
) -> Plot:
    """Is a severity of 0.3 wrong three times in ten? Equal-mass bins against the diagonal, with exact 95 % bounds.

    `severity` (n,) 0..1, `defective` (n,) bool. The title holds the expected calibration error over the same bins.
    """
    said, seen, low, high, sizes = calibration(severity, defective)
    error = float(np.average(np.abs(said - seen), weights=sizes))
    with style():
        plot = Plot(4.3, 4.2)
        axes = plot.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (4, 2)), label="perfect")
        bars = np.stack([seen - low, high - seen])
        axes.errorbar(
            said, seen, bars, fmt="o", color=GOOD, markersize=4.5, elinewidth=1, capsize=2, label="val"
        )
        axes.set_title(
            f"ECE {error:.3f} ({counted(len(sizes), 'bin')} of about {whole(round(sizes.mean()))} pictures)"
        )
        axes.set_xlabel("severity, mean of the bin")
        axes.set_ylabel(f"share {name}")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
        axes.legend(loc="upper left", fontsize=8)
    return plot


Bins = tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]
]


def calibration(severity: NDArray[np.float32], defective: NDArray[np.bool_]) -> Bins:
    """Equal-mass bins in order of severity: mean severity, share defective, its exact 95 % bounds, pictures."""
    bins = np.array_split(np.argsort(severity, kind="stable"), max(1, min(10, len(severity) // 15)))
    said = np.array([severity[chosen].mean(dtype=np.float64) for chosen in bins])
    hits = [int(defective[chosen].sum()) for chosen in bins]
    sizes = np.array([len(chosen) for chosen in bins])
    bounds = np.array([binomial.interval(k, len(chosen)) for k, chosen in zip(hits, bins, strict=True)])
    return said, np.array(hits) / sizes, bounds[:, 0], bounds[:, 1], sizes

"""A figure without a window: looks the same whatever the user's matplotlib is set to, and shows itself in a notebook."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MARGIN = 0.06  # inches
WIDTH = 8.6  # inches of a figure as wide as the page
INK, MUTED, RULE = "#1b2430", "#5a6573", "#d9dee5"
GOOD, RISKY = "#1f6aa5", "#c4500c"  # apart for colour-blind eyes too
PASS, REVIEW, REJECT = "#e4f3e8", "#fff1cf", "#fbe0dc"

STYLE: Any = {  # matplotlib 3.11 types its keys, older ones do not
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # class names are foreign text: a dollar sign is a dollar sign
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "svg.fonttype": "none",  # the reader's own font: letters that the plotting font lacks still show
    "svg.hashsalt": "visiontune",  # the same findings give the same bytes
}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))


class Plot(Figure):
    """A matplotlib Figure that needs neither pyplot nor a display."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(self)

    def fit(self, axes: Axes, width: float, height: float, *, room: float = 0.0) -> None:
        """Makes `axes` so many inches wide and high, and the figure as large as that, its labels and `room` need.

        `room`, left and below, is for letters that the reader's font draws wider than ours.
        """
        self.set_layout_engine("none")
        full_width, full_height = self.get_size_inches()
        axes.set_position((0.5, 0.5, width / full_width, height / full_height))
        with style():
            self.draw_without_rendering()
        needs = axes.get_tightbbox().transformed(self.dpi_scale_trans.inverted())  # type: ignore[union-attr]
        left, bottom = MARGIN + room + full_width / 2 - needs.x0, MARGIN + room + full_height / 2 - needs.y0
        whole_width, whole_height = needs.width + 2 * MARGIN + room, needs.height + 2 * MARGIN + room
        self.set_size_inches(whole_width, whole_height)
        axes.set_position(
            (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height)
        )

    def png(self, dpi: int = 160) -> bytes:
        """As PNG bytes."""
        stream = io.BytesIO()
        with style():
            self.savefig(stream, format="png", dpi=dpi)
        return stream.getvalue()

    def svg(self) -> bytes:
        """As SVG bytes: no date, no address, the same for the same figure."""
        stream = io.BytesIO()
        with style():
            self.savefig(stream, format="svg", metadata=NO_METADATA)
        return stream.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png(dpi=110)


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's defaults and ours on top, whatever the user set; his settings come back afterwards."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the reader's font has it
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield

"""The page of a study: one self-contained file with a headline, a figure if there is one, tables and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from visiontune.report.embed import figure
from visiontune.report.plot import Plot
from visiontune.report.template import filled, put
from visiontune.version import __version__


@dataclass(frozen=True)
class Table:
    """A table of text; the first cell of each row is its name."""

    title: str
    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Page:
    """What the page says. Everything is escaped; foreign names in cells and notes must come through `words.printable`."""

    eyebrow: str
    model: str
    basis: str
    headline: str
    kept: bool
    statement: str
    tables: list[Table]
    notes: list[str] = field(default_factory=list)
    plot: Plot | None = None
    plot_says: str = ""
    caption: str = ""


def write(path: str | Path, page: Page) -> Path:
    """Writes the page to `path`, at once or not at all; makes its folder where there is none. Gives the path."""
    picture = None if page.plot is None else figure(page.plot)
    text = filled(
        "study_page.html",
        title=f"{page.model} - {page.eyebrow.lower()}",
        eyebrow=page.eyebrow,
        made_by=f"visiontune {__version__}",
        model=page.model,
        basis=page.basis,
        headline=page.headline,
        kept=page.kept,
        statement=page.statement,
        tables=page.tables,
        notes=page.notes,
        picture=picture,
        picture_says=page.plot_says,
        caption=page.caption,
        least=0 if picture is None else min(560, picture.width),
    )
    return put(path, text)

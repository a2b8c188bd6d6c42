"""A survey of planted defects as lines of text, as rows of a CSV, and as a sheet of pictures to look at."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from visiontune.study.series import Find, Series, Survey

TILE, GAP = 128, 6  # pixels
FOUND, MISSED, PAPER = (31, 106, 165), (196, 80, 12), (255, 255, 255)
COLUMNS = ("kind", "contrast", "size", "decision", "severity", "x0", "y0", "x1", "y1", "group", "picture")


def table(found: Survey) -> str:
    """The survey in lines of text."""
    calls = found.false_calls
    sure = f"{found.series[0].curve.confidence:.0%}" if found.series else ""
    unit = "px" if found.pixel_mm is None else "px (mm)"
    lines = [
        found.statement,
        "",
        f"{found.pictures} good pictures of {found.parts} parts; not passed as they are (false calls): {calls.hits}, "
        f"{100 * (calls.rate or 0):.1f}% [{100 * calls.low:.1f}, {100 * calls.high:.1f}]; nothing was planted on those",
        "",
        f"{'kind':<9}{'contrast':>9}  {'found':>9}  {'a50':<16}{'a90':<16}{'a90/95':<16}planted {unit}",
    ]
    lines += [_row(one, found.pixel_mm) for one in found.series]
    lines += ["", f"a90: found in nine of ten cases; a90/95: its upper bound at {sure}, the size to promise"]
    lines += [f"  {note}" for note in found.notes]
    for one in found.series:
        lines += [f"  {one.kind} {one.contrast:+g}: {note}" for note in notes(one)]
    return "\n".join(line.rstrip() for line in lines)


def notes(one: Series) -> list[str]:
    """What a reader of a series must know."""
    left = [f"{one.unplanted} defects found no place and are left out"] if one.unplanted else []
    return [*left, *one.curve.notes]


def size(value: float | None, pixel_mm: float | None) -> str:
    """A size for people: `4.2` pixels, `4.2 (0.21)` with millimetres, - for None."""
    if value is None:
        return "-"
    return f"{value:.3g}" if pixel_mm is None else f"{value:.3g} ({value * pixel_mm:.3g})"


def _row(one: Series, pixel_mm: float | None) -> str:
    curve = one.curve
    cells = "".join(f"{size(value, pixel_mm):<16}" for value in (curve.a50, curve.a90, curve.a90_95))
    span = f"{size(curve.low, pixel_mm)} to {size(curve.high, pixel_mm)}"
    return f"{one.kind:<9}{one.contrast:>+9g}  {f'{curve.found}/{curve.planted}':>9}  {cells}{span}"


def rows(found: Survey) -> list[list[str]]:
    """Every planting, under COLUMNS."""
    return [
        [one.kind, f"{one.contrast:g}", f"{find.size:.3f}", find.decision, f"{find.severity:.6f}"]
        + [str(edge) for edge in find.box]
        + [find.group, find.picture]
        for one in found.series
        for find in one.finds
    ]


def sheet(found: Survey) -> Image.Image:
    """A row of pictures for each series, the smallest defect first: framed blue where found, orange where missed."""
    shown = [
        sorted((f for f in one.finds if f.crop is not None), key=lambda f: f.size) for one in found.series
    ]
    across = max(map(len, shown), default=1)
    height, width = TILE + 2 * GAP + 14, TILE + 2 * GAP
    paper = Image.new("RGB", (across * width, len(shown) * height), PAPER)
    draw = ImageDraw.Draw(paper)
    for row, (one, finds) in enumerate(zip(found.series, shown, strict=True)):
        for col, find in enumerate(finds):
            left, top = col * width, row * height
            draw.rectangle(
                (left + 1, top + 1, left + width - 2, top + TILE + 2 * GAP - 2),
                FOUND if find.found else MISSED,
            )
            paper.paste(_tile(find), (left + GAP, top + GAP))
            text = f"{one.kind} {one.contrast:+g}  {find.size:.1f} px"
            draw.text((left + GAP, top + TILE + 2 * GAP), text, fill=(0, 0, 0))
    return paper


def _tile(find: Find) -> Image.Image:
    crop = Image.fromarray(np.asarray(find.crop))
    scale = TILE / max(crop.size)
    grown = (max(1, round(crop.width * scale)), max(1, round(crop.height * scale)))
    tile = Image.new("RGB", (TILE, TILE), PAPER)
    tile.paste(crop.resize(grown, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BILINEAR))
    return tile

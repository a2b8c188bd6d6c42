"""Lays a mask over a heatmap: how many pixels of each defect lie in each of the map's cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.connected import connected
from visiontune.runtime.regions import Span

Areas = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Defect:
    """A connected set of marked pixels (8 neighbours), and the part of a heatmap that it lies under.

    rows, columns  the cells of the heatmap that it touches; empty for a defect outside the region of interest
    areas          how many pixels of the frame it covers in each of them, fractions included
    """

    rows: slice
    columns: slice
    areas: Areas

    @property
    def inside(self) -> float:
        """Its pixels in the region of interest."""
        return float(self.areas.sum())


def defects(
    mask: NDArray[np.bool_], *, cells: tuple[int, int], frame: tuple[int, int], span: Span
) -> list[Defect]:
    """The defects of a mask, each with the cells that it covers.

    mask   bool (H', W'): stretched over the frame, whatever its size
    cells  (h, w) of the heatmap
    frame  (H, W) in pixels
    span   the pixels of the frame that the heatmap covers: x0, y0, x1, y1

    Neither is resized: a cell and a pixel of the mask are rectangles on the frame, and what they share is measured. So no
    defect is too small for the map, and mask and map need not fit each other.
    """
    (height, width), (tall, wide) = mask.shape, frame
    x0, y0, x1, y1 = span
    rows = (y0 + (y1 - y0) * np.arange(cells[0] + 1) / cells[0]) * (
        height / tall
    )  # borders, in pixels of the mask
    columns = (x0 + (x1 - x0) * np.arange(cells[1] + 1) / cells[1]) * (width / wide)
    pixel = tall / height * (wide / width)
    return [_laid(own, at, rows, columns, pixel) for own, at in _cut_out(mask)]


def _cut_out(mask: NDArray[np.bool_]) -> Iterator[tuple[NDArray[np.bool_], tuple[int, int]]]:
    """Each connected set in its box, and the box's first row and column."""
    runs = connected(mask)
    numbers = np.full(mask.shape, -1, np.int32)
    numbers[mask] = runs.spread(np.arange(runs.count, dtype=np.int32))
    for number, (left, top, right, bottom) in enumerate(runs.boxes().tolist()):
        yield numbers[top:bottom, left:right] == number, (top, left)


def _laid(own: NDArray[np.bool_], at: tuple[int, int], rows: Areas, columns: Areas, pixel: float) -> Defect:
    (top, left), (tall, wide) = at, own.shape
    down, across = _touched(rows, top, top + tall), _touched(columns, left, left + wide)
    sums = _between(own.astype(np.float64), rows[down.start : down.stop + 1] - top)
    areas = _between(sums.T, columns[across.start : across.stop + 1] - left).T * pixel
    return Defect(down, across, areas)


def _touched(borders: Areas, start: int, end: int) -> slice:
    """The cells between `borders` that share something with start..end."""
    first = max(int(np.searchsorted(borders, start, side="right")) - 1, 0)
    last = min(int(np.searchsorted(borders, end, side="left")), len(borders) - 1)
    return slice(first, max(first, last))


def _between(values: Areas, borders: Areas) -> Areas:
    """The sums of the rows of `values` (n, m) between borders 0..n, which need not be whole: (borders - 1, m)."""
    borders = np.clip(borders, 0, len(values))
    whole = np.minimum(borders.astype(np.int64), len(values) - 1)
    before = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    until = before[whole] + (borders - whole)[:, np.newaxis] * values[whole]
    return np.maximum(np.diff(until, axis=0), 0)

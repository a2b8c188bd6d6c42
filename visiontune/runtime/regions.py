"""Turns a heatmap into regions: connected places that are hot somewhere and warm throughout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.verdict import Region

HIGH = 0.5  # a region must reach this somewhere
LOW = 0.3  # and is as large as the cells around that stay above this


@dataclass(slots=True)
class Blob:
    """A connected set of cells of a heatmap: how many, the hottest value, the box (x1, y1 excluded) in cells."""

    cells: int
    peak: float
    x0: int
    y0: int
    x1: int
    y1: int


def roi_pixels(
    height: int, width: int, roi: tuple[float, float, float, float] | None
) -> tuple[int, int, int, int]:
    """The region of interest in pixels, x0, y0, x1, y1, for a frame of this size; the whole frame for None.

    Float32 products rounded down, as the exported graph computes them.
    """
    if roi is None:
        return 0, 0, width, height
    extent = np.array([width, height, width, height], np.float32)
    x0, y0, x1, y1 = (np.array(roi, np.float32) * extent).astype(np.int64).tolist()
    return x0, y0, x1, y1


def regions(
    heatmap: NDArray[np.float32],
    *,
    kind: str,
    span: tuple[int, int, int, int],
    high: float = HIGH,
    low: float = LOW,
) -> tuple[Region, ...]:
    """Regions of `heatmap` (h, w), strongest first, named `kind`.

    heatmap    float (h, w), 0..1
    span       the pixels of the frame that the heatmap covers: x0, y0, x1, y1
    high, low  hysteresis: cells >= low that touch (by side or corner) form one region, kept if one of them is
               >= high

    NaN cells belong to no region. Raises ValueError unless low <= high.
    """
    x0, y0, x1, y1 = span
    across, down = (x1 - x0) / heatmap.shape[1], (y1 - y0) / heatmap.shape[0]
    found = sorted(blobs(heatmap, high=high, low=low), key=lambda blob: (-blob.peak, blob.y0, blob.x0))
    return tuple(
        Region(
            kind=kind,
            score=blob.peak,
            box=(x0 + blob.x0 * across, y0 + blob.y0 * down, x0 + blob.x1 * across, y0 + blob.y1 * down),
            area=math.floor(blob.cells * across * down + 0.5),
        )
        for blob in found
    )


def blobs(heatmap: NDArray[np.float32], *, high: float, low: float) -> list[Blob]:
    """The connected sets (8 neighbours) of cells >= low that hold a cell >= high, in no particular order.

    Runs of warm cells in a row are the nodes of a union-find; a run joins those of the row above that it
    touches.
    """
    if not low <= high:
        raise ValueError(f"expected low <= high, found low {low}, high {high}")
    rows, starts, ends = _runs(heatmap >= low)
    parent = list(range(len(rows)))
    previous = 0  # first run of the row above that may still touch
    for run, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        while previous < run and (
            rows[previous] < row - 1 or (rows[previous] == row - 1 and ends[previous] < start)
        ):
            previous += 1
        above = previous
        while above < run and rows[above] == row - 1 and starts[above] <= end:
            _join(parent, above, run)
            above += 1
    merged: dict[int, Blob] = {}
    for run, (row, start, end) in enumerate(zip(rows, starts, ends, strict=True)):
        peak = float(heatmap[row, start:end].max())
        blob = merged.setdefault(_root(parent, run), Blob(0, peak, start, row, end, row + 1))
        blob.cells += end - start
        blob.peak = max(blob.peak, peak)
        blob.x0, blob.x1, blob.y1 = min(blob.x0, start), max(blob.x1, end), max(blob.y1, row + 1)
    return [blob for blob in merged.values() if blob.peak >= high]


def _runs(warm: NDArray[np.bool_]) -> tuple[list[int], list[int], list[int]]:
    """Row, first column and end column (excluded) of every run of True, row by row."""
    padded = np.zeros((warm.shape[0], warm.shape[1] + 2), np.int8)
    padded[:, 1:-1] = warm
    edges = np.diff(padded, axis=1)
    rows, starts = np.nonzero(edges == 1)
    _, ends = np.nonzero(edges == -1)
    return rows.tolist(), starts.tolist(), ends.tolist()


def _root(parent: list[int], run: int) -> int:
    while parent[run] != run:
        parent[run] = parent[parent[run]]
        run = parent[run]
    return run


def _join(parent: list[int], first: int, second: int) -> None:
    a, b = _root(parent, first), _root(parent, second)
    parent[max(a, b)] = min(a, b)

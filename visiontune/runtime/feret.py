"""How long a region is: its maximum Feret diameter, the largest distance between two of its points (ISO 9276-6, x_Fmax)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def outline(rows: Ints, starts: Ints, ends: Ints) -> NDArray[np.int64]:
    """The corners of the convex hull of a set of cells given by its runs: int64 (k, 2), columns and rows of cell borders.

    rows, starts, ends  (r,) of runs in the order of their rows: row, first column, end column (excluded). Cell (row, column)
    is the square from (column, row) to (column + 1, row + 1)
    """
    first = np.flatnonzero(np.diff(rows, prepend=rows[0] - 1))
    left, right = np.minimum.reduceat(starts, first), np.maximum.reduceat(ends, first)
    top = rows[first]
    lines = np.concatenate([top, top + 1])  # a row of cells reaches from its upper border to its lower one
    order = np.argsort(lines, kind="stable")
    lines, left, right = lines[order], np.tile(left, 2)[order], np.tile(right, 2)[order]
    border = np.flatnonzero(np.diff(lines, prepend=lines[0] - 1))
    y = lines[border]
    sides = (_bent(y, np.minimum.reduceat(left, border), -1), _bent(y, np.maximum.reduceat(right, border), 1))
    return np.array([*sides[0], *sides[1]], np.int64)


def _bent(y: Ints, x: Ints, out: int) -> list[tuple[int, int]]:
    """The corners of the hull on one side, from top to bottom (Andrew 1979, Information Processing Letters 9)."""
    kept: list[tuple[int, int]] = []
    for here in zip((x * out).tolist(), y.tolist(), strict=True):
        while len(kept) > 1:
            (ax, ay), (bx, by) = kept[-2], kept[-1]
            if (bx - ax) * (here[1] - ay) > (here[0] - ax) * (by - ay):
                break
            kept.pop()
        kept.append(here)
    return [(column * out, row) for column, row in kept]


def longest(corners: NDArray[np.int64], across: float, down: float) -> float:
    """The largest distance between two of the corners (k, 2), where a column is `across` wide and a row `down` high."""
    x, y = corners[:, 0] * across, corners[:, 1] * down
    squared = (x[:, np.newaxis] - x) ** 2 + (y[:, np.newaxis] - y) ** 2
    return float(np.sqrt(squared.max()))

"""Where a defect lies, and what its description needs: spots, edges, windows, irregular outlines."""

from collections.abc import Iterable
from math import atan2, pi

import numpy as np
from numpy.typing import NDArray

from visiontune.data.painter.noise import Array, Rng, slopes
from visiontune.data.painter.strokes import Path
from visiontune.data.painter.surface import Surface

Mask = NDArray[np.bool_]


def spot(rng: Rng, part: Surface, inset: float) -> tuple[int, int]:
    """A random canvas row and column in view and `inset` inside the part, less where the part is too slim."""
    spots = np.flatnonzero(part.in_view(inset))
    if not spots.size:
        view = part.in_view(-np.inf)
        spots = np.flatnonzero(view & (part.depth >= part.depth[view].max() - 1))
    row, col = divmod(int(rng.choice(spots)), part.shape[1])
    return row, col


def rim(rng: Rng, part: Surface) -> tuple[int, int, float] | None:
    """A random place on an edge in view and the direction inwards; None where the camera sees no edge."""
    spots = np.flatnonzero(part.in_view(0.5) & (part.depth < 2.5))
    if not spots.size:
        return None
    row, col = divmod(int(rng.choice(spots)), part.shape[1])
    right, down = slopes(part.depth[row - 2 : row + 3, col - 2 : col + 3])
    return row, col, atan2(float(down.mean()), float(right.mean()))


def longest(part: Surface, paths: Iterable[Path]) -> Path:
    """The path of which most lies on the part and in view: a line drawn off an edge would be no defect."""
    view = part.in_view(0)

    def shown(path: Path) -> int:
        at = np.round(path).astype(np.intp)
        inside = (at >= 0).all(axis=1) & (at[:, 0] < part.shape[1]) & (at[:, 1] < part.shape[0])
        return int(view[at[inside, 1], at[inside, 0]].sum())

    return max(paths, key=shown)


def window(part: Surface, row: float, col: float, reach: float) -> tuple[tuple[slice, slice], Array, Array]:
    """Slices of the canvas within `reach` of a point, and x, y from it in canvas pixels."""
    r = int(np.ceil(reach))
    rows = slice(max(0, int(row) - r), min(part.shape[0], int(row) + r + 1))
    cols = slice(max(0, int(col) - r), min(part.shape[1], int(col) + r + 1))
    y, x = np.ogrid[rows, cols]
    return (rows, cols), (x - np.float32(col)).astype(np.float32), (y - np.float32(row)).astype(np.float32)


def outline(rng: Rng, x: Array, y: Array, radius: float, uneven: float) -> Array:
    """Distance from the centre in units of an irregular radius: 1 on the outline, 0 in the centre."""
    squash, turn = rng.uniform(0.65, 1.0), rng.uniform(0, pi)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = x * c + y * s, (y * c - x * s) / np.float32(squash)
    angle = np.arctan2(v, u)
    wave = np.ones_like(angle)
    for k in (2, 3, 4, 5):
        wave += np.float32(uneven / k * rng.normal()) * np.cos(k * angle + np.float32(rng.uniform(0, 2 * pi)))
    return np.asarray(np.hypot(u, v) / (np.float32(radius) * np.maximum(wave, 0.45)), np.float32)


def mix(severity: float, faint: float, strong: float) -> np.float32:
    """The value at `severity` between `faint` (0) and `strong` (1)."""
    return np.float32(faint + (strong - faint) * severity)

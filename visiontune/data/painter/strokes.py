"""Lines on a surface: a path, and for every canvas pixel near it the distance to it and the place along it."""

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from visiontune.data.painter.noise import Array, Rng, wander

Path = NDArray[np.float64]  # (n, 2): x, y in canvas pixels, about half a pixel apart


@dataclass(frozen=True, slots=True)
class Stroke:
    """Canvas pixels near a path: `rows`, `cols`, signed distance `side` in pixels (positive to the right of
    the path's direction as seen on screen), `place` 0..1 along it, and the unit normal there."""

    rows: NDArray[np.intp]
    cols: NDArray[np.intp]
    side: Array
    place: Array
    normal_x: Array
    normal_y: Array


def trace(path: Path, shape: tuple[int, int], reach: float) -> Stroke:
    """Find the canvas pixels within `reach` of `path`; each takes its nearest point of the path."""
    step = np.gradient(path, axis=0)
    step /= np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-9)[:, None]
    r = int(np.ceil(reach)) + 1
    dy, dx = (g.ravel() for g in np.mgrid[-r : r + 1, -r : r + 1])
    cols = np.round(path[:, 0]).astype(np.intp)[:, None] + dx
    rows = np.round(path[:, 1]).astype(np.intp)[:, None] + dy
    off_x, off_y = cols - path[:, :1], rows - path[:, 1:]
    far = np.hypot(off_x, off_y)
    side = off_y * step[:, :1] - off_x * step[:, 1:]
    point = np.broadcast_to(np.arange(len(path))[:, None], far.shape)
    near = (far <= reach) & (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
    rows, cols, side, far, point = rows[near], cols[near], side[near], far[near], point[near]
    pixel = rows * shape[1] + cols
    order = np.lexsort((far, pixel))
    first = np.ones(len(order), bool)
    first[1:] = pixel[order][1:] != pixel[order][:-1]
    keep = order[first]
    at = point[keep]
    side = np.copysign(far[keep], side[keep]).astype(np.float32)
    place = (at / max(len(path) - 1, 1)).astype(np.float32)
    nx, ny = (-step[at, 1]).astype(np.float32), step[at, 0].astype(np.float32)
    return Stroke(rows[keep], cols[keep], side, place, nx, ny)


def sweep(
    rng: Rng,
    start: tuple[float, float],
    angle: float,
    length: float,
    bend: float,
    shake: float,
) -> Path:
    """A hand's or a chip's movement: an arc that turns by `bend` radians over its `length`, a little shaky."""
    n = max(8, int(2 * length))
    t = np.linspace(0, 1, n)
    heading = angle + bend * t ** rng.uniform(0.7, 1.8) + shake * wander(rng, n, n / 5)
    steps = np.stack([np.cos(heading), np.sin(heading)], axis=1) * (length / n)
    return np.asarray(start) + np.cumsum(steps, axis=0)


def fracture(rng: Rng, start: tuple[float, float], angle: float, length: float, grain: float) -> Path:
    """The course of a crack: straight runs of about `grain` pixels between kinks that pull back to its heading."""
    corners, at, heading = [start], 0.0, angle
    while at < length:
        run = max(1.5, grain * rng.gamma(2.0, 0.5))
        heading = angle + 0.35 * (heading - angle) + rng.normal(0, 0.55)
        x, y = corners[-1]
        corners.append((x + run * cos(heading), y + run * sin(heading)))
        at += run
    knots = np.asarray(corners)
    walked = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))])
    t = np.linspace(0, walked[-1], max(8, int(2 * walked[-1])))
    return np.stack([np.interp(t, walked, knots[:, 0]), np.interp(t, walked, knots[:, 1])], axis=1)

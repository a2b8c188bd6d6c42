"""What a good part may carry: tool marks along the grain, dust, lint, dried drops. Never a reason to reject."""

from math import pi

import numpy as np

from visiontune.data.painter.noise import Rng, wander
from visiontune.data.painter.strokes import sweep, trace
from visiontune.data.painter.surface import Surface


def litter(rng: Rng, part: Surface, difficulty: float) -> None:
    """Strew harmless irregularities over `part` (changed in place); `difficulty` 0..1 sets how many."""
    for _ in range(rng.poisson(0.5 + 3 * difficulty)):
        _tool_mark(rng, part)
    for _ in range(rng.poisson(1 + 8 * difficulty)):
        _dust(rng, part)
    for _ in range(rng.poisson(0.8 * difficulty)):
        _lint(rng, part)
    for _ in range(rng.poisson(1.2 * difficulty)):
        _drop(rng, part)


def _somewhere(rng: Rng, part: Surface) -> tuple[int, int]:
    return int(rng.integers(part.shape[0])), int(rng.integers(part.shape[1]))


def _tool_mark(rng: Rng, part: Surface) -> None:
    """One groove deeper than its neighbours, along the grain: it follows the lathe's circle or the wheel's line."""
    row, col = _somewhere(rng, part)
    steps = max(8, int(part.unit * rng.uniform(20, 120)))
    path = np.empty((steps, 2))
    x, y = float(col), float(row)
    for k in range(steps):
        path[k] = x, y
        r, c = min(max(int(y), 0), part.shape[0] - 1), min(max(int(x), 0), part.shape[1] - 1)
        gx, gy = float(part.grain_x[r, c]), float(part.grain_y[r, c])
        if k and gx * (x - path[k - 1, 0]) + gy * (y - path[k - 1, 1]) < 0:
            gx, gy = -gx, -gy
        x, y = x + gx, y + gy
    stroke = trace(path, part.shape, 2.5)
    fade = np.sin(pi * stroke.place) * np.float32(rng.uniform(0.04, 0.16) * rng.choice([-1, 1]))
    slope = fade * np.exp(-((stroke.side / 0.9) ** 2))
    part.tilt_x[stroke.rows, stroke.cols] += slope * stroke.normal_x
    part.tilt_y[stroke.rows, stroke.cols] += slope * stroke.normal_y


def _dust(rng: Rng, part: Surface) -> None:
    """A grain of dust: dull and pale, dark on a highlight, light elsewhere."""
    row, col = _somewhere(rng, part)
    radius = max(0.8, part.unit * rng.uniform(0.25, 0.9))
    r = int(radius * 2) + 2
    rows, cols = slice(max(0, row - r), row + r + 1), slice(max(0, col - r), col + r + 1)
    y, x = np.ogrid[: part.shape[0], : part.shape[1]]
    far = np.hypot(y[rows] - row, (x[:, cols] - col) * rng.uniform(0.6, 1.4)) / radius
    grain = np.exp(-(far**2)).astype(np.float32)
    part.gloss[rows, cols] *= 1 - np.float32(rng.uniform(0.15, 0.55)) * grain
    part.matte[rows, cols] += np.float32(rng.uniform(0.0, 0.12)) * grain


def _lint(rng: Rng, part: Surface) -> None:
    """A fibre of a cloth: a thin, strongly bent, pale line of even width."""
    row, col = _somewhere(rng, part)
    path = sweep(
        rng, (col, row), rng.uniform(0, 2 * pi), part.unit * rng.uniform(6, 16), rng.normal(0, 2.2), 0.3
    )
    stroke = trace(path, part.shape, 2.0)
    thread = np.exp(-((stroke.side / np.float32(max(0.7, 0.28 * part.unit))) ** 2))
    part.matte[stroke.rows, stroke.cols] += np.float32(rng.uniform(0.05, 0.2)) * thread
    part.gloss[stroke.rows, stroke.cols] *= 1 - 0.25 * thread


def _drop(rng: Rng, part: Surface) -> None:
    """A dried drop of coolant: a faint, nearly round tide line with nothing inside."""
    row, col = _somewhere(rng, part)
    radius = part.unit * rng.uniform(3, 8)
    t = np.linspace(0, 2 * pi, max(16, int(4 * pi * radius)))
    wobble = radius * (
        1 + 0.05 * np.cos(2 * t + rng.uniform(0, 6)) + 0.02 * np.cos(3 * t + rng.uniform(0, 6))
    )
    path = np.stack([col + wobble * np.cos(t), row + wobble * np.sin(t)], axis=1)
    stroke = trace(path, part.shape, 3.0)
    n = len(path)
    strength = np.clip(0.7 + 0.4 * wander(rng, n, n / 5), 0, 1)[(stroke.place * (n - 1)).astype(np.intp)]
    line = np.exp(-((stroke.side / np.float32(0.45 * part.unit + 0.3)) ** 2)) * strength
    part.gloss[stroke.rows, stroke.cols] *= 1 - np.float32(rng.uniform(0.04, 0.14)) * line.astype(np.float32)

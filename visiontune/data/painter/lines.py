"""Defects that are lines: scratch and crack."""

from math import atan2, pi

import numpy as np

from visiontune.data.painter.noise import Array, Rng, wander
from visiontune.data.painter.placing import Mask, longest, mix, rim, spot
from visiontune.data.painter.strokes import Path, Stroke, fracture, sweep, trace
from visiontune.data.painter.surface import FINE, Surface

TRIES = 5  # courses of a line to choose from


def scratch(rng: Rng, part: Surface, severity: float) -> Mask:
    """One groove across the grain, often with a fainter companion drawn by the same chip."""
    row, col = spot(rng, part, 3 * part.unit)
    grain = atan2(float(part.grain_y[row, col]), float(part.grain_x[row, col]))
    length = part.unit * rng.uniform(22, 55 + 75 * severity)
    angles = grain + rng.choice([-1, 1], TRIES) * rng.uniform(0.35, pi - 0.35, TRIES)
    paths = [sweep(rng, (col, row), angle, length, rng.normal(0, 0.35), 0.03) for angle in angles]
    path = longest(part, [path + np.array([col, row]) - path[len(path) // 2] for path in paths])
    width = max(0.75, float(part.unit * mix(severity, 0.3, 1.1) * rng.uniform(0.8, 1.2)))
    mask = _groove(rng, part, path, width, severity)
    if rng.random() < 0.35:
        gap, piece = rng.choice([-1, 1]) * width * rng.uniform(2.5, 5), np.sort(rng.integers(0, len(path), 2))
        way = path[-1] - path[0]
        beside = path[piece[0] : piece[1] + 8] + gap * np.array([-way[1], way[0]]) / max(np.hypot(*way), 1)
        mask |= _groove(rng, part, beside, max(0.7, 0.7 * width), 0.7 * severity)
    return mask


def _groove(rng: Rng, part: Surface, path: Path, width: float, severity: float) -> Mask:
    """A V with raised lips whose burnished flanks mirror the lamp from one side, of uneven depth."""
    stroke = trace(path, part.shape, 3.2 * width)
    n = len(path)
    swell, skip, chatter = (wander(rng, n, cell) for cell in (n / 4, 8 * part.unit, 2 * part.unit))
    press = np.clip(0.75 + 0.3 * swell + 0.2 * skip + 0.15 * chatter, 0, 1.2)
    press *= np.clip(np.linspace(0, 6, n), 0.15, 1) * np.clip(
        np.linspace(9, 0, n), 0, 1
    )  # lands hard, lifts off
    live = press[(stroke.place * (n - 1)).astype(np.intp)].astype(np.float32)
    live = live * (part.depth[stroke.rows, stroke.cols] > 1)
    s = stroke.side / np.float32(width)
    groove, lips = np.exp(-s * s), np.exp(-((np.abs(s) - 1.7) ** 2) * 2)
    rows, cols = stroke.rows, stroke.cols
    bare = np.clip(groove * live * mix(severity, 0.5, 1.1), 0, 0.95)
    part.tilt_x[rows, cols] *= 1 - 0.7 * bare
    part.tilt_y[rows, cols] *= 1 - 0.7 * bare
    slope = -2 * s * groove + 0.8 * (np.abs(s) - 1.7) * np.sign(s) * lips
    _tilt_across(part, stroke, slope * mix(severity, 0.16, 0.85) * live)
    part.grain_x[rows, cols] += bare * (stroke.normal_y - part.grain_x[rows, cols])
    part.grain_y[rows, cols] += bare * (-stroke.normal_x - part.grain_y[rows, cols])
    part.along[rows, cols] += bare * (np.float32(0.10) - part.along[rows, cols])
    part.across[rows, cols] += bare * (np.float32(0.32) - part.across[rows, cols])
    part.matte[rows, cols] += bare * (np.float32(0.08) - part.matte[rows, cols])
    part.gloss[rows, cols] += bare * (np.float32(0.9) - part.gloss[rows, cols])
    part.gloss[rows, cols] *= 1 + live * mix(severity, 0.12, 0.45) * lips
    return _mask_stroke(part, stroke, np.float32(2.0 * width), live)


def crack(rng: Rng, part: Surface, severity: float) -> Mask:
    """A jagged gap that swallows light, with one lip a little raised, often from an edge, often forked."""
    edge = rim(rng, part) if rng.random() < 0.5 else None
    row, col = edge[:2] if edge else spot(rng, part, 3 * part.unit)
    length = part.unit * rng.uniform(20, 45 + 65 * severity)
    width = max(0.55, float(part.unit * mix(severity, 0.3, 1.15) * rng.uniform(0.85, 1.2)))
    angles = edge[2] + rng.normal(0, 0.4, TRIES) if edge else rng.uniform(0, 2 * pi, TRIES)
    trunk = longest(part, [fracture(rng, (col, row), angle, length, 3.5 * part.unit) for angle in angles])
    angle = atan2(trunk[-1, 1] - trunk[0, 1], trunk[-1, 0] - trunk[0, 0])
    limbs = [(trunk, width)]
    for _ in range(int(rng.integers(0, 3 if severity > 0.3 else 2))):
        fork = trunk[int(len(trunk) * rng.uniform(0.25, 0.8))]
        turn = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.0)
        reach = length * rng.uniform(0.15, 0.45)
        limbs.append((fracture(rng, (fork[0], fork[1]), turn, reach, 3 * part.unit), width * 0.75))
    mask = np.zeros(part.shape, bool)
    raised = np.float32(rng.choice([-1, 1]) * mix(severity, 0.03, 0.16))
    dark = mix(severity, 0.3, 0.92)
    for path, wide in limbs:
        stroke = trace(path, part.shape, 3.5 * wide + 1)
        n = len(path)
        ragged = np.clip(0.95 + 0.35 * wander(rng, n, 2.5 * part.unit), 0.4, 1.6) * np.linspace(1, 0.4, n)
        local = (wide * ragged)[(stroke.place * (n - 1)).astype(np.intp)].astype(np.float32)
        live = (part.depth[stroke.rows, stroke.cols] > 0).astype(np.float32)
        open_share = np.clip(local + 0.5 - np.abs(stroke.side), 0, np.minimum(1, 2 * local))
        gap = open_share * dark * live
        part.gloss[stroke.rows, stroke.cols] *= 1 - gap
        part.matte[stroke.rows, stroke.cols] *= 1 - gap
        _tilt_across(part, stroke, raised * live * np.exp(-np.abs(stroke.side / wide)))
        mask |= _mask_stroke(part, stroke, local * 1.5, live)
    return mask


def _tilt_across(part: Surface, stroke: Stroke, slope: Array) -> None:
    """Add a height profile along a stroke: `slope` is minus its derivative by the signed distance."""
    part.tilt_x[stroke.rows, stroke.cols] += slope * stroke.normal_x
    part.tilt_y[stroke.rows, stroke.cols] += slope * stroke.normal_y


def _mask_stroke(part: Surface, stroke: Stroke, width: Array | np.float32, live: Array) -> Mask:
    mask = np.zeros(part.shape, bool)
    mask[stroke.rows, stroke.cols] = (np.abs(stroke.side) <= np.maximum(width, 0.6 * FINE)) & (live > 0.12)
    return mask & (part.depth > 0.5)

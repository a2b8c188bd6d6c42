"""Plates: ground or brushed with straight grooves, or cast with a rough skin; rounded corners, drilled holes."""

from math import cos, pi, sin

import numpy as np

from visiontune.data.painter.noise import Array, Rng, cloud, fractal, slopes, streaks, wander
from visiontune.data.painter.surface import FINE, Surface, canvas, unit_of

# Lengths of grooves in steps of four canvas pixels, and how much each length adds.
GROUND = ((1.0, 0.75), (5.0, 0.6), (26.0, 0.3))
BRUSHED = ((5.0, 0.5), (30.0, 0.6), (100.0, 0.45))


def plate(plan: Rng, rng: Rng, style: str, size: tuple[int, int]) -> Surface:
    """A plate with rounded corners and drilled holes: ground, brushed or cast."""
    depth = _drawing(plan, style, size)
    if style == "cast":
        return _cast(plan, rng, size, depth)
    part = Surface.blank(size, depth, plan.uniform(0.06, 0.10), plan.uniform(0.2, 0.34))
    angle = plan.uniform(0, pi) if plan.random() < 0.25 else plan.choice([0, pi / 2]) + plan.normal(0, 0.02)
    _grind(plan, rng, part, float(angle), long=style == "brushed")
    return part


def _drawing(plan: Rng, style: str, size: tuple[int, int]) -> Array:
    """Distance to the nearest edge of a rounded rectangle with holes, canvas pixels, negative outside."""
    x, y = canvas(size)
    unit = unit_of(size)
    half_h, half_w = (FINE * n / 2 * plan.uniform(0.74, 1.22) for n in size)
    corner = unit * (plan.uniform(8, 22) if style == "cast" else plan.uniform(1.5, 9))
    qx, qy = np.abs(x) - np.float32(half_w - corner), np.abs(y) - np.float32(half_h - corner)
    beyond = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0)
    depth = np.float32(corner) - beyond
    seen_h, seen_w = min(half_h, FINE * size[0] / 2), min(half_w, FINE * size[1] / 2)
    drill = np.float32(unit * plan.uniform(5, 11))
    for hx, hy in _holes(plan):
        far = np.hypot(x - np.float32(hx * seen_w), y - np.float32(hy * seen_h))
        depth = np.minimum(depth, far - drill)
    return np.asarray(depth, np.float32)


def _holes(plan: Rng) -> list[tuple[float, float]]:
    """Places of drilled holes as fractions of the half plate: none, one, a pair or four corners."""
    a, b = plan.uniform(0.45, 0.72), plan.uniform(0.45, 0.72)
    middle = (plan.uniform(-0.4, 0.4), plan.uniform(-0.4, 0.4))
    pair, rest = [(-a, b), (a, -b)], [(-a, -b), (a, b)]
    return [[], [], [middle], pair, pair + rest][int(plan.integers(5))]


def _grind(plan: Rng, rng: Rng, part: Surface, angle: float, *, long: bool) -> None:
    """Lay straight grooves at `angle`: many short ones (ground) or fewer long ones (brushed)."""
    x, y = canvas(part.size)
    c, s = np.float32(cos(angle)), np.float32(sin(angle))
    part.grain_x, part.grain_y = np.full(part.shape, c), np.full(part.shape, s)
    reach = int(np.hypot(*part.shape)) + 4
    along, across = x * c + y * s + np.float32(reach / 2), y * c - x * s + np.float32(reach / 2)
    row, column = across.astype(np.intp), (along * np.float32(0.25)).astype(np.intp)
    grooves = np.zeros((reach, reach // 4 + 1), np.float32)
    for cell, gain in BRUSHED if long else GROUND:
        grooves += streaks(rng, reach, reach // 4 + 1, cell) * np.float32(gain)
    fine = np.take(grooves.ravel(), row * (reach // 4 + 1) + column)
    narrow, wide = wander(rng, reach, 5 * part.unit), wander(rng, reach, 24 * part.unit)
    bands = (np.float32(0.4) * narrow + np.float32(0.6) * wide)[row]
    tilt = np.float32(plan.uniform(0.025, 0.08) * (1.3 if long else 1.0)) * (fine + bands)
    lean: Array = np.zeros_like(tilt)
    if not long and plan.random() < 0.5:  # chatter of the wheel: faint waves across the grain
        wave = np.float32(2 * pi / (part.unit * plan.uniform(6, 14)))
        lean = np.float32(rng.uniform(0.004, 0.014)) * np.sin(along * wave + bands)
    part.tilt_x, part.tilt_y = lean * c - tilt * s, lean * s + tilt * c
    bare = np.exp(np.float32(plan.uniform(0.1, 0.2)) * fine)  # few grooves flash, most are alike
    part.gloss = np.clip(bare + np.float32(0.25) * np.maximum(fine - np.float32(1.7), 0), 0.4, 2.5)
    part.across *= np.clip(1 + np.float32(0.12) * bands, 0.6, 1.5)


def _cast(plan: Rng, rng: Rng, size: tuple[int, int], depth: Array) -> Surface:
    """A blasted casting: isotropic grains in several sizes, no direction."""
    rough = plan.uniform(0.3, 0.42)
    part = Surface.blank(size, depth, rough, rough)
    grain = part.unit * plan.uniform(0.8, 1.7)
    fine, coarse = cloud(rng, part.shape, grain), fractal(rng, part.shape, grain * 7)
    height = (np.float32(0.13) * fine + np.float32(0.15) * coarse) * np.float32(
        grain * plan.uniform(0.3, 0.8)
    )
    height += cloud(rng, part.shape, 60 * part.unit) * np.float32(0.9 * part.unit)  # the skin is never flat
    right, down = slopes(height)
    part.tilt_x, part.tilt_y = -right, -down
    part.gloss = np.clip(np.float32(0.75) + np.float32(0.14) * cloud(rng, part.shape, 1.5), 0.2, 2)
    part.matte += np.float32(0.22)
    return part

"""Parts from the lathe: discs and washers with concentric tool marks, a bore, bolt holes."""

from math import cos, pi, sin

import numpy as np

from visiontune.data.painter.noise import Array, Rng, streaks, wander
from visiontune.data.painter.surface import FINE, Surface, canvas

WEDGES = 256  # angular samples of the tool marks' texture, a power of two


def turned(plan: Rng, rng: Rng, size: tuple[int, int]) -> Surface:
    """A faced disc or washer: concentric grooves, rings of different finish, a bore, bolt holes."""
    x, y = canvas(size)
    half = FINE * min(size) / 2
    near = plan.random() < 0.3  # a large part of which the camera sees a piece
    radius = half * (plan.uniform(1.15, 1.7) if near else plan.uniform(0.72, 0.97))
    away, turn = half * (plan.uniform(0.25, 0.75) if near else 0.02), plan.uniform(0, 2 * pi)
    x, y = x - np.float32(away * cos(turn)), y - np.float32(away * sin(turn))
    r = np.sqrt(x * x + y * y)
    bore = radius * plan.uniform(0.12, 0.34) if plan.random() < 0.85 else 0.0
    depth = np.minimum(np.float32(radius) - r, r - np.float32(bore)) if bore else np.float32(radius) - r
    part = Surface.blank(size, _drill(plan, depth, x, y, radius), plan.uniform(0.05, 0.09), 0.3)
    inverse = np.reciprocal(np.maximum(r, np.float32(1)))
    part.grain_x, part.grain_y = -y * inverse, x * inverse
    _face(plan, rng, part, r, bore, radius)
    return part


def _drill(plan: Rng, depth: Array, x: Array, y: Array, radius: float) -> Array:
    """The depth with bolt holes on a circle: none, three, four or six."""
    count = int(plan.choice([0, 0, 3, 4, 6]))
    hole, ring = radius * plan.uniform(0.045, 0.08), radius * plan.uniform(0.58, 0.74)
    start = plan.uniform(0, 2 * pi)
    for k in range(count):
        angle = start + 2 * pi * k / count
        far = np.hypot(x - np.float32(ring * cos(angle)), y - np.float32(ring * sin(angle)))
        depth = np.minimum(depth, far - np.float32(hole))
    return np.asarray(depth, np.float32)


def _face(plan: Rng, rng: Rng, part: Surface, r: Array, bore: float, radius: float) -> None:
    """Cut the face: tilt of the tool marks across the radius, steps, finish of the passes."""
    out_x, out_y = part.grain_y, -part.grain_x
    length = int(r.max()) + 3
    ring = r.astype(np.intp)
    wedge = (np.arctan2(out_y, out_x) * np.float32(WEDGES / (2 * pi)) + WEDGES).astype(np.intp) & (WEDGES - 1)
    texture = np.take(streaks(rng, length, WEDGES, 18.0).ravel(), ring * WEDGES + wedge)
    profile = _tool_marks(plan, rng, length, part.unit)
    fraction = r - ring.astype(np.float32)
    marks = profile[ring] * (1 - fraction) + profile[ring + 1] * fraction
    tilt = marks * (1 + np.float32(0.3) * texture) + np.float32(0.035) * texture
    tilt += np.float32(rng.normal(0, 0.03) / radius) * r  # faced slightly hollow or domed
    for _ in range(int(plan.integers(0, 3))):  # the shoulder of a recess or of a boss
        at, width = plan.uniform(bore * 1.25 + 4, radius * 0.95), part.unit * plan.uniform(1.0, 1.8)
        steep = plan.choice([-1, 1]) * plan.uniform(0.3, 0.8)
        tilt += np.float32(steep) * np.exp(-(((r - np.float32(at)) / np.float32(width)) ** 2))
    part.tilt_x, part.tilt_y = tilt * out_x, tilt * out_y
    part.across = np.float32(plan.uniform(0.26, 0.4)) * _passes(plan, length)[ring]
    part.gloss = 1 + np.float32(0.10) * texture


def _tool_marks(plan: Rng, rng: Rng, length: int, unit: float) -> Array:
    """Radial slope of the tool marks: feed, tool wear, some deep rings, float32 (length,)."""
    r = np.arange(length, dtype=np.float32)
    feed = max(2.6, unit * plan.uniform(1.2, 3.2))
    phase = 2 * pi * r / feed + 0.8 * wander(rng, length, 40)
    wave = np.sin(phase) * plan.uniform(0.02, 0.12) * np.clip(1 + 0.6 * wander(rng, length, 60), 0.1, 2)
    rough = rng.standard_normal(length, dtype=np.float32) * plan.uniform(0.03, 0.09)
    worn = wander(rng, length, 5 * unit) * 0.035
    deep = np.where(rng.random(length) < 0.025, rng.normal(0, 0.22, length), 0)
    return np.asarray(wave + rough + worn + deep, np.float32)


def _passes(plan: Rng, length: int) -> Array:
    """Roughness factor over the radius: a part is faced in a few passes of different finish."""
    out = np.ones(length, np.float32)
    for _ in range(int(plan.integers(0, 4))):
        start = int(plan.integers(0, length))
        out[start:] = plan.uniform(0.75, 1.3)
    return out

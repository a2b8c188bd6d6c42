"""Light on a part: anisotropic microfacet reflection of a lamp, a fill and a dome that wander between exposures."""

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np

from visiontune.data.painter.noise import Array, Rng
from visiontune.data.painter.surface import Surface

SLAB = 32  # canvas rows shaded at a time


@dataclass(frozen=True, slots=True)
class Light:
    """One lamp: azimuth and elevation in radians, angular `extent` (in units of slope), `strength`, and how
    much its direction (`near`) and its intensity (`fall`) change over half a frame."""

    azimuth: float
    elevation: float
    extent: float
    strength: float
    near: float
    fall: float


def rig(station: Rng, exposure: Rng) -> tuple[Light, ...]:
    """Lamp, fill and dome of one exposure: `station` sets the lamps up, `exposure` lets it wander."""
    azimuth, elevation = station.uniform(0, 360), station.uniform(42, 66)
    extent, turn = station.uniform(0.10, 0.3), station.uniform(80, 280)
    fill, dome, near = station.uniform(0.1, 0.6), station.uniform(0.25, 1.2), station.uniform(0.10, 0.3)
    azimuth += exposure.normal(0, 22)
    lamp = Light(
        radians(azimuth),
        radians(elevation + exposure.normal(0, 5)),
        extent,
        1.0,
        near,
        exposure.uniform(0.05, 0.3),
    )
    second = Light(
        radians(azimuth + turn + exposure.normal(0, 10)), radians(elevation + exposure.normal(4, 6)),
        extent * 1.6, fill * exposure.uniform(0.6, 1.4), near, 0.1,
    )  # fmt: skip
    sky = Light(0.0, radians(90), 0.75, dome * exposure.uniform(0.8, 1.2), 0.08, 0.0)
    return lamp, second, sky


def shade(part: Surface, lights: tuple[Light, ...], turned: float, step: int = 1) -> Array:
    """Luminance of every `step`-th canvas pixel, float32, arbitrary unit, for a part `turned` by radians.

    Reflection is the GGX distribution written in the plane of slopes (Heitz 2014, "Understanding the
    masking-shadowing function", anisotropic form): the facets that mirror the lamp into the camera have
    a slope that is linear in the place, so no vector is normalised per pixel.
    """
    h, w = part.shape
    x, y = (
        ((np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2)) * np.float32(2 / min(h, w)))[::step]
        for n in (w, h)
    )
    out = np.empty((len(y), len(x)), np.float32)
    for top in range(0, len(y), SLAB):  # slabs that fit the processor's cache: twice as fast
        slab = slice(top, top + SLAB)
        rows = slice(top * step, min((top + SLAB) * step, h), step)
        out[slab] = _shade(part, (rows, slice(None, None, step)), lights, turned, x[None, :], y[slab, None])
    return out


def _shade(
    part: Surface, at: tuple[slice, slice], lights: tuple[Light, ...], turned: float, x: Array, y: Array
) -> Array:
    tilt_x, tilt_y, gx, gy = part.tilt_x[at], part.tilt_y[at], part.grain_x[at], part.grain_y[at]
    along, across = part.along[at] ** 2, part.across[at] ** 2
    upright = 1 / np.sqrt(1 + tilt_x * tilt_x + tilt_y * tilt_y)
    gloss, matte = np.zeros_like(tilt_x), np.zeros_like(tilt_x)
    for light in lights:
        flat, up = cos(light.elevation), sin(light.elevation)
        lx, ly = flat * cos(light.azimuth - turned), flat * sin(light.azimuth - turned)
        dx = (np.float32(lx / (1 + up)) - np.float32(light.near) * x) - tilt_x
        dy = (np.float32(ly / (1 + up)) - np.float32(light.near) * y) - tilt_y
        u, v = dx * gx + dy * gy, dy * gx - dx * gy
        a, b = along + np.float32(light.extent**2), across + np.float32(light.extent**2)
        e = 1 + u * u / a + v * v / b
        fall = 1 + np.float32(light.fall) * (np.float32(lx) * x + np.float32(ly) * y)
        strength = np.float32(light.strength) * fall
        gloss += strength / (np.sqrt(a * b) * e * e)
        matte += strength * np.maximum(np.float32(up) + np.float32(lx) * tilt_x + np.float32(ly) * tilt_y, 0)
    gloss *= part.gloss[at]
    matte *= np.float32(8) * part.matte[at]
    return np.asarray((gloss + matte) * upright, np.float32)

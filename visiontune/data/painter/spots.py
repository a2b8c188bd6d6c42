"""Defects that are areas: pit, stain and dent."""

import numpy as np

from visiontune.data.painter.noise import Array, Rng, cloud, fractal, slopes, smooth
from visiontune.data.painter.placing import Mask, mix, outline, spot, window
from visiontune.data.painter.surface import Surface


def pits(rng: Rng, part: Surface, severity: float) -> Mask:
    """One to five small craters: a dark floor, a wall that faces the lamp on its far side, a slight burr."""
    mask = np.zeros(part.shape, bool)
    row, col = spot(rng, part, 5 * part.unit)
    count = 1 + int(rng.random() < 0.45) * int(rng.integers(1, 5))
    free, reach = part.in_view(3 * part.unit), int(14 * part.unit)
    for k in range(count):
        shrink = 1.0 if k == 0 else rng.uniform(0.45, 0.9)
        radius = max(1.3, float(part.unit * mix(severity, 1.1, 5.0) * rng.uniform(0.8, 1.25) * shrink))
        if k:
            near = free[max(0, row - reach) : row + reach + 1, max(0, col - reach) : col + reach + 1]
            spots = np.flatnonzero(near)
            if not spots.size:
                break
            down, right = divmod(int(rng.choice(spots)), near.shape[1])
            row, col = max(0, row - reach) + down, max(0, col - reach) + right
        area, x, y = window(part, row, col, 2.4 * radius + 2)
        rho = outline(rng, x, y, radius, 0.28)
        inside = smooth(rho, 1.12, 0.75)
        steep = mix(severity, 0.35, 1.1)
        bowl = np.where(rho < 1, (rho * rho - 1) * np.float32(0.5), 0)
        burr = np.exp(-(((rho - 1.15) / 0.2) ** 2)) * np.float32(0.05 + 0.08 * rng.random())
        _relief(part, area, (bowl + burr) * steep * np.float32(radius))
        part.tilt_x[area] *= 1 - 0.3 * inside
        rough = mix(severity, 0.3, 0.45)
        part.along[area] += inside * (rough - part.along[area])
        part.across[area] += inside * (rough - part.across[area])
        shut = inside * (1 - 0.6 * np.clip(rho, 0, 1) ** 2) * mix(severity, 0.3, 0.85)
        part.gloss[area] *= 1 - shut
        part.matte[area] *= 1 - shut
        mask[area] |= (rho < 1.2) & (part.depth[area] > 0.5)
    return mask


def stain(rng: Rng, part: Surface, severity: float) -> Mask:
    """A dried film: duller, rougher, a little coloured, with a ragged soft boundary and sometimes a tide line."""
    row, col = spot(rng, part, 7 * part.unit)
    radius = float(part.unit * rng.uniform(7, 13 + 16 * severity))
    area, x, y = window(part, row, col, 2.1 * radius)
    rho = outline(rng, x, y, radius, 0.35)
    shape = rho.shape
    rho = rho + np.float32(0.16) * fractal(rng, (shape[0], shape[1]), 0.7 * radius)
    edge = rng.uniform(0.06, 0.3)
    film = smooth(rho, 1 + edge, 1 - edge)
    body = film * np.clip(0.8 + 0.22 * fractal(rng, (shape[0], shape[1]), 0.5 * radius), 0.3, 1.3)
    tide = np.exp(-(((rho - 0.95) / 0.09) ** 2)) * np.float32(rng.choice([0.0, 0.6]))
    dull = mix(severity, 0.12, 0.6) * (body + tide)
    part.gloss[area] *= np.clip(1 - dull, 0.15, 1)
    part.matte[area] *= 1 - 0.25 * dull
    part.along[area] *= 1 + np.float32(rng.uniform(0.2, 1.0)) * dull
    part.across[area] *= 1 + np.float32(rng.uniform(0.0, 0.5)) * dull
    part.warmth[area] += film * np.float32(rng.normal(0.3, 0.6)) * mix(severity, 0.4, 1.0)
    mask = np.zeros(part.shape, bool)
    mask[area] = (film > 0.3) & (part.depth[area] > 0.5)
    return mask


def dent(rng: Rng, part: Surface, severity: float) -> Mask:
    """A blow: a smooth hollow with a slightly raised rim; nothing changes but the surface's direction."""
    row, col = spot(rng, part, 6 * part.unit)
    radius = float(part.unit * rng.uniform(5, 9 + 13 * severity))
    area, x, y = window(part, row, col, 3 * radius)
    rho = outline(rng, x, y, radius, 0.1)
    deep = mix(severity, 0.07, 0.42) * np.float32(rng.uniform(0.85, 1.15))
    bowl = -np.exp(-rho * rho) + np.float32(rng.uniform(0.0, 0.18)) * np.exp(-(((rho - 1.6) / 0.45) ** 2))
    shape = rho.shape
    bowl = bowl * (1 + np.float32(0.06) * cloud(rng, (shape[0], shape[1]), radius))
    _relief(part, area, bowl * deep * np.float32(radius))
    mask = np.zeros(part.shape, bool)
    mask[area] = (rho < 1.75) & (part.depth[area] > 0.5)
    return mask


def _relief(part: Surface, area: tuple[slice, slice], height: Array) -> None:
    """Add a height field (canvas pixels) to the part: the light sees only its gradient."""
    right, down = slopes(height)
    part.tilt_x[area] -= right
    part.tilt_y[area] -= down

"""The kinds of defects that can be planted: how each covers the pixels, and what it makes of the picture beneath.

A kind gets a window of the picture with room for the defect in its middle, float32 (h, w, 3), and gives the window as it is
then and the share 0..1 of each pixel that is defect, float32 (h, w). Its own random stream is all it draws from.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import numpy as np
from scipy import ndimage

from visiontune.data.painter.noise import Array, Rng, cloud, fractal, smooth, wander
from visiontune.data.painter.placing import outline
from visiontune.data.painter.strokes import Path, fracture, sweep, trace

Kind = Callable[[Rng, Array, Array, float, float], tuple[Array, Array]]


def scratch(rng: Rng, under: Array, picture: Array, extent: float, levels: float) -> tuple[Array, Array]:
    """A slightly bent line of uneven depth, bright or dark, often with a flank of the other sign."""
    length = max(8.0, 1.4 * extent)
    path = centred(sweep(rng, (0.0, 0.0), rng.uniform(0, 2 * pi), length, rng.normal(0, 0.35), 0.04), under)
    width = rng.uniform(0.45, 1.0) + length / 120 * rng.uniform(0.3, 1.0)
    press = np.clip(0.8 + 0.35 * wander(rng, len(path), len(path) / 5), 0.25, 1.2)
    press *= np.clip(np.linspace(0, 5, len(path)), 0.3, 1) * np.clip(np.linspace(5, 0, len(path)), 0.3, 1)
    cover, side = line(path, np.full(len(path), width), under)
    depth = cover * press_of(path, press, under, width)
    flank = np.float32(rng.choice([0.0, 0.5])) * np.sign(side) * cover
    return shifted(under, (depth + flank * depth) * signed(rng, levels, 0.5)), cover


def crack(rng: Rng, under: Array, picture: Array, extent: float, levels: float) -> tuple[Array, Array]:
    """A jagged line that gets thinner towards its end, mostly dark, sometimes forked."""
    length = max(8.0, 1.4 * extent)
    angle = rng.uniform(0, 2 * pi)
    trunk = centred(fracture(rng, (0.0, 0.0), angle, length, max(3.0, length / 14)), under)
    width = rng.uniform(0.5, 1.1) + length / 140 * rng.uniform(0.3, 1.2)
    limbs = [(trunk, width)]
    for _ in range(int(rng.integers(0, 3))):
        fork = trunk[int(len(trunk) * rng.uniform(0.2, 0.8))]
        turn = angle + rng.choice([-1, 1]) * rng.uniform(0.4, 1.1)
        reach = length * rng.uniform(0.15, 0.4)
        limbs.append((fracture(rng, (fork[0], fork[1]), turn, reach, max(3.0, length / 16)), 0.75 * width))
    cover = np.zeros(under.shape[:2], np.float32)
    for path, wide in limbs:
        ragged = np.clip(1 + 0.3 * wander(rng, len(path), 4.0), 0.5, 1.6) * np.linspace(1, 0.4, len(path))
        cover = np.maximum(cover, line(path, wide * ragged, under)[0])
    return shifted(under, cover * signed(rng, levels, 0.85)), cover


def pit(rng: Rng, under: Array, picture: Array, extent: float, levels: float) -> tuple[Array, Array]:
    """One to four small craters: a dark floor, one wall lit and the other in shadow."""
    x, y = middle(under)
    cover = np.zeros(under.shape[:2], np.float32)
    change = np.zeros_like(cover)
    lamp = rng.uniform(0, 2 * pi)
    sign = -1.0 if rng.random() < 0.8 else 1.0
    walls = rng.uniform(0.2, 1.0)
    for at in range(1 + int(rng.random() < 0.4) * int(rng.integers(1, 4))):
        radius = max(1.4, float(extent * rng.uniform(0.1, 0.22)))
        away = rng.uniform(-0.4, 0.4, 2) * extent * (at > 0)
        u, v = x - np.float32(away[0]), y - np.float32(away[1])
        rho = outline(rng, u, v, radius, 0.25)
        inside = np.clip((1 - rho) * np.float32(radius) + np.float32(0.5), 0, 1)
        slope = (u * np.cos(lamp) + v * np.sin(lamp)) / np.float32(radius) * np.minimum(rho, 1)
        change += inside * (np.float32(sign) + np.float32(walls) * slope.astype(np.float32))
        cover = np.maximum(cover, inside)
    return shifted(under, change * np.float32(levels)), cover


def stain(rng: Rng, under: Array, picture: Array, extent: float, levels: float) -> tuple[Array, Array]:
    """A ragged area with a soft edge, uneven, brighter or darker; coloured where the picture has colours."""
    shape = (under.shape[0], under.shape[1])
    x, y = middle(under)
    radius = max(3.0, extent / 2)
    rho = outline(rng, x, y, radius, 0.3) + np.float32(0.16) * fractal(rng, shape, 0.7 * radius)
    edge = rng.uniform(0.06, 0.35)
    film = smooth(rho, 1 + edge, 1 - edge)
    body = film * np.clip(0.85 + 0.25 * fractal(rng, shape, 0.5 * radius), 0.3, 1.3)
    tide = np.exp(-(((rho - 0.95) / 0.1) ** 2)) * np.float32(rng.choice([0.0, 0.6]))
    return shifted(under, (body + tide) * signed(rng, 0.6 * levels, 0.7), tint(rng, under)), film


def paste(rng: Rng, under: Array, picture: Array, extent: float, levels: float) -> tuple[Array, Array]:
    """A piece from elsewhere in the picture, turned, its level a little off: a rectangle, a splinter or a blob.

    After CutPaste (Li et al. 2021, arXiv 2104.04015).
    """
    shape = (under.shape[0], under.shape[1])
    x, y = middle(under)
    if rng.random() < 0.4:
        rho = outline(rng, x, y, max(3.0, extent / 2), 0.3)
        cover = np.clip((1 - rho) * np.float32(extent / 2) + np.float32(0.5), 0, 1)
    else:
        long, short = (
            extent / 2,
            max(1.2, extent / 2 * rng.choice([rng.uniform(0.08, 0.25), rng.uniform(0.3, 1)])),
        )
        angle = rng.uniform(0, pi) if rng.random() < 0.6 else rng.choice([0, pi / 2])
        c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        inside = np.minimum(long - np.abs(x * c + y * s), short - np.abs(y * c - x * s))
        cover = np.clip(inside + np.float32(0.5), 0, 1)
    other = elsewhere(rng, picture, shape)
    gap = np.float32(rng.choice([-1, 1]) * levels * rng.uniform(0.3, 1.0))
    change = (other + gap - under) * cover[..., None]
    return under + change, np.asarray(cover, np.float32)


def texture(rng: Rng, under: Array, picture: Array, extent: float, levels: float) -> tuple[Array, Array]:
    """Islands shaped by noise in which the surface is another: grain of another size, a level off, or contrast turned round.

    The islands are those of DRAEM (Zavrtanik et al. 2021, arXiv 2108.07610); the filling is the picture's own.
    """
    shape = (under.shape[0], under.shape[1])
    x, y = middle(under)
    near = np.hypot(x, y) / np.float32(max(3.0, extent / 2))
    field = fractal(rng, shape, max(3.0, extent * rng.uniform(0.2, 0.5))) - np.float32(2.0) * (
        near - np.float32(0.75)
    )
    cover = smooth(np.asarray(field, np.float32), 0.1, 0.6) * (near < 1.3)
    grain = cloud(rng, shape, rng.choice([1.0, 2.0, 4.0])) * np.float32(levels * rng.uniform(0.05, 0.3))
    filling = under
    way = int(rng.integers(3))
    if way == 0:
        filling = 2 * under.mean(axis=(0, 1)) - under  # light for dark
    elif way == 1:
        filling = elsewhere(rng, picture, shape)
    filling = filling + grain[..., None] + np.float32(rng.normal(0, 0.35) * levels)
    return under + (filling - under) * cover[..., None], np.asarray(cover, np.float32)


DRAWN: dict[str, Kind] = {
    "scratch": scratch,
    "pit": pit,
    "stain": stain,
    "crack": crack,
    "paste": paste,
    "texture": texture,
}


def middle(under: Array) -> tuple[Array, Array]:
    """x, y of each pixel from the window's middle."""
    h, w = under.shape[:2]
    y, x = np.mgrid[:h, :w].astype(np.float32)
    return x - np.float32((w - 1) / 2), y - np.float32((h - 1) / 2)


def centred(path: Path, under: Array) -> Path:
    """The path moved so that its bounds lie in the window's middle."""
    bounds = (path.min(axis=0) + path.max(axis=0)) / 2
    moved: Path = path - bounds + (np.array([under.shape[1], under.shape[0]]) - 1) / 2
    return moved


def line(path: Path, widths: np.ndarray, under: Array) -> tuple[Array, Array]:
    """Cover of a line of these widths (n,) along its path, and the signed distance to it, both float32 (h, w)."""
    cover, side = np.zeros((2, *under.shape[:2]), np.float32)
    stroke = trace(path, (under.shape[0], under.shape[1]), float(widths.max()) / 2 + 1)
    wide = widths[(stroke.place * (len(path) - 1)).astype(np.intp)].astype(np.float32)
    # thinner than a pixel it covers less of it
    cover[stroke.rows, stroke.cols] = np.clip(wide / 2 + 0.5 - np.abs(stroke.side), 0, np.minimum(1, wide))
    side[stroke.rows, stroke.cols] = stroke.side
    return cover, side


def press_of(path: Path, press: np.ndarray, under: Array, width: float) -> Array:
    """How deep a line is at each pixel near it, float32 (h, w), by its depth (n,) along the path."""
    found = np.zeros(under.shape[:2], np.float32)
    stroke = trace(path, (under.shape[0], under.shape[1]), width / 2 + 1)
    found[stroke.rows, stroke.cols] = press[(stroke.place * (len(path) - 1)).astype(np.intp)]
    return found


def signed(rng: Rng, levels: float, dark: float) -> np.float32:
    """The levels, below 0 with the chance `dark`."""
    return np.float32(-levels if rng.random() < dark else levels)


def shifted(under: Array, change: Array, colour: Array | None = None) -> Array:
    """The window with its levels changed (h, w), in all channels alike or as `colour` (3,) says."""
    change = np.asarray(change, np.float32)[..., None]
    return under + (change if colour is None else change * colour)


def tint(rng: Rng, under: Array) -> Array:
    """A weight for each channel about 1: all 1 where the picture is grey, for a grey camera's picture stays grey."""
    if float(np.ptp(under, axis=2).max()) < 1:
        return np.ones(3, np.float32)
    return rng.uniform(0.6, 1.4, 3).astype(np.float32)


def elsewhere(rng: Rng, picture: Array, shape: tuple[int, int]) -> Array:
    """A window of this shape (h, w) from a random place of the picture, turned or mirrored, (h, w, 3)."""
    h, w = shape
    side = min(max(h, w), picture.shape[0], picture.shape[1])
    top, left = (int(rng.integers(0, room - side + 1)) for room in picture.shape[:2])
    piece = np.rot90(picture[top : top + side, left : left + side], int(rng.integers(4)))
    piece = piece[:, ::-1] if rng.random() < 0.5 else piece
    if side < h or side < w:
        piece = ndimage.zoom(piece, (max(1, h / side), max(1, w / side), 1), order=1)
    return np.asarray(piece[:h, :w], np.float32)

"""Textures that a formula paints, for pretraining: each class is a family with its own settings, each map another draw of it.

A texture is uint8 (SIDE, SIDE), spread over all grey levels, the same whatever light and colour it will be seen in.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Rng = np.random.Generator
Field = NDArray[np.float32]
Paint = Callable[[Rng], Field]  # a map of a class: another draw each time

SIDE = 224  # pixels; a picture shows a part of it


def spectral(settings: Rng) -> Paint:
    """Noise with a power law: clouds, brushed metal where it is drawn out, ridges and cells where it is folded."""
    slope, stretch = settings.uniform(0.6, 2.2), 2 ** settings.uniform(0, 4)
    turned = settings.uniform(0, np.pi)
    band = settings.uniform(4, 40) if settings.random() < 0.4 else None
    fold = settings.choice(["none", "ridge", "valley", "steps", "threshold"])
    level, steps = settings.uniform(-1, 1), int(settings.integers(2, 6))

    def paint(rng: Rng) -> Field:
        down, right = np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None]
        along = (right * np.cos(turned) + down * np.sin(turned)) * stretch
        across = (-right * np.sin(turned) + down * np.cos(turned)) / stretch**0.25
        radius = np.hypot(along, across) * SIDE + 1e-3
        power = radius**-slope if band is None else np.exp(-((np.log(radius / band)) ** 2) * 4)
        white = np.fft.rfft2(rng.standard_normal((SIDE, SIDE)))
        field = np.fft.irfft2(white * power, (SIDE, SIDE))
        field = (field - field.mean()) / (field.std() + 1e-9)
        if fold == "ridge":
            field = -np.abs(field)
        elif fold == "valley":
            field = np.sqrt(np.abs(field))
        elif fold == "steps":
            field = np.floor(field * steps / 2)
        elif fold == "threshold":
            field = np.tanh(6 * (field - level))
        return field.astype(np.float32)

    return paint


def cells(settings: Rng) -> Paint:
    """Distances to scattered points: grains, pebbles, cracked mud, scales."""
    count = int(2 ** settings.uniform(4.5, 9))
    form = settings.choice(["first", "second", "edge", "flat"])
    stretch, jitter = 2 ** settings.uniform(0, 2), settings.uniform(0.15, 1)

    def paint(rng: Rng) -> Field:
        from scipy.spatial import cKDTree

        side = int(np.ceil(np.sqrt(count)))
        grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), -1).reshape(-1, 2) + 0.5
        points = (grid + rng.uniform(-jitter, jitter, grid.shape)) / side * SIDE
        points[:, 0] *= stretch
        y, x = np.mgrid[:SIDE, :SIDE]
        pixels = np.stack([x.ravel() * stretch, y.ravel()], 1)
        away, whose = cKDTree(points).query(pixels, k=2)
        if form == "first":
            found = away[:, 0]
        elif form == "second":
            found = away[:, 1]
        elif form == "edge":
            found = np.minimum(away[:, 1] - away[:, 0], 6)
        else:
            found = rng.random(len(points))[whose[:, 0]]
        return found.reshape(SIDE, SIDE).astype(np.float32)

    return paint


def woven(settings: Rng) -> Paint:
    """Threads over and under: plain, twill, satin, knit; with the irregularity of yarn."""
    over, under, step = (int(settings.integers(1, n)) for n in (4, 4, 4))
    pitch, ratio = settings.uniform(5, 18), settings.uniform(0.6, 1.6)
    round_, turned, uneven = (
        settings.uniform(0.5, 3),
        settings.uniform(0, np.pi / 2),
        settings.uniform(0, 0.35),
    )

    def paint(rng: Rng) -> Field:
        y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
        u = (x * np.cos(turned) + y * np.sin(turned)) / pitch + uneven * cloud(rng, 30)
        v = (-x * np.sin(turned) + y * np.cos(turned)) / pitch / ratio + uneven * cloud(rng, 30)
        column, row = np.floor(u).astype(int), np.floor(v).astype(int)
        above = (column + step * row) % (over + under) < over
        bump = np.where(above, np.abs(np.sin(np.pi * u)), np.abs(np.sin(np.pi * v))) ** round_
        return (bump + 0.25 * above + 0.1 * cloud(rng, 4)).astype(np.float32)

    return paint


def machined(settings: Rng) -> Paint:
    """Marks of a tool: turned, milled, knurled, ground, with feed and chatter."""
    form = settings.choice(["turned", "milled", "knurled", "ground", "drilled"])
    feed, chatter = settings.uniform(3, 14), settings.uniform(0, 0.5)
    bend, turned = settings.uniform(0.5, 4), settings.uniform(0, np.pi)

    def paint(rng: Rng) -> Field:
        y, x = np.mgrid[:SIDE, :SIDE] - SIDE / 2
        a = x * np.cos(turned) + y * np.sin(turned)
        b = -x * np.sin(turned) + y * np.cos(turned)
        rough = cloud(rng, 3)
        if form == "turned":
            radius = np.hypot(a - bend * SIDE * 0.3, b) / feed
            field = np.sin(2 * np.pi * radius + chatter * 4 * cloud(rng, 40))
        elif form == "milled":
            arc = np.hypot((a % (feed * 6)) - feed * 3, b - bend * SIDE)
            field = np.sin(2 * np.pi * arc / feed) + 0.5 * np.sign((a % (feed * 6)) - feed * 3)
        elif form == "knurled":
            field = np.sin(2 * np.pi * a / feed) * np.sin(2 * np.pi * (a * 0.3 + b) / feed / bend)
        elif form == "ground":
            lines = ndimage.gaussian_filter1d(rng.standard_normal(4 * SIDE), feed / 8)
            field = lines[np.clip((a + 2 * SIDE).astype(int), 0, 4 * SIDE - 1)] * 3
        else:
            across, down = a % (feed * 3) - feed * 1.5, b % (feed * 3) - feed * 1.5
            field = np.tanh(np.hypot(across, down) - feed * min(bend, 1.4) * 0.8)
        return (field + (0.1 + chatter * 0.5) * rough).astype(np.float32)

    return paint


def flawed(settings: Rng) -> Paint:
    """A fine ground with many marks of one sort: scratches, cracks, pits, stains, scale, inclusions."""
    form = settings.choice(["scratch", "crack", "pit", "stain", "crater", "dash"])
    count = int(2 ** settings.uniform(2, 7))
    size, sign = 2 ** settings.uniform(1, 4), settings.choice([-1.0, 1.0])
    bend, turned, spread = settings.uniform(0, 0.25), settings.uniform(0, np.pi), settings.choice([0.1, 3.0])
    ground = settings.uniform(0.05, 0.4)

    def paint(rng: Rng) -> Field:
        field = np.zeros((SIDE, SIDE), np.float32)
        for _ in range(count):
            at, angle = rng.uniform(0, SIDE, 2), turned + spread * rng.normal()
            if form in ("scratch", "crack", "dash"):
                steps = int(size * (2 if form == "dash" else 12))
                kink = bend * (4 if form == "crack" else 0.3)
                heading = angle + np.cumsum(rng.normal(0, kink, steps))
                path = at[:, None] + np.cumsum([np.sin(heading), np.cos(heading)], axis=1)
                rows, columns = path.astype(int) % SIDE
                field[rows, columns] += rng.uniform(0.4, 1)
            else:
                y, x = np.ogrid[:SIDE, :SIDE]
                wide = size * rng.uniform(0.5, 1.5)
                away = np.hypot((y - at[0]) / wide, (x - at[1]) / wide / (1 + 3 * bend * rng.random()))
                if form == "pit":
                    field += np.exp(-(away**2) * 2)
                elif form == "crater":
                    field += np.exp(-((away - 1) ** 2) * 8)
                else:
                    field += (away + 0.25 * cloud(rng, 12) < 1) * rng.uniform(0.3, 1)
        if form in ("scratch", "crack", "dash"):
            field = ndimage.gaussian_filter(field, 0.7)
        field = np.minimum(field / (np.quantile(field, 0.995) + 1e-6), 1.5)
        return (sign * field + ground * cloud(rng, 2)).astype(np.float32)

    return paint


def reacted(settings: Rng) -> Paint:
    """Reaction and diffusion (Gray and Scott 1984): spots, mazes, waves. Steps are few, for they are many textures."""
    feed, kill = [(0.037, 0.06), (0.03, 0.062), (0.025, 0.06), (0.04, 0.06), (0.055, 0.062), (0.022, 0.051)][
        int(settings.integers(6))
    ]
    feed, kill = feed + settings.uniform(-0.002, 0.002), kill + settings.uniform(-0.0008, 0.0008)
    small, stretch = SIDE // 2, settings.uniform(0.6, 1)

    def paint(rng: Rng) -> Field:
        u, v = np.ones((2, small, small), np.float32)
        seeds = ndimage.gaussian_filter(rng.standard_normal((small, small)), 3) > 0.08
        v[:] = np.where(seeds, 0.5, 0).astype(np.float32)
        u -= v
        for _ in range(1500):
            both = np.stack([u, v])
            around = sum(np.roll(both, s, 1) for s in (-1, 1)) * stretch
            around += sum(np.roll(both, s, 2) for s in (-1, 1)) * (2 - stretch)
            flow = (around - 4 * both) * np.float32(0.25)
            reaction = u * v * v
            u = u + flow[0] * np.float32(0.8) - reaction + np.float32(feed) * (1 - u)
            v = v + flow[1] * np.float32(0.4) + reaction - np.float32(feed + kill) * v
        return ndimage.zoom(v, 2, order=1)

    return paint


def cloud(rng: Rng, cell: float) -> Field:
    """Smooth noise of unit deviation whose blobs are some `cell` pixels wide."""
    few = max(4, int(SIDE / cell) + 3)
    coarse = rng.standard_normal((few, few)).astype(np.float32)
    field = ndimage.zoom(coarse, (SIDE + 1) / few, order=1)[:SIDE, :SIDE]
    return np.asarray(field / (field.std() + 1e-6), np.float32)


FAMILIES: tuple[Callable[[Rng], Paint], ...] = (spectral, cells, woven, machined, flawed, reacted)


def levels(field: Field) -> NDArray[np.uint8]:
    """A field as grey levels 0..255 between its 0.5 % and 99.5 % quantiles."""
    low, high = np.quantile(field, [0.005, 0.995])
    return np.asarray(np.clip((field - low) / (high - low + 1e-6), 0, 1) * 255, np.uint8)


def family(number: int) -> int:
    """The family of texture class `number`, an index of FAMILIES: they take turns."""
    return number % len(FAMILIES)


def texture(seed: int, number: int, draw: int) -> NDArray[np.uint8]:
    """Draw `draw` of texture class `number`: uint8 (SIDE, SIDE)."""
    paint = FAMILIES[family(number)](np.random.default_rng([seed, 1, number]))
    return levels(paint(np.random.default_rng([seed, 2, number, draw])))

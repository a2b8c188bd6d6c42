"""Figures that a formula draws, for pretraining: fractals of iterated functions, outlines of waves, polygons, signs of strokes.

A figure is a mask, uint8 (SIDE, SIDE), 0 outside, its grey inside; each class is one formula, each draw another bend of it.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Mask = NDArray[np.uint8]
Draw = Callable[[Rng], Mask]

SIDE = 128  # pixels


def fractal(settings: Rng) -> Draw:
    """An iterated function system of two to five affine maps (FractalDB, Kataoka et al. 2020), bent by a tenth at each draw."""
    while True:
        count = int(settings.integers(2, 6))
        maps = settings.uniform(-1, 1, (count, 2, 3))
        strength = np.linalg.norm(maps[:, :, :2], 2, axis=(1, 2))
        maps[:, :, :2] *= (settings.uniform(0.5, 0.9, count) / strength)[:, None, None]
        if (drawn(maps, np.random.default_rng(0)) > 0).mean() > 0.1:  # no dust
            break

    def draw(rng: Rng) -> Mask:
        return drawn(maps * rng.uniform(0.9, 1.1, maps.shape), rng)

    return draw


def drawn(maps: NDArray[np.float64], rng: Rng) -> Mask:
    """The attractor of affine maps (n, 2, 3) by the chaos game, brighter where it is visited more often."""
    walkers, steps = 400, 60
    chance = np.abs(np.linalg.det(maps[:, :, :2])) + 0.05
    points, visited = np.zeros((walkers, 2)), []
    for step in range(steps):
        chosen = maps[rng.choice(len(maps), walkers, p=chance / chance.sum())]
        points = np.einsum("nij,nj->ni", chosen[:, :, :2], points) + chosen[:, :, 2]
        if step > 10:
            visited.append(points)
    spots = np.concatenate(visited)
    low, high = np.quantile(spots, [0.005, 0.995], axis=0)
    at = ((spots - low) / np.maximum(high - low, 1e-6) * (SIDE - 9) + 4).astype(int)
    at = at[((at >= 0) & (at < SIDE)).all(1)]
    count = np.bincount(at[:, 1] * SIDE + at[:, 0], minlength=SIDE * SIDE).reshape(SIDE, SIDE)
    soft = cv2.GaussianBlur(np.log1p(count).astype(np.float32), (0, 0), 0.8)
    return np.clip(soft / (np.quantile(soft, 0.99) + 1e-6) * 255, 0, 255).astype(np.uint8)


def outline(settings: Rng) -> Draw:
    """A closed line whose radius is a sum of waves, filled, hollow or nested (radial contours)."""
    orders = np.sort(settings.choice(np.arange(2, 12), 3, replace=False))
    sizes = settings.uniform(0.05, 0.4, 3) / np.sqrt(orders)
    phases, nested = settings.uniform(0, 2 * np.pi, 3), int(settings.integers(1, 4))
    thick, squeezed = int(settings.integers(2, 9)), settings.uniform(0.5, 1)

    def draw(rng: Rng) -> Mask:
        around = np.linspace(0, 2 * np.pi, 200, endpoint=False)
        bent = sizes * rng.uniform(0.7, 1.3, 3)
        radius = 1 + (bent[:, None] * np.sin(orders[:, None] * around + phases[:, None])).sum(0)
        image = np.zeros((SIDE, SIDE), np.uint8)
        for ring in range(nested):
            r = radius * (1 - ring / nested) * SIDE * 0.44 / radius.max()
            line = np.stack([r * np.cos(around), r * np.sin(around) * squeezed], 1) + SIDE / 2
            shape = [(line * 16).astype(np.int32)]
            if thick > 6 and ring % 2 == 0:
                cv2.fillPoly(image, shape, 255, cv2.LINE_AA, 4)
            elif thick > 6:
                cv2.fillPoly(image, shape, 90, cv2.LINE_AA, 4)
            else:
                cv2.polylines(image, shape, True, 255, thick, cv2.LINE_AA, 4)
        return image

    return draw


def plate(settings: Rng) -> Draw:
    """A polygon, star, disc or ring with a border and a sign of strokes on it, as plates, labels and road signs have."""
    corners = int(settings.choice([3, 4, 4, 5, 6, 8, 40, 40]))
    turned, star = settings.uniform(0, np.pi), settings.choice([1.0, 1.0, 0.5])
    border, inside = settings.uniform(0, 0.25), int(settings.choice([70, 130, 190]))
    strokes = [
        settings.uniform(-0.45, 0.45, (int(settings.integers(2, 5)), 2))
        for _ in range(int(settings.integers(0, 4)))
    ]
    width = int(settings.integers(4, 14))

    def draw(rng: Rng) -> Mask:
        image = np.zeros((SIDE, SIDE), np.uint8)
        around = (
            np.arange(corners * (2 if star < 1 else 1)) * 2 * np.pi / (corners * (2 if star < 1 else 1))
            + turned
        )
        radius = np.where(np.arange(len(around)) % 2 == 1, star, 1.0) if star < 1 else np.ones(len(around))
        line = np.stack([radius * np.cos(around), radius * np.sin(around)], 1) * SIDE * 0.46
        cv2.fillPoly(image, [((line + SIDE / 2) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
        if border > 0.05:
            cv2.fillPoly(
                image, [((line * (1 - border) + SIDE / 2) * 16).astype(np.int32)], inside, cv2.LINE_AA, 4
            )
        for stroke in strokes:
            moved = stroke + rng.normal(0, 0.02, stroke.shape)
            grey = 255 if border > 0.05 else 40
            cv2.polylines(
                image,
                [((moved * SIDE * 0.8 + SIDE / 2) * 16).astype(np.int32)],
                False,
                grey,
                width,
                cv2.LINE_AA,
                4,
            )
        return image

    return draw


def body(settings: Rng) -> Draw:
    """A rounded solid lit from one side: blobs, rods and shells, whose shading tells their form."""
    count = int(settings.integers(1, 5))
    centres, sizes = settings.uniform(-0.5, 0.5, (count, 2)), settings.uniform(0.25, 0.7, (count, 2))
    hollow, power = settings.random() < 0.35, settings.choice([1.0, 2.0, 4.0])

    def draw(rng: Rng) -> Mask:
        y, x = np.mgrid[:SIDE, :SIDE] / (SIDE / 2) - 1
        height = np.full((SIDE, SIDE), -1.0)
        for centre, size in zip(centres + rng.normal(0, 0.04, centres.shape), sizes, strict=True):
            away = (
                np.abs((x - centre[0]) / size[0]) ** (2 * power)
                + np.abs((y - centre[1]) / size[1]) ** (2 * power)
            ) ** (1 / power)
            height = np.maximum(height, 1 - away)
        inside = height > 0
        if hollow:
            inside &= height < 0.6
        rise = np.sqrt(np.maximum(height, 0))
        down, right = np.gradient(rise)
        light = rng.uniform(0, 2 * np.pi)
        shade = 0.55 - 6 * (right * np.cos(light) + down * np.sin(light))
        return np.where(inside, np.clip(shade, 0.12, 1) * 255, 0).astype(np.uint8)

    return draw


FAMILIES: tuple[Callable[[Rng], Draw], ...] = (fractal, outline, plate, body)


def family(number: int) -> int:
    """The family of figure class `number`, an index of FAMILIES: they take turns, fractals twice."""
    return (0, 1, 0, 2, 3)[number % 5]


def figure(seed: int, number: int, draw: int) -> Mask:
    """Draw `draw` of figure class `number`: uint8 (SIDE, SIDE)."""
    return FAMILIES[family(number)](np.random.default_rng([seed, 3, number]))(
        np.random.default_rng([seed, 4, number, draw])
    )

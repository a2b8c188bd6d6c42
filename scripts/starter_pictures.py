"""Pictures to pretrain on, composed of painted textures and figures under changing light, colour, pose and camera.

A picture shows one texture all over and mostly one figure on it; both are classes to be told, whatever their colours and light.
The banks hold a few draws of each class; every picture turns, scales, cuts, colours and lights them anew: none comes twice.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from starter_figures import figure
from starter_textures import texture

Rng = np.random.Generator
Picture = NDArray[np.uint8]
NONE = -1  # the class of a figure that is not there


@dataclass(frozen=True)
class Banks:
    """Textures uint8 (T, D, 224, 224) and figures uint8 (F, D, 128, 128): D draws of each class."""

    textures: NDArray[np.uint8]
    figures: NDArray[np.uint8]


def banks(
    seed: int, *, textures: int, figures: int, draws: int, workers: int, progress: Callable[[int], None]
) -> Banks:
    """Paints the banks on some processes; `progress` is told of every class."""
    found = []
    with ProcessPoolExecutor(workers) as pool:
        for paint, classes in ((texture, textures), (figure, figures)):
            rows = []
            for row in pool.map(partial(drawn, paint, seed, draws), range(classes), chunksize=8):
                rows.append(row)
                progress(1)
            found.append(np.stack(rows))
    return Banks(*found)


def drawn(paint: Callable[[int, int, int], Picture], seed: int, draws: int, number: int) -> Picture:
    """The draws of one class."""
    return np.stack([paint(seed, number, draw) for draw in range(draws)])


def picture(rng: Rng, banks: Banks, size: int, hard: float = 1.0) -> tuple[Picture, int, int]:
    """A picture uint8 (size, size, 3), the class of its texture and that of its figure (NONE where it has none).

    `hard`, 0..1: how far light, contrast, scale and camera go from what shows a class best. Random weights learn nothing from the
    hardest ones; they have to be led there.
    """
    kind, other = rng.integers(len(banks.textures), size=2)
    bent = 0.5 * hard
    ground = posed(
        banks.textures[kind, rng.integers(banks.textures.shape[1])],
        rng,
        size,
        scale=2 ** rng.uniform(-bent, bent),
    )
    image = coloured(ground, rng, contrast=rng.uniform(0.7 - 0.45 * hard, 1))
    named = NONE
    if rng.random() < 0.65:
        named = int(rng.integers(len(banks.figures)))
        mask = placed(banks.figures[named, rng.integers(banks.figures.shape[1])], rng, size, hard)
        if rng.random() < 0.3 * hard:
            inside = posed(banks.textures[other, rng.integers(banks.textures.shape[1])], rng, size, scale=1.0)
            over = coloured(
                (mask.astype(np.uint16) * (128 + inside // 2) // 255).astype(np.uint8), rng, contrast=1
            )
        else:
            over = coloured(mask, rng, contrast=rng.uniform(0.8 - 0.4 * hard, 1))
        strength = rng.uniform(0.4, 1) if rng.random() < 0.4 * hard else 1.0
        cover = np.minimum(mask.astype(np.float32) / 60, 1)[..., None] * np.float32(strength)
        image += (over - image) * cover
    return photographed(image, rng, hard), int(kind), named


def posed(texture: Picture, rng: Rng, size: int, *, scale: float) -> Picture:
    """A part of a texture (224, 224), turned and scaled: uint8 (size, size)."""
    side = texture.shape[0]
    turned = rng.uniform(0, 360)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), turned, scale)
    matrix[:, 2] += size / 2 - side / 2 + rng.uniform(-side / 4, side / 4, 2)
    return np.asarray(
        cv2.warpAffine(texture, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    )


def placed(figure: Picture, rng: Rng, size: int, hard: float) -> Picture:
    """A figure (128, 128) somewhere on a picture of `size`, 0.35 (mild: 0.7) to 1.1 of it wide, bent a little."""
    side = figure.shape[0]
    scale = size / side * rng.uniform(0.7 - 0.35 * hard, 1.1)
    turned = rng.uniform(-20, 20) * hard
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), turned, scale)
    matrix[:, :2] *= 1 + hard * rng.uniform(-0.15, 0.15, (2, 1))
    middle = matrix[:, :2] @ (side / 2, side / 2)
    room = max(0.0, size - scale * side) / 2 + 0.08 * size
    matrix[:, 2] = size / 2 - middle + rng.uniform(-room, room, 2)
    return np.asarray(cv2.warpAffine(figure, matrix, (size, size), flags=cv2.INTER_AREA))


def coloured(grey: Picture, rng: Rng, *, contrast: float) -> NDArray[np.float32]:
    """Grey levels as colours: along a ramp between two of them, half of the time between two greys; float32 (h, w, 3) 0..1."""
    ends = rng.random((2, 3))
    if rng.random() < 0.5:
        ends = np.repeat(rng.random((2, 1)), 3, axis=1) + rng.normal(0, 0.02, 3)
    if np.abs(ends[1] - ends[0]).max() < 0.3:
        ends[1] = (ends[0] + 0.5) % 1
    ends[1] = ends[0] + (ends[1] - ends[0]) * contrast
    ramp = np.linspace(0, 1, 256)[:, None] ** rng.uniform(0.6, 1.6)
    table = (ends[0] + (ends[1] - ends[0]) * ramp).astype(np.float32)
    return table[grey]


def photographed(image: NDArray[np.float32], rng: Rng, hard: float) -> Picture:
    """Uneven light, exposure, blur, grain, and sometimes no colour."""
    size = image.shape[0]
    if rng.random() < 0.6 * hard:
        coarse = rng.normal(0, rng.uniform(0.05, 0.35), (3, 3)).astype(np.float32)
        image = image * np.exp(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC))[..., None]
    image = image * np.float32(1 + hard * rng.uniform(-0.4, 0.25)) + np.float32(hard * rng.normal(0, 0.06))
    if rng.random() < 0.4 * hard:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.4))
    if rng.random() < 0.5 * hard:
        grain = rng.standard_normal((size, size, 1), dtype=np.float32) * np.float32(rng.uniform(0.01, 0.06))
        image = image + grain
    if rng.random() < 0.3:
        image = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    return np.clip(image * 255, 0, 255).astype(np.uint8)

"""The camera over the fixture: lens, sensor, and the exposure that turns luminance into eight bits."""

from dataclasses import dataclass
from math import cos, sin

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from visiontune.data.painter.noise import Array, Rng, cloud
from visiontune.data.painter.surface import FINE, Surface


@dataclass(frozen=True, slots=True)
class Camera:
    """A station's camera. `blur`: deviation of its point spread in frame pixels. `full_well`: electrons at
    white. `read`: read noise in electrons. `tint`: red and blue against green, None for a monochrome
    sensor. `fixture`: reflectance of what the part lies on, `weave` its structure."""

    name: str
    gamma: float
    vignette: float
    blur: float
    full_well: float
    read: float
    tint: tuple[float, float] | None
    fixture: float
    weave: float


CAMERAS = (
    Camera("cam_1", 0.80, 0.16, 0.42, 7000, 18, None, 0.035, 0.05),
    Camera("cam_2", 0.65, 0.28, 0.52, 4200, 20, None, 0.13, 0.08),
    Camera("cam_3", 0.72, 0.20, 0.48, 5500, 15, (1.03, 0.95), 0.07, 0.12),
)


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a part lies: shift in frame pixels (x right, y down) and turn in radians."""

    x: float
    y: float
    turn: float


def look(canvas: Array, size: tuple[int, int], pose: Pose) -> Array:
    """Sample a canvas (h, w) through `pose` into a frame of `size`, bilinear."""
    c, s = cos(pose.turn), sin(pose.turn)
    matrix = FINE * np.array([[c, -s], [s, c]])
    centre = (np.array(size) - 1) / 2 + (pose.y, pose.x)
    offset = (np.array(canvas.shape) - 1) / 2 - matrix @ centre
    out = ndimage.affine_transform(canvas, matrix, offset, size, np.float32, order=1, mode="nearest")
    return np.asarray(out, np.float32)


def cover(part: Surface, pose: Pose) -> Array:
    """Share of each frame pixel that the part covers, float32 (h, w), 0..1."""
    return look(np.clip(part.depth / (1.2 * FINE) + 0.5, 0, 1).astype(np.float32), part.size, pose)


def expose(
    camera: Camera,
    part: Surface,
    luminance: Array,
    pose: Pose,
    gain: float,
    lamp: tuple[float, float],
    rng: Rng,
) -> NDArray[np.uint8]:
    """Take the picture, uint8 (h, w, 3): part over fixture, lens, photon and read noise, tone curve.

    `gain` maps luminance to the sensor's full well, `lamp` is the (x, y) direction towards the lamp.
    """
    size = part.size
    blur = FINE * camera.blur * rng.uniform(0.8, 1.5)
    drag = FINE * abs(rng.normal(0, 0.35))  # the belt moves along x while the shutter is open
    soft = ndimage.gaussian_filter(luminance, (blur, float(np.hypot(blur, drag))), truncate=2.5)
    covered = cover(part, pose)
    light = look(soft, size, pose) * np.float32(gain) * covered
    light += _fixture(camera, covered, lamp, rng) * (1 - covered)
    h, w = size
    y = np.linspace(-1, 1, h, dtype=np.float32)[:, None] - np.float32(0.1)
    x = np.linspace(-1, 1, w, dtype=np.float32)[None, :] + np.float32(0.06)
    light *= 1 - np.float32(camera.vignette / 2) * (x * x + y * y)
    light += np.float32(0.012) * ndimage.uniform_filter(light, min(size) // 3)  # glare inside the lens
    if camera.tint is None:
        return np.repeat(_develop(camera, light, rng)[..., None], 3, axis=2)
    warmth = look(part.warmth, size, pose) * covered
    red, blue = camera.tint
    layers = (light * (red + 0.05 * warmth), light, light * (blue - 0.08 * warmth))
    return np.stack([_develop(camera, layer, rng) for layer in layers], axis=2)


def _fixture(camera: Camera, covered: Array, lamp: tuple[float, float], rng: Rng) -> Array:
    """The bed under the part: out of focus, brighter towards the lamp, in the part's shadow on the far side."""
    h, w = covered.shape
    y, x = np.linspace(-1, 1, h, dtype=np.float32)[:, None], np.linspace(-1, 1, w, dtype=np.float32)[None, :]
    reach = min(h, w) / 192
    shadow = ndimage.uniform_filter(covered, max(3, int(11 * reach)))
    shadow = ndimage.shift(
        shadow, (-5 * reach * lamp[1], -5 * reach * lamp[0]), order=1, mode="nearest", prefilter=False
    )
    bed = camera.fixture * (1 + np.float32(0.35) * (np.float32(lamp[0]) * x + np.float32(lamp[1]) * y))
    bed = bed * (
        1 + np.float32(camera.weave) * cloud(rng, (h, w), 2.5) + np.float32(0.08) * cloud(rng, (h, w), 30)
    )
    return np.asarray(bed * (1 - np.float32(0.8) * shadow), np.float32)


def _develop(camera: Camera, light: Array, rng: Rng) -> NDArray[np.uint8]:
    """Electrons to grey levels: shot noise grows with the root of the signal, read noise does not."""
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    light = np.maximum(light, 0)
    read = np.float32((camera.read / camera.full_well) ** 2)
    sensed = light + noise * np.sqrt(light * np.float32(1 / camera.full_well) + read)
    level = np.clip(sensed + np.float32(0.004), 0, 1) ** np.float32(camera.gamma)
    return np.asarray(level * 255 + np.float32(0.5), np.float32).astype(np.uint8)


def meter(part: Surface, luminance: Array, step: int) -> float:
    """Gain that brings the bright part of a flawless part to half of white, from a coarse `luminance`."""
    inside = luminance[part.depth[::step, ::step] > 3 * FINE]
    if inside.size < 8:
        inside = luminance.ravel()
    return float(0.40 / (0.5 * np.quantile(inside, 0.9) + 0.5 * inside.mean()))

"""What is peculiar to one picture: its fine texture, freed of light and contrast, small enough to keep for every picture.

Exposures of one part differ in light, in noise and by a few pixels of position; what they share is the fine texture. A
perceptual hash sees the coarse shape instead, which all parts of one product share, and a network's embedding sees the kind.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]

MANY = 5_000  # pictures beyond which prints are made smaller, so that the index stays small
LEVELS = 42.0  # steps of the stored int8 per unit: -3..3 becomes -126..126
LIGHT = 4  # radius in pixels of the window, passed twice, whose mean counts as light
CONTRAST = 13  # radius of the window whose deviation counts as contrast
LINES = 13  # radius along a line over which it counts as a line
_LOG = np.log(np.arange(256, dtype=np.float32) + 8)  # 8: what is darker is noise, not texture


def print_side(pictures: int) -> int:
    """Pixels (root of the area) to which this many pictures are shrunk."""
    return 96 if pictures <= MANY else 60


def canvas_side(side: int) -> int:
    """Side of the square on which a print lies: room for other aspects, and a size that is quick to transform."""
    return 128 if side > 64 else 80


def print_size(width: int, height: int, side: int) -> tuple[int, int]:
    """(width, height) with the area side * side and the picture's aspect, each at least 8 and at most 32 * side."""
    scale = side / sqrt(width * height)
    most = 32 * side
    return min(most, max(8, round(width * scale))), min(most, max(8, round(height * scale)))


def middle(pixels: NDArray[np.uint8], canvas: int) -> NDArray[np.uint8]:
    """(..., h, w) cut to at most canvas x canvas around the middle."""
    height, width = pixels.shape[-2:]
    top, left = max(0, height - canvas) // 2, max(0, width - canvas) // 2
    return pixels[..., top : top + canvas, left : left + canvas]


def residual(grey: NDArray[np.uint8]) -> NDArray[np.int8]:
    """The texture of pictures of one size: uint8 (n, h, w) -> int8 (n, h, w).

    Logarithm (light multiplies), less the local mean, over the local deviation, clipped at 3 deviations. A picture
    without texture gives zeros.
    """
    x = _LOG[grey]
    fine = x - smooth(smooth(x, LIGHT), LIGHT)
    deviation = np.sqrt(np.maximum(smooth(fine * fine, CONTRAST), 0)) + np.float32(0.01)
    fine = np.clip(fine / deviation, -3, 3)
    fine -= fine.mean((1, 2), keepdims=True)
    steps: NDArray[np.int8] = np.rint(fine * np.float32(LEVELS)).clip(-127, 127).astype(np.int8)
    return steps


def without_lines(texture: Float) -> Float:
    """float (n, h, w) without what goes on along rows and columns: marks of the machine, which other parts share."""
    texture = texture - box(texture, LINES, 1)
    return texture - box(texture, LINES, 2)


def smooth(x: Float, radius: int) -> Float:
    """The mean of (n, h, w) over a square window, at the edges over what there is of it."""
    return box(box(x, radius, 1), radius, 2)


def box(x: Float, radius: int, axis: int) -> Float:
    """The mean over 2 * radius + 1 places along an axis, at the ends over what there is.

    By running sums and not by a product with a matrix: matrix products start threads of their own, which then fight with
    the threads that decode.
    """
    n = x.shape[axis]
    sums = np.cumsum(x, axis=axis, dtype=np.float32)
    zero = np.zeros_like(np.take(sums, [0], axis))
    sums = np.concatenate((zero, sums), axis)
    place = np.arange(n)
    low, high = np.maximum(place - radius, 0), np.minimum(place + radius + 1, n)
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    counts = (high - low).astype(np.float32).reshape(shape)
    found: Float = (np.take(sums, high, axis) - np.take(sums, low, axis)) / counts
    return found


def spectrum(transform: NDArray[np.complex64], bands: int = 12) -> Float:
    """The low bands of transforms (n, c, c / 2 + 1) as unit vectors (n, (2 * bands - 1) * bands): blind to where a
    texture lies, so that one product of two matrices finds the pictures that may show the same."""
    size = np.abs(transform)
    low = np.concatenate((size[:, :bands, :bands], size[:, 1 - bands :, :bands]), axis=1)
    bands_of: Float = np.sqrt(low.reshape(len(size), -1)).astype(np.float32)
    return bands_of


def whitened(texture: Float) -> tuple[Float, NDArray[np.complex64]]:
    """Textures (n, c, c) with their strong frequencies toned down (each by the root of its size) and their transforms."""
    strong = np.fft.rfft2(texture)
    transform: NDArray[np.complex64] = (strong / np.sqrt(np.abs(strong) + 1e-6)).astype(np.complex64)
    return np.fft.irfft2(transform, s=texture.shape[1:]).astype(np.float32), transform

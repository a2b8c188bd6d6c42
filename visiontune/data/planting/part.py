"""Where the part is in a picture, as far as the picture tells: for defects that must lie on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

EVEN = 5.0  # grey levels, median distance of a border's pixels from their smooth course: more is no plain background
NEAR = 4.0  # spreads of the border, and
LEAST = 12.0  # grey levels at least, within which a pixel may be background
SHARES = (0.1, 0.95)  # of the picture that a part may take; else the picture is taken for all part
DEPTH = 2  # pixels of the border


def part_area(image: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the part lies, bool (H, W), in a picture uint8 (H, W, 3).

    What is like the border, whose light may fall off smoothly, and hangs together with it is background, where the border is
    plain; else all of the picture is part: so it is for sheets, and for parts that fill the frame. Holes through which the
    background shows stay part.
    """
    whole = np.ones(image.shape[:2], bool)
    grey = image.mean(axis=2, dtype=np.float32)
    border = whole.copy()
    border[DEPTH:-DEPTH, DEPTH:-DEPTH] = False
    y, x = (axis.astype(np.float32) / max(whole.shape) for axis in np.indices(whole.shape))
    course = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    found = np.linalg.lstsq(course[border], grey[border], rcond=None)[0]
    away = np.abs(grey - course @ found)
    spread = float(np.median(away[border]))
    if spread > EVEN:
        return whole
    alike = away <= max(LEAST, NEAR * spread)
    # one pixel round the picture joins what touches any of its sides
    labels, _ = ndimage.label(np.pad(alike, 1, constant_values=True))
    part = ndimage.binary_opening(labels[1:-1, 1:-1] != labels[0, 0], iterations=2)
    low, high = SHARES
    return np.asarray(part) if low <= part.mean() <= high else whole

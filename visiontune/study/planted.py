"""Plants one defect of a stated shape, size and contrast on a good picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.data.painter.noise import Array, Rng
from visiontune.runtime.frame import Frame
from visiontune.study.shapes import coverage

Mask = NDArray[np.bool_]
TRIES = 100
CORE = 0.5  # pixels covered at least so much must take on the contrast
KEPT = 0.9  # share of the contrast that must be left after clipping at 0 and 255


@dataclass(frozen=True)
class Area:
    """Where defects may lie: bool (H, W), and the numbers of its pixels, counted row by row."""

    mask: Mask
    spots: NDArray[np.intp]

    @classmethod
    def of(cls, mask: Mask) -> Area:
        """The area of a mask."""
        return cls(mask, np.flatnonzero(mask))


@dataclass(frozen=True)
class Planted:
    """A picture with one defect: the frame, and the box x0, y0, x1, y1 that the defect lies in, pixels."""

    frame: Frame
    box: tuple[int, int, int, int]


def plant(frame: Frame, area: Area, kind: str, size: float, contrast: float, rng: Rng) -> Planted | None:
    """The picture, uint8 (H, W, 3), with one defect; None where in a hundred tries none found its place.

    area      where a defect may lie, with all of it; of the frame's size
    size      pixels of the frame; see `shapes`
    contrast  grey levels that a fully covered pixel changes by, in every channel: below 0 darker, above 0 brighter. The
              texture beneath stays. A place too dark or too bright for nine tenths of it is not taken
    """
    for _ in range(TRIES):
        drawn = coverage(kind, size, rng)
        height, width = drawn.shape
        top, left = _corner(area, drawn, rng)
        window = np.s_[top : top + height, left : left + width]
        outside = top < 0 or left < 0 or top + height > frame.shape[0] or left + width > frame.shape[1]
        if outside or not area.mask[window][drawn > 0].all():
            continue
        before = frame[window].astype(np.float32)
        changed_levels = before + np.float32(contrast) * drawn[..., np.newaxis]
        after = np.asarray(np.clip(np.round(changed_levels), 0, 255), np.float32)
        if not _shows(before, after, drawn, contrast):
            continue
        changed = frame.copy()
        changed[window] = after.astype(np.uint8)
        return Planted(changed, (left, top, left + width, top + height))
    return None


def _corner(area: Area, drawn: Array, rng: Rng) -> tuple[int, int]:
    """Where the defect's window starts if its middle lies on a random pixel of the area."""
    if not area.spots.size:
        return -1, -1
    row, col = divmod(int(rng.choice(area.spots)), area.mask.shape[1])
    return row - drawn.shape[0] // 2, col - drawn.shape[1] // 2


def _shows(before: Array, after: Array, drawn: Array, contrast: float) -> bool:
    """Whether the defect took on its contrast, where it is strongest."""
    core = drawn >= min(CORE, float(drawn.max()))
    wanted = abs(contrast) * drawn[core].mean()
    return bool(np.abs(after - before)[core].mean() >= KEPT * wanted - 0.5)

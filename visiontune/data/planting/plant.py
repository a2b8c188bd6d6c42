"""Plants one defect on a picture: kind, size, strength and place are drawn; where it cannot be seen, none is said to be there."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from visiontune.data.painter.noise import Rng
from visiontune.data.planting.kinds import DRAWN
from visiontune.data.planting.part import part_area

TRIES = 4
COVERED = 0.3  # of a pixel, from which it counts as defect
SEEN = 4.0  # grey levels by which a defect's pixels must differ on average, and
GRAIN = 0.8  # of the mean step from pixel to pixel there
FEWEST = 3  # pixels of a defect
MARGIN = 1.5  # a window's side, in extents of the defect


def plant(
    image: NDArray[np.uint8],
    rng: Rng,
    *,
    strength: tuple[float, float],
    size: tuple[float, float],
    shares: Mapping[str, float],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
    """The picture uint8 (H, W, 3) with one defect, and where that is, bool (H, W); None where four tries showed nothing.

    strength  share of the range of levels by which it differs from what is beneath, drawn by its logarithm: 0.1 is 25 levels
    size      its extent, as a share of the shorter side, drawn by its logarithm
    shares    how often each kind comes, in any unit
    """
    names = [name for name in DRAWN if shares[name] > 0]
    weights = np.array([shares[name] for name in names])
    spots = np.flatnonzero(part_area(image))
    picture = image.astype(np.float32)
    for _ in range(TRIES):
        kind = DRAWN[names[int(rng.choice(len(names), p=weights / weights.sum()))]]
        levels = 255 * float(np.exp(rng.uniform(*np.log(strength))))
        extent = max(4.0, min(image.shape[:2]) * float(np.exp(rng.uniform(*np.log(size)))))
        row, col = divmod(int(rng.choice(spots)), image.shape[1])
        around = int(np.ceil(MARGIN * extent / 2)) + 3
        rows, cols = (np.arange(at - around, at + around + 1) for at in (row, col))
        kept_rows = (rows >= 0) & (rows < image.shape[0])
        kept_cols = (cols >= 0) & (cols < image.shape[1])
        at = np.ix_(rows.clip(0, image.shape[0] - 1), cols.clip(0, image.shape[1] - 1))
        changed, cover = kind(rng, picture[at], picture, extent, levels)
        inside = np.ix_(kept_rows, kept_cols)
        here = np.s_[
            rows[kept_rows][0] : rows[kept_rows][-1] + 1, cols[kept_cols][0] : cols[kept_cols][-1] + 1
        ]
        found = painted(image, here, changed[inside], cover[inside], spots)
        if found is not None:
            return found
    return None


def painted(
    image: NDArray[np.uint8],
    here: tuple[slice, slice],
    changed: NDArray[np.float32],
    cover: NDArray[np.float32],
    spots: NDArray[np.intp],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]] | None:
    """The picture, its window `here` changed on the part (`spots`, numbers of pixels), and the mask; None if it hardly shows."""
    part = np.zeros(image.shape[:2], bool)
    part.flat[spots] = True
    before = image[here].astype(np.float32)
    after = np.where(part[here][..., None], np.clip(np.round(changed), 0, 255), before)
    covered = part[here] & (cover > COVERED * cover.max(initial=1e-6))
    difference = np.abs(after - before).max(axis=2)
    if covered.sum() < FEWEST:
        return None
    steps = np.abs(np.diff(before.mean(axis=2), axis=1)).mean()
    if difference[covered].mean() < max(SEEN, GRAIN * steps):
        return None
    result, mask = image.copy(), np.zeros(image.shape[:2], bool)
    result[here], mask[here] = after.astype(np.uint8), covered
    return result, mask

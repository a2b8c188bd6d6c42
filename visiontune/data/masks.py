"""Masks as the network learns from them: at the model's size, small defects kept, and "unknown where" told from "good"."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from visiontune.data.layouts.headers import mask_problems
from visiontune.data.problems import few, shown, summary
from visiontune.data.samples import Dataset, Sample
from visiontune.runtime.errors import BadData, BadFrame
from visiontune.runtime.mask import mask_values
from visiontune.runtime.regions import roi_pixels

GOOD, DEFECT, UNKNOWN = 0, 1, 255  # what a pixel of a fitted mask says
PLANTED = 2  # what it says in a view where a policy drew a defect on a good part
AHEAD = 16  # masks that are read before the first of them is used
INDICES = 16  # values beyond which a mask is no drawing of areas but a smoothed or lossy picture

Mask = NDArray[np.uint8]


def load_masks(
    share: Dataset, size: tuple[int, int], roi: tuple[float, float, float, float] | None = None
) -> Mask:
    """The masks of a share at the model's size (h, w), uint8 (n, h, w) in the share's order: 0 good, 1 defect, 255 unknown.

    A picture of the good class is good everywhere. A defective one whose mask is missing, or marks nothing within the region
    of interest, is unknown everywhere: an empty mask on it means that nobody outlined the defect, not that there is none.
    Every value of a file but 0 counts as defect, so that masks may number kinds or defects.

    Raises BadData, naming the files: for a mask that cannot be read or has another size than its picture, for one with more
    than 16 values (smoothed, or stored with loss), and for one that marks a defect on a picture of the good class.
    """
    masks = list(each_mask(share, size, roi))
    return np.stack(masks) if masks else np.empty((0, *size), np.uint8)


def each_mask(
    share: Dataset, size: tuple[int, int], roi: tuple[float, float, float, float] | None = None
) -> Iterator[Mask]:
    """The same masks one after the other, for those that do not fit into memory; raises at the latest after the last one."""
    problems = mask_problems(share.root, share)
    if problems:
        raise BadData(f"{share.root}: {summary(problems)}")

    def made(sample: Sample) -> Mask:
        if sample.mask is None:
            return np.full(size, GOOD if sample.label == share.good else UNKNOWN, np.uint8)
        marked = drawn(sample.mask)
        if sample.label == share.good:
            return np.full(size, DEFECT if marked.any() else GOOD, np.uint8)
        fitted = fitted_mask(marked, size, roi)
        return fitted if fitted.any() else np.full(size, UNKNOWN, np.uint8)

    # a large mask takes 100 MB and more
    contradicted: list[str] = []
    with ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1))) as pool:
        for start in range(0, len(share), AHEAD):
            some = share.samples[start : start + AHEAD]
            for sample, mask in zip(some, pool.map(made, some), strict=True):
                if sample.label == share.good and mask.any():
                    contradicted.append(shown(sample.id))
                yield mask
    if contradicted:
        raise BadData(
            f"{share.root}: expected nothing marked on pictures of the good class, found masks that mark a defect on "
            f"{few(contradicted)}; correct the label or the mask"
        )


def drawn(path: Path) -> NDArray[np.bool_]:
    """Where a mask file marks a defect, bool (H, W). Raises BadData where it cannot be read or holds more than 16 values."""
    try:
        marked = mask_values(path)
    except BadFrame as error:
        raise BadData(str(error)) from error
    values = len(np.unique(marked))
    if values > INDICES:
        raise BadData(
            f"{path}: expected a mask of 0 where the part is good and another value where it is not, found {values} values; "
            "save it without smoothing and without loss (PNG)"
        )
    return np.asarray(marked != 0)


def fitted_mask(
    marked: NDArray[np.bool_], size: tuple[int, int], roi: tuple[float, float, float, float] | None = None
) -> Mask:
    """A mask bool (H, W) cut to the region of interest and at the model's size (h, w): uint8, 0 or 1.

    By the share of each new pixel that is marked, so that outlines keep their place, and no defect that is smaller than a
    pixel gets lost: see `surviving`.
    """
    x0, y0, x1, y1 = roi_pixels(marked.shape[0], marked.shape[1], roi)
    if (y1 - y0, x1 - x0) == size:
        return marked[y0:y1, x0:x1].astype(np.uint8)  # what comes out below, sooner
    cover = marked[y0:y1, x0:x1].astype(np.float64)
    for axis, cells in enumerate(size):
        cover = shares(cover, cells, axis)
    return surviving(cover).astype(np.uint8)


def shares(values: NDArray[np.float64], cells: int, axis: int) -> NDArray[np.float64]:
    """Means over `cells` equal spans of an axis, whose edges may lie inside a pixel. (Pillow's BOX counts whole pixels and may
    leave one out between two spans.)
    """
    turned = np.moveaxis(values, axis, 0)
    sums = np.concatenate([np.zeros_like(turned[:1]), np.cumsum(turned, axis=0)])
    edges = np.arange(cells + 1) * (len(turned) / cells)
    below = np.minimum(edges.astype(np.int64), len(turned) - 1)
    at = sums[below] + (edges - below)[:, None] * turned[below]
    return np.moveaxis(np.diff(at, axis=0) * (cells / len(turned)), 0, axis)


def surviving(cover: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Which cells count as defect, bool (h, w), by the share 0..1 of each that is marked.

    Those at least half marked; and, where no neighbour is half marked, those that are marked most among their neighbours:
    a speck keeps one cell, a hair its line, and a large defect does not swell.
    """
    cover = np.round(cover, 9)  # equal shares shall be equal, however they were added up
    most = ndimage.maximum_filter(cover, 3, mode="nearest")
    return np.asarray((cover >= 0.5) | ((cover > 0) & (most < 0.5) & (cover == most)))

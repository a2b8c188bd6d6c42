"""Where a large frame is marked, kept small: which tiles show a defect, which none, and around which pixels to cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from visiontune.data.masks import DEFECT, GOOD, UNKNOWN, Mask
from visiontune.data.tiles import Grid

PART = 4  # a quarter of a defect is enough of it to be called one
SPOTS = 64  # pixels of a defect that are kept to cut around
TOUCHING = np.ones((3, 3), np.uint8)  # marked pixels that touch by side or corner are one defect


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What is known of a frame.

    known   False where it is defective and nobody said where
    packed  the mask, eight pixels to a byte: uint8 (h, ceil(w / 8)); None where nothing is marked
    spots   pixels (y, x) of each defect, int64 (k, 2)
    needs   marked pixels that a tile cut around each defect must hold, to be called defective
    free    corners (y, x) of tiles without a marked pixel, int64 (k, 2); empty where nothing is marked
    shown   of each tile of the grid: 0 good, 1 defect, 255 a sliver of one, of which nobody can tell
    """

    known: bool
    packed: NDArray[np.uint8] | None
    spots: tuple[NDArray[np.int64], ...]
    needs: tuple[int, ...]
    free: NDArray[np.int64]
    shown: NDArray[np.uint8]

    @property
    def marked(self) -> bool:
        """Whether anything is marked."""
        return self.packed is not None

    @property
    def named(self) -> tuple[str, ...]:
        """The kind of each defect: a mask names none."""
        return ()

    def holds(self, number: int, y: int, x: int, side: int) -> bool:
        """Whether the tile whose corner is (y, x) shows enough of a defect."""
        return int(self.window(y, x, side).sum()) >= self.needs[number]

    def label(self, y: int, x: int, side: int) -> str | None:
        """What a tile shows by name: None, for a mask names nothing."""
        return None

    def window(self, y: int, x: int, side: int) -> Mask:
        """The mask of the tile whose corner is (y, x): uint8 (side, side), 0 good, 1 defect, 255 unknown."""
        if self.packed is None:
            return np.full((side, side), GOOD if self.known else UNKNOWN, np.uint8)
        first = x // 8
        bits = np.unpackbits(self.packed[y : y + side, first : -(-(x + side) // 8)], axis=1)
        return np.ascontiguousarray(bits[:, x - 8 * first : x - 8 * first + side])

    def tobytes(self) -> bytes:
        """What tells these marks from others."""
        return b"?" if self.packed is None else self.packed.tobytes()


def marks_of(mask: Mask, grid: Grid) -> Marks:
    """The marks of a mask uint8 (h, w): 0 good, 1 defect, or 255 everywhere.

    A tile shows a defect if it holds at least a quarter of one, or as much as fills a 32nd of its side squared.
    """
    nowhere = np.empty((0, 2), np.int64)
    if not (mask == DEFECT).any():
        known = not (mask == UNKNOWN).any()
        shown = np.full(len(grid), GOOD if known else UNKNOWN, np.uint8)
        return Marks(known=known, packed=None, spots=(), needs=(), free=nowhere, shown=shown)
    labels, count = ndimage.label(mask, TOUCHING)
    areas = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    needs = np.minimum(-(-areas // PART), enough(grid.tile))
    found = np.flatnonzero(labels)
    order = np.argsort(labels.ravel()[found], kind="stable")
    pixels = np.split(found[order], np.cumsum(areas)[:-1])
    side = grid.tile
    shown = np.array(
        [shows(labels[y : y + side, x : x + side], needs) for y, x in grid.corners.tolist()], np.uint8
    )
    return Marks(
        known=True,
        packed=np.packbits(mask == DEFECT, axis=1),
        spots=tuple(np.stack(np.unravel_index(spread(own), mask.shape), axis=1) for own in pixels),
        needs=tuple(needs.tolist()),
        free=free_corners(mask, side),
        shown=shown,
    )


def enough(side: int) -> int:
    """Marked pixels that make a tile defective, however small a part of the defect they are.

    At most half a side: so much of a defect that leaves the tile has its way from the middle to the edge.
    """
    return max(1, min(side // 2, (side // 32) ** 2))


def shows(labels: NDArray[np.int32], needs: NDArray[np.int64]) -> int:
    """Whether a window of numbered defects is good, shows a defect, or a sliver."""
    held = np.bincount(labels.ravel(), minlength=len(needs) + 1)[1:]
    if not held.any():
        return GOOD
    return DEFECT if (held >= needs).any() else UNKNOWN


def spread(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most SPOTS of them, evenly taken."""
    return pixels[:: -(-len(pixels) // SPOTS)]


def free_corners(mask: Mask, side: int) -> NDArray[np.int64]:
    """Corners of tiles that hold no marked pixel, on a lattice of an eighth of the side."""
    sums = np.pad((mask == DEFECT).astype(np.int32).cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    rows, columns = (
        np.unique([*range(0, length - side, max(1, side // 8)), length - side]) for length in mask.shape
    )
    high, wide = rows[:, None], columns[None]
    marked = sums[high + side, wide + side] - sums[high, wide + side]
    marked += sums[high, wide] - sums[high + side, wide]
    at = np.argwhere(marked == 0)
    return np.stack([rows[at[:, 0]], columns[at[:, 1]]], axis=1).astype(np.int64)

"""Boxes on a large frame: which tiles show an object, which none, and what a tile shows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.data.box_targets import NOWHERE, PART, Boxes, BoxTargets, areas, cut
from visiontune.data.layouts.boxes import label_of
from visiontune.data.masks import DEFECT, GOOD, UNKNOWN, Mask
from visiontune.data.tile_marks import free_corners
from visiontune.data.tiles import Grid

LATTICE = (np.arange(8) + 0.5) / 8  # places of a box that tiles are cut around, as shares of its side


@dataclass(frozen=True, kw_only=True)
class BoxMarks:
    """What is known of a frame by its boxes: as tile_marks.Marks, which knows the same by a mask.

    boxes   those of the frame, in pixels of the fitted frame
    names   of the kinds of box
    named   the kind of each object that a tile can show; larger ones than four tiles, of which none shows a quarter, are left out
    extent  their corners, float64 (k, 4)
    spots   pixels (y, x) of each of them, int64 (64, 2)
    free    corners (y, x) of tiles that no box reaches into, int64 (k, 2); empty where there is no box
    shown   of each tile of the grid: 0 good, 1 an object, 255 what nobody can tell: a sliver of one, or one to be ignored
    """

    boxes: Boxes
    names: Sequence[str]
    named: tuple[str, ...]
    extent: NDArray[np.float64]
    spots: tuple[NDArray[np.int64], ...]
    free: NDArray[np.int64]
    shown: NDArray[np.uint8]

    @property
    def known(self) -> bool:
        """False where the frame is defective and nobody said where."""
        return self.boxes.known

    @property
    def marked(self) -> bool:
        """Whether anything is marked, be it to be ignored."""
        return len(self.boxes.kinds) > 0

    def holds(self, number: int, y: int, x: int, side: int) -> bool:
        """Whether the tile whose corner is (y, x) shows a quarter of an object or more."""
        low = np.maximum(self.extent[number, :2], (x, y))
        high = np.minimum(self.extent[number, 2:], (x + side, y + side))
        return bool((high - low).clip(min=0).prod() >= PART * areas(self.extent[number : number + 1])[0])

    def label(self, y: int, x: int, side: int) -> str | None:
        """The most frequent kind of the objects that a tile shows, of equals the first by name; None where it shows none."""
        kinds = self.window(y, x, side).kinds
        seen = [self.names[kind] for kind in kinds[kinds >= 0].tolist()]
        return label_of(seen) if seen else None

    def window(self, y: int, x: int, side: int) -> Boxes:
        """The boxes of the tile whose corner is (y, x), in pixels of it."""
        return window(self.boxes, y, x, side)

    def tobytes(self) -> bytes:
        """What tells these marks from others."""
        return BoxTargets.of([self.boxes]).tobytes()


def box_marks_of(boxes: Boxes, grid: Grid, names: Sequence[str]) -> BoxMarks:
    """The marks of a frame's boxes, whose kinds are positions in `names`."""
    corners, side = boxes.corners.astype(np.float64), grid.tile
    # tiles begin at whole pixels
    most = np.minimum(corners[:, 2:] - corners[:, :2], side - 1).prod(axis=1)
    shows = (boxes.kinds >= 0) & (most >= PART * areas(corners))
    extent = corners[shows]
    states = [state(window(boxes, y, x, side)) for y, x in grid.corners.tolist()]
    return BoxMarks(
        boxes=boxes,
        names=names,
        named=tuple(names[kind] for kind in boxes.kinds[shows].tolist()),
        extent=extent,
        spots=tuple(places(box) for box in extent),
        free=free_corners(painted(corners, grid.size), side) if len(corners) else np.empty((0, 2), np.int64),
        shown=np.array(states, np.uint8),
    )


def window(boxes: Boxes, y: int, x: int, side: int) -> Boxes:
    """A frame's boxes as the tile whose corner is (y, x) shows them: those of which it shows less than a quarter are ignored."""
    if not boxes.known:
        return NOWHERE
    return cut(boxes.corners - np.array([x, y, x, y], np.float64), boxes.kinds, (side, side))


def state(boxes: Boxes) -> int:
    """Whether a window is good, shows an object, or what nobody can tell."""
    if not boxes.known:
        return UNKNOWN
    if (boxes.kinds >= 0).any():
        return DEFECT
    return UNKNOWN if len(boxes.kinds) else GOOD


def places(box: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pixels (y, x) of a box (4,), evenly spread, int64 (64, 2)."""
    x, y = (np.floor(box[at] + LATTICE * (box[at + 2] - box[at])) for at in (0, 1))
    return np.stack([np.repeat(y, len(x)), np.tile(x, len(y))], axis=1).astype(np.int64)


def painted(corners: NDArray[np.float64], size: tuple[int, int]) -> Mask:
    """A mask (h, w) of all pixels that boxes reach into."""
    mask = np.full(size, GOOD, np.uint8)
    low, high = np.floor(corners[:, :2]).astype(int), np.ceil(corners[:, 2:]).astype(int)
    for (x0, y0), (x1, y1) in zip(low.tolist(), high.tolist(), strict=True):
        mask[y0:y1, x0:x1] = DEFECT
    return mask

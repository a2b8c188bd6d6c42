"""Where the tiles of a large frame lie, and how what they say is laid together again without seams."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

STEP = (
    32  # pixels: a tile's side is a multiple of it, so that the cells of all common backbones end at its edge
)

SLACK = 8  # of what two tiles share, an eighth

TOUCH = 1e-6  # pixels: what counts on the very edge, where tiles without overlap meet


@dataclass(frozen=True)
class Grid:
    """Square tiles of `tile` pixels that cover a frame of `size` (h, w), neighbours sharing at least `overlap` pixels.

    They are spread evenly, the first at one edge and the last at the other. `rows` and `columns` say where they begin.
    """

    size: tuple[int, int]
    tile: int
    overlap: int

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """The first row of each row of tiles."""
        return starts(self.size[0], self.tile, self.overlap)

    @cached_property
    def columns(self) -> tuple[int, ...]:
        """The first column of each column of tiles."""
        return starts(self.size[1], self.tile, self.overlap)

    @cached_property
    def corners(self) -> NDArray[np.int64]:
        """The upper left pixel (y, x) of every tile, row by row: int64 (tiles, 2)."""
        return np.array([(y, x) for y in self.rows for x in self.columns], np.int64)

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    @cached_property
    def cores(self) -> NDArray[np.float32]:
        """Of every tile x0, y0, x1, y1 in pixels of the frame, float32 (tiles, 4): boxes with their middle in it are the tile's.

        Where two tiles share pixels their cores meet in the middle, and share an eighth of them to either side, since both say
        a middle there a little differently. An object no larger than what tiles share is whole in the tile whose core holds
        its middle; the part of it that another sees has its middle outside that one's core, or is most of the object.
        """
        down, across = (
            ranges(self.size[0], self.rows, self.tile),
            ranges(self.size[1], self.columns, self.tile),
        )
        return np.array([(x0, y0, x1, y1) for y0, y1 in down for x0, x1 in across], np.float32)

    def blends(self, cells: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Matrices (down, across) that make the frame's map of the tiles' maps of `cells` x `cells`: down @ blocks @ across.T.

        `blocks` float (rows * cells, columns * cells) are the tiles' maps side by side. The frame's map has cells as large
        as theirs, as many as fit best. In an overlap the weight of a tile falls linearly to its edge; weights sum to 1.
        """
        down = blend(self.size[0], self.rows, self.tile, cells)
        return down, blend(self.size[1], self.columns, self.tile, cells)


def wrong(tile: object, size: tuple[int, int]) -> str | None:
    """What is expected of (side, overlap) for frames of `size` (h, w), if that is not so."""
    if not isinstance(tile, tuple) or len(tile) != 2 or not all(type(number) is int for number in tile):
        return "two whole numbers of pixels"
    side, overlap = tile
    if side < STEP or side % STEP or side > min(size):
        return f"side a multiple of {STEP} of at most {min(size)}, the shorter side of Recipe.size"
    return None if 0 <= overlap <= side // 2 else f"overlap from 0 to half the side, {side // 2}"


def starts(side: int, tile: int, overlap: int) -> tuple[int, ...]:
    """Where tiles begin that cover `side` pixels, evenly spread, each pair of neighbours sharing at least `overlap`."""
    count = max(1, math.ceil((side - overlap) / (tile - overlap)))
    return tuple(round(k * (side - tile) / max(1, count - 1)) for k in range(count))


def ranges(side: int, begins: tuple[int, ...], tile: int) -> list[tuple[float, float]]:
    """Where along a frame's side the middle of a box lies that counts, for each tile."""
    shared = [before + tile - after for before, after in pairwise(begins)]
    middles = [after + some / 2 for after, some in zip(begins[1:], shared, strict=True)]
    lows = [0.0, *(middle - some / SLACK for middle, some in zip(middles, shared, strict=True))]
    highs = [*(middle + some / SLACK for middle, some in zip(middles, shared, strict=True)), float(side)]
    return list(zip(lows, highs, strict=True))


def blend(side: int, begins: tuple[int, ...], tile: int, cells: int) -> NDArray[np.float32]:
    """How the cells of a frame's side are mixed from those of its tiles: float32 (frame's cells, tiles * cells), rows sum to 1.

    A cell of the frame reads each tile at its centre, linearly between the tile's two nearest cells.
    """
    count = max(1, round(side * cells / tile))
    cell = np.arange(count)
    centres = (cell + 0.5) * (side / count)
    found = np.zeros((count, len(begins), cells))
    for number, begin in enumerate(begins):
        to_edge = np.minimum(centres - begin, begin + tile - centres)
        weight = np.where(to_edge < 0, 0, to_edge + TOUCH)
        at = ((centres - begin) * (cells / tile) - 0.5).clip(0, cells - 1)
        low = np.minimum(at.astype(np.int64), cells - 1)
        high = np.minimum(low + 1, cells - 1)
        found[cell, number, low] += weight * (1 - (at - low))
        found[cell, number, high] += weight * (at - low)
    flat = found.reshape(count, -1)
    return np.asarray(flat / flat.sum(axis=1, keepdims=True), np.float32)

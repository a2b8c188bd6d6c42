"""Tiles of large frames, and their masks and boxes, cut when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from visiontune.data.box_targets import Boxes
from visiontune.data.frames import Frames
from visiontune.data.masks import Mask
from visiontune.data.tile_places import Places


class Cuts:
    """What all cuts of one view have in common: asked by number, slice or numbers, as an array is."""

    dtype = np.dtype(np.uint8)

    def __init__(self, places: Places, view: int) -> None:
        self.places, self.view = places, view

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, at: Any, /) -> NDArray[np.uint8]:
        if isinstance(at, (int, np.integer)):
            return self.cut(range(len(self))[at])
        chosen = np.arange(len(self))[at]
        return np.stack([self.cut(index) for index in chosen.tolist()])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("tiles are cut when they are asked for: only a copy of them can be an array")
        return np.asarray(self[:], dtype)

    def cut(self, tile: int) -> NDArray[np.uint8]:
        """One of them."""
        raise NotImplementedError


class CutFrames(Cuts):
    """Tiles uint8 (n, side, side, 3) of `frames` in a view: a memory-mapped frame gives up no more than the tile."""

    def __init__(self, frames: Frames, places: Places, view: int = 0) -> None:
        super().__init__(places, view)
        self.frames = frames
        self._last: tuple[int, NDArray[np.uint8]] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, side, side, 3)."""
        return len(self), self.places.grid.tile, self.places.grid.tile, 3

    def cut(self, tile: int) -> NDArray[np.uint8]:
        """uint8 (side, side, 3)."""
        (y, x), side = self.places.place(tile, self.view), self.places.grid.tile
        number, last = int(self.places.frame[tile]), self._last
        if (
            last is None or last[0] != number
        ):  # a frame that is not stored is decoded, and its tiles often follow one another
            last = self._last = (number, self.frames[number])
        return np.array(last[1][y : y + side, x : x + side])


class CutMasks(Cuts):
    """The masks of the same tiles, uint8 (n, side, side): 0 good, 1 defect, 255 unknown."""

    def cut(self, tile: int) -> Mask:
        """uint8 (side, side)."""
        found: Mask = self.places.window(tile, self.view)
        return found

    def tobytes(self) -> bytes:
        """What tells them from others."""
        return self.places.tobytes()


@dataclass(frozen=True, kw_only=True)
class CutBoxes:
    """The boxes of the same tiles, asked by number."""

    places: Places
    view: int

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, tile: int) -> Boxes:
        found: Boxes = self.places.window(tile, self.view)
        return found

    def tobytes(self) -> bytes:
        """What tells them from others."""
        return self.places.tobytes()

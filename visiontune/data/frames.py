"""What training and evaluation take pictures from: an array, or something that behaves like one and holds none in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from visiontune.data.fit import Fit
from visiontune.data.rows import mapped
from visiontune.runtime.errors import BadFrame, one_line
from visiontune.runtime.frame import Window, decode

ELSEWHERE = -1  # the row of a picture that is not stored


class Frames(Protocol):
    """Pictures uint8 (n, h, w, 3), RGB, by position: one, a slice, or several by their numbers. An ndarray is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, h, w, 3)."""

    def __len__(self) -> int:
        """How many pictures."""

    def __getitem__(self, at: Any, /) -> Any:
        """uint8 (h, w, 3) for a number, uint8 (k, h, w, 3) for a slice or an array of numbers."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Makes the model's picture of a file: decoded, 16-bit grey through the window, fitted."""

    fit: Fit
    window: Window | None = None

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """uint8 (h, w, 3). Raises BadFrame, with the path, for what cannot be decoded or resized."""
        frame = decode(path, window=self.window)
        try:
            return self.fit(frame)
        except Exception as error:  # onnxruntime's exceptions have no common root
            height, width = frame.shape[:2]
            raise BadFrame(
                f"{path}: expected a frame whose region can be resized to {self.fit.size}, found {height} x {width} "
                f"({one_line(error)}); cut it, or leave it out"
            ) from error


class Stored:
    """The pictures of a data set, in its order: from a file of rows that is mapped into memory, or else decoded when asked for.

    rows    the file of pictures (see `rows.Rows`); as much of it is in memory as the system has room for.
    at      int64 (n,): the row of each picture, -1 for one that is decoded from its file each time.

    Both ways give the same pixels. A single picture from the file is a view that cannot be written to; several are a copy.
    Travels to a loader's workers by the path of its file. Can be read as long as it lives, even after the file was removed
    (where the system lets open files be removed).
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, rows: Path, at: NDArray[np.int64], paths: Sequence[Path], reader: Reader) -> None:
        self._file, self._at, self._paths, self._reader = rows, at, tuple(paths), reader
        self._rows = mapped(rows, self.shape[1:])
        self._positions = np.arange(len(self._paths))

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, h, w, 3)."""
        return (len(self._paths), *self._reader.fit.size, 3)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, at: Any, /) -> NDArray[np.uint8]:
        """uint8 (h, w, 3) for a number, uint8 (k, h, w, 3) for a slice, numbers or a mask. Raises BadFrame as `Reader` does."""
        if isinstance(at, (int, np.integer)):
            return self._picture(range(len(self))[at])
        chosen = self._positions[at]
        found = self._at[chosen]
        if (found != ELSEWHERE).all():
            rows: NDArray[np.uint8] = self._rows[found]
            return rows
        pictures = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for place, index in enumerate(chosen.tolist()):
            pictures[place] = self._picture(index)
        return pictures

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("the pictures lie in a file: only a copy of them can be an array")
        return np.asarray(self[:], dtype)

    def __reduce__(self) -> tuple[Any, ...]:
        return Stored, (self._file, self._at, self._paths, self._reader)

    def _picture(self, index: int) -> NDArray[np.uint8]:
        row = int(self._at[index])
        return self._reader(self._paths[index]) if row == ELSEWHERE else self._rows[row]

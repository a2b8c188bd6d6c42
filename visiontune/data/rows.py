"""A file of pictures that only grows: each found by a key, each with its checksum, none ever taken for whole that is not."""

from __future__ import annotations

import errno
import os
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

PIXELS, INDEX, LOCK = "pixels", "index", "lock"
LINE = 64 + 1 + 8 + 1  # bytes: hex key, blank, hex checksum, newline
_WHOLE = re.compile(rb"([0-9a-f]{64}) ([0-9a-f]{8})\n")


class Rows:
    """Pictures uint8 (h, w, 3) in a folder, to be used as `with Rows(folder, shape) as rows`; meanwhile no other process may.

    folder/pixels   the pictures, one after the other
    folder/index    a line for each, in the same order: the key, and the crc32 of the pixels

    A picture is written first and its line afterwards. After a kill at any moment what has no whole line is cut off, and a row
    that does not match its checksum - a line that reached the disk before its pixels, a disk that forgot - is not found.
    Opening raises OSError where the folder cannot be written to or locked.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, ...], *, waiting: Callable[[], None] | None = None
    ) -> None:
        self.folder, self.shape = folder, shape
        self.row_bytes = int(np.prod(shape))
        self._waiting = waiting
        self._open = ExitStack()

    def __enter__(self) -> Rows:
        self.folder.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(alone(self.folder / LOCK, self._waiting))
            self._pixels = stack.enter_context(_opened(self.folder / PIXELS))
            self._index = stack.enter_context(_opened(self.folder / INDEX))
            self._recover()
            self._open = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._open.close()

    def __len__(self) -> int:
        return len(self._sums)

    def _recover(self) -> None:
        """Cuts off what was not finished, and learns what is there."""
        lines = self._index.readall()
        count = min(len(lines) // LINE, os.fstat(self._pixels.fileno()).st_size // self.row_bytes)
        self._pixels.truncate(count * self.row_bytes)
        self._index.truncate(count * LINE)
        self._sums: list[int | None] = []
        self._at: dict[str, int] = {}
        for row in range(count):
            line = _WHOLE.fullmatch(lines, row * LINE, (row + 1) * LINE)
            self._sums.append(int(line[2], 16) if line else None)
            if line:
                self._at[line[1].decode()] = row
        self._found = mapped(self.folder / PIXELS, self.shape)
        self._sound: set[int] = set()

    def find(self, key: str) -> int | None:
        """The row of a key, if it is there and matches its checksum. `key` is 64 hex digits."""
        row = self._at.get(key)
        if row is None or row in self._sound:
            return row
        if zlib.crc32(self._found[row].data) != self._sums[row]:
            return None
        self._sound.add(row)
        return row

    def append(self, key: str, picture: NDArray[np.uint8]) -> int:
        """Adds a picture and gives its row. Raises OSError where it cannot be written; then it is as if it had not been tried."""
        row = len(self._sums)
        pixels = np.ascontiguousarray(picture).data
        found = zlib.crc32(pixels)
        _put(self._pixels, row * self.row_bytes, pixels.cast("B"))
        _put(self._index, row * LINE, f"{key} {found:08x}\n".encode())
        self._sums.append(found)
        self._at[key] = row
        self._sound.add(row)
        return row


def mapped(pixels: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The whole rows of a file of pictures uint8 `shape`, mapped into memory, read-only: uint8 (n, *shape)."""
    count = pixels.stat().st_size // int(np.prod(shape)) if pixels.is_file() else 0
    if not count:
        return np.empty((0, *shape), np.uint8)
    return np.asarray(np.memmap(pixels, np.uint8, "r", shape=(count, *shape)))


def _opened(path: Path) -> FileIO:
    """Open for reading and writing, without a buffer; made if it is not there."""
    return FileIO(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666), "r+")


def _put(file: FileIO, at: int, data: Any) -> None:
    file.seek(at)
    if file.write(data) != len(data):  # a full disk takes what it can
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def alone(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Holds the lock of a file, which a killed process gives back; calls `waiting` once if another process holds it."""
    with _opened(path) as file:
        while not _locked(file):
            if waiting is not None:
                waiting()
                waiting = None
            time.sleep(0.1)
        yield


if sys.platform == "win32":
    import msvcrt

    def _locked(file: FileIO) -> bool:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
else:
    import fcntl

    def _locked(file: FileIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

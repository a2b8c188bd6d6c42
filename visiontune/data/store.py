"""Decodes and fits every picture of a dataset once, so that no epoch pays for a JPEG again."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnxruntime
import PIL
from numpy.typing import NDArray

from visiontune.data.fit import Fit
from visiontune.data.frames import ELSEWHERE, Frames, Reader, Stored
from visiontune.data.rows import LINE, PIXELS, Rows
from visiontune.data.samples import Dataset
from visiontune.runtime.errors import BadData, one_line
from visiontune.runtime.frame import FULL_WINDOW, Window

VERSION = 1  # raise it when `decode` or `Fit` come to give other pixels for the same file
GIGABYTE = 10**9
RESERVE = GIGABYTE  # that the store leaves free on the disk
_WAY = re.compile(r"\d+x\d+-[0-9a-f]{16}")

Say = Callable[[str], None]
Progress = Callable[[int], None]


def load(
    dataset: Dataset,
    fit: Fit,
    *,
    window: Window | None = None,
    wanted: Sequence[int] | None = None,
    folder: str | Path | None = None,
    store_gb: float = 10.0,
    say: Say | None = None,
    progress: Progress | None = None,
) -> Frames:
    """All pictures of `dataset`, decoded and fitted: uint8 (n, h, w, 3), in the dataset's order.

    window    of 16-bit grey; see `decode`.
    wanted    numbers of the pictures that a folder shall keep, all if None; the others are not opened until they are asked for.
    folder    where the decoded pictures are kept, to be mapped into memory; None keeps them in RAM. Pictures that are there
              already are not decoded again: each is known by the sha256 of its file, together with size, region, window and
              the versions of what decodes. So a folder may be shared by runs, data sets and shares, and a kill at any moment
              costs the one picture that was being written. A row is checked against its checksum before it is used.
    store_gb  disk space in gigabytes that the folder may take in all; 1 GB of the disk stays free in any case. Pictures
              that do not fit, or a folder that cannot be written to, are decoded from their files every time they are asked
              for: slower, with the same pixels.
    say       is told, before it starts, what the folder will hold, and afterwards what did not fit.
    progress  is called with 1 for each picture.

    Raises BadFrame with the path of the first picture of those that cannot be read, the others' when they are asked for, and
    BadData for one that changes meanwhile: a picture is never replaced by another.
    """
    reader = Reader(fit, window)
    paths = [sample.path for sample in dataset]
    if folder is None:
        return _in_memory(paths, reader, progress)
    say = say or _silence
    place = Path(folder) / _name(reader)
    at = np.full(len(paths), ELSEWHERE, np.int64)
    some = range(len(paths)) if wanted is None else wanted
    try:
        with Rows(
            place, (*fit.size, 3), waiting=lambda: say(f"waiting for another run to fill {folder}")
        ) as rows:
            filling = _Filling(rows, paths, reader, at, room=_room(Path(folder), store_gb))
            say(
                f"pictures are decoded once: {len(some)} take at most {_size(len(some) * filling.each)} in {folder}, "
                f"which may take {_size(max(0, filling.room))} more"
            )
            each(some, filling.put, progress)
            reason = filling.reason
    except OSError as error:  # no folder to keep them in; whether they can be read is found out all the same
        reason = error.strerror or one_line(error)
        each(some, lambda index: reader(paths[index]), progress)
    left = int((at[list(some)] == ELSEWHERE).sum())
    if left:
        say(
            f"{left} of {len(some)} pictures are not kept in {folder} ({reason}): decoded anew each time they are asked for"
        )
    return Stored(place / PIXELS, at, paths, reader)


def remove(folder: str | Path) -> None:
    """Takes away what `load` kept in the folder, and the folder if nothing else is in it. What is mapped stays readable.

    (Where the system lets open files be removed; where not, they stay.)
    """
    for way in _ways(Path(folder)):
        shutil.rmtree(way, ignore_errors=True)
    with suppress(OSError):
        Path(folder).rmdir()


def each(numbers: Sequence[int], do: Callable[[int], object], progress: Progress | None) -> None:
    """Calls `do` with each number on a few threads, `progress` with 1 after each; raises what the first that failed raised."""
    with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
        for _ in pool.map(do, numbers):
            if progress is not None:
                progress(1)


def _in_memory(paths: Sequence[Path], reader: Reader, progress: Progress | None) -> NDArray[np.uint8]:
    frames = np.empty((len(paths), *reader.fit.size, 3), np.uint8)

    def put(index: int) -> None:
        frames[index] = reader(paths[index])

    each(range(len(paths)), put, progress)
    return frames


class _Filling:
    """Finds the row of every picture, and adds those that are not there as long as there is room (in bytes)."""

    def __init__(
        self, rows: Rows, paths: Sequence[Path], reader: Reader, at: NDArray[np.int64], *, room: float
    ) -> None:
        self.rows, self.paths, self.reader, self.at, self.room = rows, paths, reader, at, room
        self.each = rows.row_bytes + LINE
        self.reason = "store_gb is used up, or the disk nearly full"
        self._door = threading.Lock()

    def put(self, index: int) -> None:
        """Settles where picture `index` is; decodes it if it is nowhere. Runs on several threads at once."""
        path = self.paths[index]
        before = _stamp(path)
        key = None if before is None else _digest(path)
        row = None if key is None else self.rows.find(key)
        if row is None:
            picture = self.reader(path)
            if _stamp(path) != before:
                raise BadData(
                    f"{path}: expected a file that stays as it is, found that it changed while it was read; wait"
                )
            row = ELSEWHERE if key is None else self._kept(key, picture)
        self.at[index] = row

    def _kept(self, key: str, picture: NDArray[np.uint8]) -> int:
        with self._door:
            row = self.rows.find(key)  # the same picture under another name, met by another thread
            if row is not None:
                return row
            if self.room < self.each:
                return ELSEWHERE
            try:
                row = self.rows.append(key, picture)
            except OSError as error:
                self.room, self.reason = 0, error.strerror or one_line(error)
                return ELSEWHERE
            self.room -= self.each
            return row


def _name(reader: Reader) -> str:
    """The folder for pictures made in this way: size, and a hash of all that their pixels depend on besides the file."""
    fit = reader.fit
    way = {
        "store": VERSION,
        "size": fit.size,
        "roi": fit.roi,
        "window": reader.window or FULL_WINDOW,
        "pillow": PIL.__version__,  # its JPEG decoder has changed before
        "onnxruntime": onnxruntime.__version__,
    }
    height, width = fit.size
    return f"{height}x{width}-{hashlib.sha256(json.dumps(way, sort_keys=True).encode()).hexdigest()[:16]}"


def _ways(folder: Path) -> list[Path]:
    """The folders in the store, one for each way to make pictures; whatever else lies there is not ours."""
    return [path for path in folder.glob("*") if _WAY.fullmatch(path.name) and path.is_dir()]


def _room(folder: Path, store_gb: float) -> float:
    """Bytes that may be added to the folder."""
    used = sum(file.stat().st_size for way in _ways(folder) for file in way.iterdir())
    return min(store_gb * GIGABYTE - used, shutil.disk_usage(folder).free - RESERVE)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; None for what is no file."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _digest(path: Path) -> str | None:
    """Hex sha256 of a file; None where it cannot be read, of which decoding will say more."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _size(count: float) -> str:
    """A number of bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= GIGABYTE else f"{count / 1e6:.1f} MB"


def _silence(line: str) -> None:
    """Says nothing."""

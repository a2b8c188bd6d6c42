"""Tells which picture files in a folder have landed whole, by looking at it again and again.

Polling, because it works alike on local disks, network shares and what cameras mount; none of them announces a finished file.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from visiontune.runtime.errors import BadData, one_line
from visiontune.runtime.frame import is_picture


@dataclass(frozen=True, slots=True)
class Landed:
    """One picture file as it lay there: the same name with another size or time is another picture."""

    path: Path
    size: int
    mtime_ns: int

    def still(self) -> bool:
        """Whether the file still lies there as it did, so that what was read of it was whole."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.mtime_ns)


class Landing:
    """Looks into one folder, not into those below it, for files whose names end like a picture's.

    folder    where pictures land
    settle_s  seconds that size and time of a file must stay as they are before it counts as whole, by our own clock: that of
              a share may be wrong. 0 where the writer renames whole files into the folder: then a file is taken at first sight

    Hidden names (.part.png) are left alone, and so are links. Memory goes with the files that lie there now.
    """

    def __init__(self, folder: Path, *, settle_s: float) -> None:
        self.folder = folder
        self.settle_s = settle_s
        self._seen: dict[str, tuple[Landed, float]] = {}  # and since when it looks like that
        self._done: dict[str, Landed] = {}

    def look(self) -> list[Landed]:
        """The pictures that are whole and not done, in the order in which they were written.

        Raises BadData if the folder cannot be read.
        """
        present = self._present()
        now = monotonic()
        seen: dict[str, tuple[Landed, float]] = {}
        for name, landed in present.items():
            before = self._seen.get(name)
            seen[name] = before if before is not None and before[0] == landed else (landed, now)
        self._seen = seen
        self._done = {name: landed for name, landed in self._done.items() if present.get(name) == landed}
        whole = [landed for name, (landed, since) in seen.items() if self._is_due(name, now - since)]
        return sorted(whole, key=lambda landed: (landed.mtime_ns, landed.path.name))

    def done(self, landed: Landed) -> None:
        """It stays there and is not to come again as long as it is as it is."""
        self._done[landed.path.name] = landed

    def gone(self, landed: Landed) -> None:
        """It was moved away: the next of its name is a new one, even where the camera's disk gives it the same time and size."""
        self._seen.pop(landed.path.name, None)

    def names(self) -> set[str]:
        """What lay there at the last look."""
        return set(self._seen)

    def waiting(self) -> int:
        """How many files lay there at the last look that are not done."""
        return len(self._seen.keys() - self._done.keys())

    def _is_due(self, name: str, unchanged_s: float) -> bool:
        return name not in self._done and unchanged_s >= self.settle_s

    def _present(self) -> dict[str, Landed]:
        found: dict[str, Landed] = {}
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or not is_picture(Path(entry.name)):
                        continue
                    if landed := _landed(entry):
                        found[entry.name] = landed
        except OSError as error:
            raise BadData(
                f"{self.folder}: expected a readable folder, found {one_line(error)}; check path and permissions"
            ) from error
        return found


def _landed(entry: os.DirEntry[str]) -> Landed | None:
    try:
        if not entry.is_file(follow_symlinks=False):
            return None
        found = Path(entry.path).stat()  # entry.stat() is stale on Windows while a file is being written
    except FileNotFoundError:  # taken away as we looked
        return None
    return Landed(Path(entry.path), found.st_size, found.st_mtime_ns)

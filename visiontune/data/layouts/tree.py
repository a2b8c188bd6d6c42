"""What may be taken from a folder: picture files, class folders, split names, and only what lies inside."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from visiontune.data.problems import Problem
from visiontune.runtime.frame import is_picture

_SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
_DRIVE = re.compile(r"[A-Za-z]:")


def split_named(name: str) -> str | None:
    """The split that a name means, in any case ("Valid" -> "val"), or None."""
    return _SPLITS.get(name.strip().lower())


def folders(root: Path) -> list[Path]:
    """The folders in `root`, sorted; hidden ones and what archives leave behind are passed over."""
    return [root / entry.name for entry in _entries(root) if _is_folder(entry)]


def pictures(root: Path, *, deep: bool = False) -> list[Path]:
    """The picture files in `root` (and below it where `deep`), sorted, told by their suffix.

    Folders below that are links are not entered: they may lead round in circles, or to the whole disk.
    """
    found: list[Path] = []
    left = [root]
    while left:
        folder = left.pop()
        entries = _entries(folder)
        paths = [folder / entry.name for entry in entries if not _is_folder(entry)]
        found += [path for path in paths if is_picture(path)]
        if deep:
            left += [folder / entry.name for entry in entries[::-1] if entry.is_dir(follow_symlinks=False)]
    return found


def holds_pictures(root: Path) -> bool:
    """Whether a picture lies straight in `root`."""
    return any(is_picture(root / entry.name) and not _is_folder(entry) for entry in _entries(root))


def _entries(root: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, sorted by name, without hidden names; nothing where there is no such folder."""
    if not root.is_dir():
        return []
    with os.scandir(root) as entries:
        found = [entry for entry in entries if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    return sorted(found, key=lambda entry: entry.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a ring of links
        return False


class Inside:
    """Tells for names from a source whether they are files inside `root`, however the name is dressed up."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real = root.resolve()
        self._folders: dict[Path, bool] = {}

    def place(self, name: str) -> str | Problem:
        """The clean id of the file that `name` means, a posix path relative to the root, or the problem with it.

        Refused: NUL bytes, absolute paths, drives, any `..`, links that lead out of the root, what is missing or no file.
        A backslash is read as `/`, for manifests that were written on Windows.
        """
        if not name or "\0" in name:
            return Problem("bad-name", name, "NUL in the name" if name else "empty")
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        if name[0] in "/\\" or _DRIVE.match(name):
            return Problem("outside", name, "absolute path")
        if ".." in parts:
            return Problem("outside", name, "'..' in the path")
        if not parts:
            return Problem("bad-name", name, "names a folder")
        try:
            return self._look("/".join(parts), name)
        except (
            OSError,
            RuntimeError,
            ValueError,
        ) as error:  # too long, not encodable, a ring of links, forbidden
            return Problem("bad-name", name, str(getattr(error, "strerror", None) or error))

    def _look(self, id: str, name: str) -> str | Problem:
        path = self._root / id
        if not self.contains(path.parent):
            return Problem("outside", name, f"a link leads to {path.parent.resolve()}")
        try:
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode):
                target = path.resolve()
                if not target.is_relative_to(self._real):
                    return Problem("outside", name, f"a link leads to {target}")
                mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return Problem("missing-file", name)
        if not stat.S_ISREG(mode):
            return Problem("bad-name", name, "not a file")
        return id

    def contains(self, folder: Path) -> bool:
        """Whether a folder lies in the root when all links are followed."""
        known = self._folders.get(folder)
        if known is None:
            known = self._folders[folder] = folder.resolve().is_relative_to(self._real)
        return known

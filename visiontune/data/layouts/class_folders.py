"""The class-folder layout: one folder of pictures for each class, also under train/, val/ and test/."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from visiontune.data.layouts.reading import Reading
from visiontune.data.layouts.tree import Inside, folders, holds_pictures, pictures, split_named
from visiontune.data.problems import Problem
from visiontune.data.samples import Sample

NAME = "class_folders"
EXPECTS = "one folder of pictures for each class, also under train/, val/, test/"


def recognise(root: Path) -> str | None:
    """A folder holds pictures, or one called train, val or test holds folders of pictures."""
    if _shares(root):
        return "class folders under split folders"
    return "class folders" if any(holds_pictures(folder) for folder in folders(root)) else None


def read(root: Path, *, ignore: Set[str] = frozenset()) -> Reading:
    """Reads CLASS/*.png or SPLIT/CLASS/*.png; valid and validation mean val, training train, testing test, in any case.

    The folder's name is the label. Folders called like splits are splits only where they hold class folders, so a class
    may be called "train". Pictures deeper down, beside the class folders, or in folders beside the splits are problems, and
    so is a class folder without a picture. Files that are no pictures are passed over.
    """
    shares = _shares(root)
    reading = Reading(title="class folders")
    inside = Inside(root)
    if not shares:
        _read_classes(root, inside, "", None, reading)
        return reading
    reading.split_by = None if "split" in ignore else "the folders"
    for folder in folders(root):
        if folder in shares:
            split = None if "split" in ignore else split_named(folder.name)
            _read_classes(root, inside, f"{folder.name}/", split, reading)
        elif holds_pictures(folder) or any(holds_pictures(deeper) for deeper in folders(folder)):
            reading.problems.append(Problem("stray-folder", folder.name, "beside the splits"))
        elif split_named(folder.name):
            reading.problems.append(Problem("empty-class", folder.name, "a split without class folders"))
    return reading


def _shares(root: Path) -> list[Path]:
    """The folders that are splits: called so, and with class folders in them."""
    return [
        folder
        for folder in folders(root)
        if split_named(folder.name) and any(holds_pictures(deeper) for deeper in folders(folder))
    ]


def _read_classes(root: Path, inside: Inside, at: str, split: str | None, reading: Reading) -> None:
    """Adds the pictures of all class folders under root/at."""
    loose = [f"{at}{picture.name}" for picture in pictures(root / at)]
    reading.problems += [Problem("no-label", name, "beside the class folders") for name in loose]
    for folder in folders(root / at):
        ours = inside.contains(folder)  # the whole disk behind a link is not searched
        deeper = [inner for inner in folders(folder) if pictures(inner, deep=ours and not inner.is_symlink())]
        reading.problems += [
            Problem("stray-folder", inner.relative_to(root).as_posix(), "inside a class folder")
            for inner in deeper
        ]
        found = pictures(folder)
        if not found and not deeper:
            reading.problems.append(Problem("empty-class", f"{at}{folder.name}"))
        for picture in found:
            id = inside.place(f"{at}{folder.name}/{picture.name}")
            if isinstance(id, Problem):
                reading.problems.append(id)
            else:
                reading.samples.append(
                    Sample(id=id, path=root / id, label=folder.name, group=id, split=split)
                )

"""The images-and-masks layout: a picture under images/, a mask with the same stem under masks/."""

from __future__ import annotations

import os
from collections.abc import Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from visiontune.data.layouts.headers import mask_problems
from visiontune.data.layouts.reading import NOTHING, Reading
from visiontune.data.layouts.tree import Inside, folders, pictures, split_named
from visiontune.data.problems import Problem
from visiontune.data.samples import Sample
from visiontune.runtime.errors import one_line
from visiontune.runtime.frame import FORMATS, check_extent

NAME = "masks"
EXPECTS = "images/ and masks/ with the same file stems"
STRIP = 512  # rows of a mask that are looked at together
DEFECT = "defect"  # the class of a picture whose mask marks something and that no folder names


def recognise(root: Path) -> str | None:
    """The folders images and masks lie in the folder."""
    return "images/ and masks/" if all((root / name).is_dir() for name in ("images", "masks")) else None


def read(root: Path, *, ignore: Set[str] = frozenset()) -> Reading:
    """Reads images/[SPLIT/][CLASS/]STEM.* and masks/[SPLIT/][CLASS/]STEM.* (or STEM_mask.*).

    With class folders the folder is the label. A class without any mask is known by its label alone (the good class, or
    defects nobody outlined); where some pictures of a class have a mask, one without is a problem. Without class folders
    every picture needs a mask, and its content is the label: "defect" where it marks anything, the good class where it
    is all black. This is the one place where a reader decodes pixels, of masks only. `ignore=("mask",)` drops the masks
    (the labels taken from them stay).
    """
    reading = Reading(title="images with masks")
    inside = Inside(root)
    top = folders(root / "images")
    if top and all(split_named(folder.name) for folder in top):
        reading.split_by = None if "split" in ignore else "the folders"
        for folder in top:
            split = None if "split" in ignore else split_named(folder.name)
            _Share(root, inside, folder.name, split, reading).read()
    else:
        _Share(root, inside, "", None, reading).read()
    reading.problems += mask_problems(root, reading.samples)
    if "mask" in ignore:
        reading.samples = [replace(sample, mask=None) for sample in reading.samples]
    return reading


def masks_by_stem(root: Path, inside: Inside, folder: str) -> dict[str, Path]:
    """The masks in a folder by the stem of their picture; `STEM_mask` goes before `STEM`. Masks outside the root are left out."""
    found = {path.stem: path for path in pictures(root / folder)}
    found |= {stem.removesuffix("_mask"): path for stem, path in found.items() if stem.endswith("_mask")}
    return {
        stem: path for stem, path in found.items() if isinstance(inside.place(f"{folder}/{path.name}"), str)
    }


class _Share:
    """The pictures and masks of one split, or of the whole where there are no splits."""

    def __init__(self, root: Path, inside: Inside, name: str, split: str | None, reading: Reading) -> None:
        self.root = root
        self.inside = inside
        self.images, self.masks = (f"{top}/{name}".rstrip("/") for top in ("images", "masks"))
        self.split = split
        self.reading = reading

    def read(self) -> None:
        """Adds the samples of this share."""
        classes = folders(self.root / self.images)
        if not classes:
            self._read_flat()
            return
        for picture in pictures(self.root / self.images):
            self.reading.problems.append(
                Problem("no-label", f"{self.images}/{picture.name}", "beside class folders")
            )
        for folder in classes:
            self._read_class(folder.name)

    def _read_class(self, label: str) -> None:
        found = self._pairs(f"{self.images}/{label}", f"{self.masks}/{label}")
        if not found:
            self.reading.problems.append(Problem("empty-class", f"{self.images}/{label}"))
        outlined = any(mask is not None for mask in found.values())
        for id, mask in found.items():
            if outlined and mask is None:
                self.reading.problems.append(Problem("mask-missing", id))
            self._add(id, label, mask)

    def _read_flat(self) -> None:
        found = self._pairs(self.images, self.masks)
        with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
            marked = list(pool.map(_marks, found.values()))
        for (id, mask), mark in zip(found.items(), marked, strict=True):
            if mask is None:
                self.reading.problems.append(Problem("mask-missing", id))
            elif isinstance(mark, str):
                self.reading.problems.append(
                    Problem("unreadable", mask.relative_to(self.root).as_posix(), mark)
                )
            else:
                self._add(id, DEFECT if mark else NOTHING, mask)

    def _pairs(self, images: str, masks: str) -> dict[str, Path | None]:
        """Ids of the pictures in a folder, with their masks."""
        known = masks_by_stem(self.root, self.inside, masks)
        found: dict[str, Path | None] = {}
        for picture in pictures(self.root / images):
            id = self.inside.place(f"{images}/{picture.name}")
            if isinstance(id, Problem):
                self.reading.problems.append(id)
            else:
                found[id] = known.get(picture.stem)
        return found

    def _add(self, id: str, label: str, mask: Path | None) -> None:
        self.reading.samples.append(
            Sample(id=id, path=self.root / id, label=label, mask=mask, group=id, split=self.split)
        )


def _marks(mask: Path | None) -> bool | str:
    """Whether a mask marks anything, or why it cannot be read."""
    if mask is None:
        return False
    try:
        with Image.open(mask, formats=FORMATS) as picture:
            check_extent(picture, "mask")
            return any(_strip_marks(picture, top) for top in range(0, picture.height, STRIP))
    except Exception as error:  # Pillow's plugins raise anything at all on a broken file
        return one_line(error)


def _strip_marks(mask: Image.Image, top: int) -> bool:
    """Whether a mask marks anything in the rows from `top` on; whole, a large one would lie in memory three times."""
    strip = mask.crop((0, top, mask.width, min(top + STRIP, mask.height)))
    opaque = strip.convert("RGB") if strip.mode in ("RGBA", "LA", "PA") else strip
    return bool(np.asarray(opaque).any())

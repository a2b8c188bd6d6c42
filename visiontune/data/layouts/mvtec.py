"""The MVTec layout: good parts to learn from, good and defective ones to test with, a mask for each defective one."""

from __future__ import annotations

from collections.abc import Set
from pathlib import Path

from visiontune.data.layouts.headers import mask_problems
from visiontune.data.layouts.masks import masks_by_stem
from visiontune.data.layouts.reading import Reading
from visiontune.data.layouts.tree import Inside, folders, pictures
from visiontune.data.problems import Problem
from visiontune.data.samples import Sample

NAME = "mvtec"
EXPECTS = "train/good, test/KIND and ground_truth/KIND/STEM_mask.png (MVTec)"
GOOD = "good"
_FOLDERS = (f"train/{GOOD}", "test", "ground_truth")


def recognise(root: Path) -> str | None:
    """train/good, test and ground_truth lie in the folder."""
    return "train/good, test, ground_truth" if all((root / at).is_dir() for at in _FOLDERS) else None


def read(root: Path, *, ignore: Set[str] = frozenset()) -> Reading:
    """Reads train/good, test/KIND and ground_truth/KIND/STEM_mask.* (or STEM.*).

    MVTec has no val and no defect in train; the reader invents neither: train stays train, test stays test. What `split`
    does with them: by default it carves val out of train, which gives good parts only; `val_from="test"` divides test
    into val and test, so that thresholds can be set on defects; `read(..., ignore=("split",))` forgets the source's
    splits, so that a supervised head gets defects to learn from.

    Good parts have no mask; a defective part without one is a problem (`ignore=("mask",)` reads no masks at all).
    """
    reading = Reading(title="MVTec layout", split_by=None if "split" in ignore else "the folders")
    inside = Inside(root)
    for split in ("train", "test"):
        for folder in folders(root / split):
            _read_kind(root, inside, split, folder, ignore, reading)
    reading.problems += mask_problems(root, reading.samples)
    return reading


def _read_kind(
    root: Path, inside: Inside, split: str, folder: Path, ignore: Set[str], reading: Reading
) -> None:
    """Adds the pictures of one kind in one split."""
    found = pictures(folder)
    if not found:
        reading.problems.append(Problem("empty-class", f"{split}/{folder.name}"))
    truth = f"ground_truth/{folder.name}"
    wanted = folder.name != GOOD and "mask" not in ignore
    masks = masks_by_stem(root, inside, truth) if wanted else {}
    for picture in found:
        id = inside.place(f"{split}/{folder.name}/{picture.name}")
        if isinstance(id, Problem):
            reading.problems.append(id)
            continue
        mask = masks.get(picture.stem)
        if wanted and mask is None:
            reading.problems.append(Problem("mask-missing", id, f"{truth}/{picture.stem}_mask.png"))
        own_split = None if "split" in ignore else split
        reading.samples.append(
            Sample(id=id, path=root / id, label=folder.name, mask=mask, group=id, split=own_split)
        )

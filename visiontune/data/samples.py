"""What the lab learns from: pictures with their labels, groups and splits, and the data set that holds them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from visiontune.data.problems import Problem
from visiontune.runtime.errors import BadData

SPLITS = ("train", "val", "test")
UNSPLIT = "unsplit"  # the name that `counts` gives to pictures without a split
UNLABELLED = "unlabelled"  # and to pictures without a label
SPAN = 256  # pictures that one task of the thread pool digests


@dataclass(frozen=True, slots=True)
class Box:
    """One object in a picture: its kind and its corners in pixels, 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height.

    What is to be ignored (a crowd, something too difficult to tell) is neither an object to be found nor good ground.
    """

    kind: str
    x0: float
    y0: float
    x1: float
    y1: float
    ignore: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture and what is known of it.

    `id` is its path inside the data set's folder, with `/`. `mask` is a picture of the same size, 0 where the part is good.
    `boxes` is None where boxes are not known and () where the picture is known to hold none. `group` names what must
    never straddle a split: a part, a patient, a drive-past. `attributes` holds whatever else the source said (camera, lot).
    """

    id: str
    path: Path
    label: str | None
    mask: Path | None = None
    boxes: tuple[Box, ...] | None = None
    group: str
    split: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Pictures of one job, as a reader found them.

    `layout` is one line for people: what was recognised. `classes` are the labels that occur, the good one first where there
    is one, the rest sorted. `notes` are decisions that a person should read; `problems` are what `read(strict=False)`
    found wrong and left out. `provenance` says how the data were read and split, for the model card.
    """

    root: Path
    layout: str
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    good: str | None
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds that boxes carry, sorted, without boxes to ignore; a kind may occur here and be no picture's label."""
        return tuple(sorted({box.kind for sample in self for box in sample.boxes or () if not box.ignore}))

    def share(self, split: str) -> Dataset:
        """The pictures of one split, with the classes of the whole. Raises BadData for another name than train, val, test."""
        if split not in SPLITS:
            raise BadData(f"expected a split of {', '.join(SPLITS)}; found {split!r}")
        return replace(self, samples=tuple(sample for sample in self if sample.split == split))

    def counts(self) -> dict[str, dict[str, int]]:
        """Pictures by split and class, zeros included; "unsplit" and "unlabelled" appear only where there are such."""
        found = {sample.split or UNSPLIT for sample in self}
        table = {split: dict.fromkeys(self.classes, 0) for split in (*SPLITS, UNSPLIT) if split in found}
        for sample in self:
            row = table[sample.split or UNSPLIT]
            label = UNLABELLED if sample.label is None else sample.label
            row[label] = row.get(label, 0) + 1
        return table

    def digest(self) -> str:
        """Hex sha256 of what the data set says, wherever its folder lies and in whatever order it was read.

        Over the sorted lines of each picture's id, label, split, group and the sha256 of its file, and where it has them
        the sha256 of its mask and its boxes. Streams the files. Raises BadData where a file cannot be read.
        """
        whole = hashlib.sha256()
        spans = [self.samples[start : start + SPAN] for start in range(0, len(self), SPAN)]
        with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
            lines = [line for some in pool.map(_lines, spans) for line in some]
        for line in sorted(lines):
            whole.update(line.encode("ascii") + b"\n")
        return whole.hexdigest()


def _lines(samples: tuple[Sample, ...]) -> list[str]:
    return [_line(sample) for sample in samples]


def _line(sample: Sample) -> str:
    """One sample as one line of ASCII JSON, so that no name can imitate another field or line."""
    fields: list[object] = [sample.id, sample.label, sample.split, sample.group, _file_digest(sample.path)]
    if sample.mask is not None or sample.boxes is not None:
        fields.append(None if sample.mask is None else _file_digest(sample.mask))
    if sample.boxes is not None:
        fields.append(sorted(map(_box_fields, sample.boxes)))
    return json.dumps(fields)


def _box_fields(box: Box) -> list[str | float]:
    ignored = [1.0] if box.ignore else []
    return [box.kind, *map(float, (box.x0, box.y0, box.x1, box.y1)), *ignored]


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadData(
            f"{path}: expected a file to read, found: {error.strerror or error}; restore it"
        ) from None

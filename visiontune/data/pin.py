"""Writes a data set down as a manifest, so that its splits and groups stay as they are whatever is added later."""

from __future__ import annotations

import csv
import os
from pathlib import Path

from visiontune.data.layouts.manifest import FILE, IGNORE, KNOWN, NO_BOXES
from visiontune.data.problems import shown
from visiontune.data.samples import Box, Dataset, Sample
from visiontune.runtime.errors import BadData


def pin(dataset: Dataset, *, overwrite: bool = False) -> Path:
    """Writes `manifest.csv` into the data set's folder and returns its path; `read` then finds the same samples.

    New pictures are added as rows with an empty split, which `split` fills in without moving the others. Raises BadData
    where a manifest is there already and `overwrite` is False, and for names that a manifest cannot hold: with spaces at
    their ends, a backslash or bytes that are no UTF-8, box kinds with `|`.
    """
    path = dataset.root / FILE
    if path.exists() and not overwrite:
        raise BadData(f"{path}: expected no manifest yet, found one; pass overwrite=True to replace it")
    attributes = sorted({name for sample in dataset for name in sample.attributes})
    columns = [*KNOWN, *attributes]
    rows = [cells(dataset.root, sample, attributes) for sample in dataset]
    part = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def cells(root: Path, sample: Sample, attributes: list[str]) -> list[str]:
    """The row of a sample: the known columns, then these attributes. Raises BadData for what a manifest cannot hold."""
    mask = "" if sample.mask is None else sample.mask.relative_to(root).as_posix()
    known = [sample.id, sample.label or "", mask, _boxes(sample), sample.group, sample.split or ""]
    row = [*known, *(sample.attributes.get(name, "") for name in attributes)]
    for cell in row:
        if cell != cell.strip() or "\\" in sample.id + mask or "\0" in cell or not _is_utf8(cell):
            raise BadData(f"{root / FILE}: cannot hold '{shown(cell)}' of {shown(sample.id)}; rename it")
    return row


def _is_utf8(text: str) -> bool:
    """Whether a name can be written as UTF-8; a file's name may hold bytes that cannot."""
    return text == text.encode("utf-8", "replace").decode("utf-8")


def _boxes(sample: Sample) -> str:
    if sample.boxes is None:
        return ""
    return " | ".join(_box(sample, box) for box in sample.boxes) or NO_BOXES


def _box(sample: Sample, box: Box) -> str:
    if "|" in box.kind or box.kind != " ".join(box.kind.split()):
        raise BadData(f"{sample.path}: a manifest cannot hold the kind '{shown(box.kind)}'; rename it")
    ignored = f" {IGNORE}" if box.ignore else ""
    return f"{box.kind} {box.x0!r} {box.y0!r} {box.x1!r} {box.y1!r}{ignored}"

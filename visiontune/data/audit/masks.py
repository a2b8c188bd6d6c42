"""Findings on masks: missing, unreadable, empty where there is a defect, marked where there is none, of odd values or size."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, Harm
from visiontune.data.audit.look import Progress
from visiontune.runtime.errors import one_line
from visiontune.runtime.frame import FORMATS

COVERED = 0.9  # share of a picture from which a mask looks as if it were turned inside out


@dataclass(frozen=True, slots=True)
class Mask:
    """What a mask holds: how many different values, the share of the picture that is not 0; or why it cannot be read."""

    values: int = 0
    marked: float = 0.0
    error: str | None = None


SAYINGS: dict[str, tuple[Harm, str, str]] = {
    "mask-unreadable": ("serious", "masks that cannot be read: {n}", "save them again or take them out"),
    "mask-on-good": (
        "serious",
        "labelled {good}, but with a mask that marks a defect: {n}",
        "look at them: either the label or the mask is wrong",
    ),
    "mask-empty": (
        "check",
        "labelled defective, but with an empty mask: {n} ({kinds})",
        "outline the defect, or correct the label; training takes an empty mask for 'nobody knows where'",
    ),
    "mask-missing": (
        "check",
        "defective and without a mask, while others of the class have one: {n} ({kinds})",
        "outline them, or train with labels only",
    ),
    "mask-values": (
        "check",
        "masks with more than two values: {n}",
        "save masks without smoothing and without loss (PNG); every value but 0 counts as defect",
    ),
    "mask-covers-all": (
        "check",
        "masks that mark more than nine tenths of the picture: {n} ({kinds})",
        "check that 0 is the background and not the defect",
    ),
}


def findings(evidence: Evidence, progress: Progress | None = None) -> Iterator[Finding]:
    """Reads every mask once, in threads, and says what is wrong with them."""
    where = [i for i, sample in enumerate(evidence.samples) if sample.mask is not None]
    if not where:
        return
    held: dict[int, Mask] = {}
    with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
        paths = [path for i in where if (path := evidence.samples[i].mask) is not None]
        for i, mask in zip(where, pool.map(_read, paths), strict=True):
            held[i] = mask
            if progress:
                progress(1)
    for code, places in _faults(evidence, held).items():
        harm, title, advice = SAYINGS[code]
        kinds = ", ".join(sorted({str(evidence.samples[i].label) for i in places}))
        yield Finding(
            code=code,
            harm=harm,
            title=title.format(n=len(places), kinds=kinds, good=evidence.dataset.good),
            count=len(places),
            files=evidence.ids(places),
            numbers={"masks": len(where)},
            details={evidence.samples[i].id: _said(held.get(i)) for i in places},
            advice=advice,
        )


def _faults(evidence: Evidence, held: dict[int, Mask]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    good = evidence.dataset.good
    for i, mask in held.items():
        label = evidence.samples[i].label
        if mask.error is not None:
            found["mask-unreadable"].append(i)
            continue
        if mask.marked and label is not None and label == good:
            found["mask-on-good"].append(i)
        if not mask.marked and label not in (None, good):
            found["mask-empty"].append(i)
        if mask.values > 2:
            found["mask-values"].append(i)
        if mask.marked > COVERED:
            found["mask-covers-all"].append(i)
    outlined = {evidence.samples[i].label for i in held} - {good, None}
    known = {problem.path for problem in evidence.dataset.problems if problem.kind == "mask-missing"}
    for i, sample in enumerate(evidence.samples):
        if sample.mask is None and sample.label in outlined and sample.id not in known:
            found["mask-missing"].append(i)
    return found


def _read(path: Path) -> Mask:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            opaque = picture.convert("RGB") if picture.mode in ("RGBA", "LA", "PA") else picture
            pixels = np.asarray(opaque)
    except Exception as error:  # Pillow's plugins raise anything at all on a broken file
        return Mask(error=one_line(error))
    flat = pixels.max(2) if pixels.ndim == 3 else pixels
    return Mask(values=len(np.unique(flat)), marked=float(np.count_nonzero(flat)) / flat.size)


def _said(mask: Mask | None) -> str:
    if mask is None:
        return "no mask"
    return mask.error or f"{mask.values} values, {mask.marked:.1%} marked"

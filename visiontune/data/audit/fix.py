"""Writes what an audit learned as a manifest: the same pictures with found groups, without what cannot be trained on."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

from visiontune.data.audit.clusters import members
from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding
from visiontune.data.audit.shortcuts import AUDITED
from visiontune.data.layouts.manifest import KNOWN
from visiontune.data.pin import cells
from visiontune.data.samples import Sample
from visiontune.runtime.errors import BadData

SAID = {  # what the column `audit` says of the pictures of a finding
    "near-copies": "practically the same as another picture",
    "labels-differ": "its part bears another label elsewhere",
    "label-suspects": "the picture contradicts its label",
    "mask-on-good": "good, with a mask that marks a defect",
    "mask-empty": "empty mask",
    "mask-size": "mask of another size",
    "mask-unreadable": "mask cannot be read",
    "box-kind": "boxes do not fit the label",
    "box-twice": "one object boxed twice",
}


def write_fixed(evidence: Evidence, findings: Sequence[Finding], path: str | Path) -> dict[str, int]:
    """Writes the cleaned manifest to `path`, which must not exist; gives counts of what was changed. Touches no picture.

    Paths are relative to the data set's folder: as DATA/manifest.csv the file is read in place of the old layout. Left out:
    pictures that cannot be decoded, that have no label, all but the first of byte for byte copies, and all of the copies
    that bear different labels. Groups: the given ones, joined where they show the same part; where none were given, the
    found parts. A split of the source stays where it keeps whole groups together; it is taken from the others, so that
    `split` decides anew. Masks that cannot be read or fit their picture are dropped. The column `audit` says what a person
    should look at. Raises BadData where the file exists or a name cannot stand in a manifest.
    """
    path = Path(path)
    kept, counts = _kept(evidence)
    groups = _groups(evidence)
    torn = {
        group
        for group, places in members(groups).items()
        if len({evidence.samples[i].split for i in places} - {None}) > 1
    }
    counts["splits_taken_back"] = sum(groups[i] in torn for i in kept)
    said = _said(findings)
    bad_masks = {name for f in findings if f.code in ("mask-size", "mask-unreadable") for name in f.files}
    names = sorted({name for i in kept for name in evidence.samples[i].attributes} - {AUDITED})
    rows = []
    for i in kept:
        old = evidence.samples[i]
        new = Sample(
            id=old.id,
            path=old.path,
            label=old.label,
            mask=None if old.id in bad_masks else old.mask,
            boxes=old.boxes,
            group=groups[i],
            split=None if groups[i] in torn else old.split,
            attributes=old.attributes,
        )
        rows.append([*cells(evidence.dataset.root, new, names), said.get(old.id, "")])
    _write(path, [*KNOWN, *names, AUDITED], rows)
    return {"rows": len(rows), "groups": len({groups[i] for i in kept}), **counts}


def _kept(evidence: Evidence) -> tuple[list[int], dict[str, int]]:
    """The pictures that stay, and how many went for which reason."""
    copies, torn = set[int](), set[int]()
    for places in evidence.copies:
        if len(evidence.labels(places)) > 1:
            torn.update(places)
        else:
            copies.update(places[1:])
    readable = set(evidence.readable)
    bare = {i for i in readable if evidence.samples[i].label is None} - torn - copies
    kept = sorted(readable - copies - torn - bare)
    counts = {
        "unreadable": len(evidence.samples) - len(readable),
        "copies": len(copies),
        "copies_that_disagree": len(torn),
        "unlabelled": len(bare),
    }
    return kept, counts


def _groups(evidence: Evidence) -> list[str]:
    """A name for each picture's part: a given group's, the first by name where several were joined, else `part_0001`."""
    names = [""] * len(evidence.samples)
    shared = list(members(evidence.parts).values())
    digits = len(str(len(shared)))
    for number, places in enumerate(shared):
        given = sorted({s.group for i in places if (s := evidence.samples[i]).group != s.id})
        name = given[0] if given else f"part_{number:0{digits}}"
        for i in places:
            names[i] = name
    return names


def _said(findings: Sequence[Finding]) -> dict[str, str]:
    said: dict[str, list[str]] = {}
    for finding in findings:
        for name in finding.files if finding.code in SAID else ():
            said.setdefault(name, []).append(SAID[finding.code])
    return {name: "; ".join(words) for name, words in said.items()}


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Writes a new file, at once or not at all: its name is taken first, so that nobody's file is replaced."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.open("x").close()
    except FileExistsError:
        raise BadData(f"{path}: expected no file there yet, found one; name another") from None
    except OSError as error:
        raise BadData(f"{path}: expected to write there, found: {error.strerror or error}") from None
    written = False
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(rows)
        part.replace(path)
        written = True
    except OSError as error:
        raise BadData(f"{path}: expected to write there, found: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
        if not written:
            path.unlink()

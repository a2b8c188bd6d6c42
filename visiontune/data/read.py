"""Reads a folder of pictures in any layout that it recognises, and says what it recognised."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from visiontune.data.layouts import class_folders, coco, manifest, masks, mvtec, voc, yolo
from visiontune.data.layouts.reading import NOTHING, Layout, Reading
from visiontune.data.problems import Problem, few, shown, summary
from visiontune.data.samples import Dataset, Sample
from visiontune.runtime.errors import BadData

# In order of precedence: what a person wrote down goes before what a folder's shape suggests.
LAYOUTS: tuple[Layout, ...] = (manifest, coco, yolo, voc, mvtec, masks, class_folders)
ANNOTATIONS: tuple[Layout, ...] = (coco, yolo, voc)  # may lend their boxes to a manifest
GOOD_NAMES = ("good", "ok", "normal", "free", "pass")
DISREGARDED = ("split", "group", "mask", "boxes")  # may always be named in `ignore`


def read(
    root: str | Path,
    *,
    good: str | None = "auto",
    group: str | None = None,
    ignore: Collection[str] = (),
    layout: str | None = None,
    strict: bool = True,
    known: Collection[str] = (),
) -> Dataset:
    """Reads the pictures under `root`: which there are, and what is known of them. Decodes none.

    Layout: the first of `LAYOUTS` that recognises the folder (manifest.csv, COCO, YOLO, Pascal VOC, MVTec, images and masks,
    class folders), or the one named by `layout`. A manifest without a column `boxes` takes the boxes of a COCO, YOLO or
    VOC annotation beside it; labels, groups and splits are then the manifest's.

    Good class: `good="auto"` takes the class called good, ok, normal, free or pass, in any case; None says that there is
    none; any other text is its name. Pictures that are known to hold nothing (no boxes, an empty mask) get it; where no class
    bears such a name they are called "good"; with `good=None` they have no label.

    Group: the manifest's column; else what the first capturing group of the pattern `group` finds in the picture's id; else
    each picture is its own. `ignore` names manifest columns to disregard; "split", "group", "mask" and "boxes" do so in every
    layout.

    `known` are the classes of a model that is to judge the pictures. Where they name every label, the good class may be
    missing, as in a new lot of defective parts only; and columns in `ignore` may be missing too.

    What is wrong with single files is raised as one BadData that names them; with `strict=False` it is collected in
    `Dataset.problems` and what cannot be used is left out, for `audit`. Raises BadData also where the folder is missing or
    not recognised, for several good classes, an unknown good class, and a pattern that some picture does not match.
    """
    root = Path(root)
    if isinstance(ignore, str):
        ignore = (ignore,)
    try:
        _check_folder(root)
        chosen = _chosen(root, layout)
        if not known:
            _check_ignore(root, chosen, ignore)
        reading = chosen.read(root, ignore=frozenset(ignore))
        if chosen.NAME == manifest.NAME and "boxes" not in ignore:
            _lend_boxes(root, reading, frozenset(ignore))
    except OSError as error:
        raise BadData(
            f"{error.filename or root}: expected to read it, found: {error.strerror or error}"
        ) from None
    if strict and reading.problems:
        raise BadData(f"{root}: {summary(reading.problems)}")
    if strict and not reading.samples:
        raise BadData(
            f"{root}: expected pictures, found none in what looks like {reading.title}; add pictures"
        )
    good = _settle_good(root, reading, good, known)
    if group is not None:
        _settle_groups(root, reading, group)
    return Dataset(
        root=root,
        layout=_described(reading),
        samples=tuple(reading.samples),
        classes=_classes(reading.samples, good),
        good=good,
        notes=tuple(reading.notes),
        problems=tuple(reading.problems),
        provenance={
            "reader": chosen.NAME,
            "group_pattern": None if reading.grouped else group,
            "ignored": sorted(ignore),
        },
    )


def _check_folder(root: Path) -> None:
    if not root.exists():
        raise BadData(f"{root}: expected a folder of pictures, found nothing there; correct the path")
    if not root.is_dir():
        raise BadData(f"{root}: expected a folder of pictures, found a file; name the folder it lies in")


def _chosen(root: Path, name: str | None) -> Layout:
    if name is None:
        for layout in LAYOUTS:
            if layout.recognise(root):
                return layout
        raise BadData(_not_recognised(root))
    named = {layout.NAME: layout for layout in LAYOUTS}
    if name not in named:
        raise BadData(f"expected a layout of {', '.join(named)}; found {name!r}")
    if not named[name].recognise(root):
        raise BadData(f"{root}: expected {named[name].EXPECTS}; found {_content(root)}")
    return named[name]


def _not_recognised(root: Path) -> str:
    looked = "; ".join(layout.EXPECTS for layout in LAYOUTS)
    below = [
        p.name
        for p in sorted(root.iterdir())
        if p.is_dir() and any(layout.recognise(p) for layout in LAYOUTS)
    ]
    cure = (
        f"name a folder inside it: {few(map(shown, below))}"
        if below
        else "arrange the pictures in one of these ways"
    )
    return f"{root}: expected one of: {looked}. Found {_content(root)}; {cure}"


def _content(root: Path) -> str:
    names = [shown(path.name) + ("/" if path.is_dir() else "") for path in sorted(root.iterdir())]
    return few(names) if names else "an empty folder"


def _check_ignore(root: Path, chosen: Layout, ignore: Collection[str]) -> None:
    columns = manifest.Table(root / manifest.FILE).columns if chosen.NAME == manifest.NAME else []
    known = [*DISREGARDED, *(name for name in columns if name not in manifest.KNOWN)]
    for name in ignore:
        if name not in known:
            raise BadData(
                f"{root}: expected ignore to name one of {', '.join(known)}; found {name!r}{_nearest(name, known)}"
            )


def _lend_boxes(root: Path, reading: Reading, ignore: frozenset[str]) -> None:
    """Gives a manifest's samples the boxes of an annotation beside it, where the manifest says nothing of boxes."""
    lender = next((layout for layout in ANNOTATIONS if layout.recognise(root)), None)
    if lender is None or any(sample.boxes is not None for sample in reading.samples):
        return
    lent = lender.read(root, ignore=ignore)
    known = {sample.id: sample for sample in lent.samples}
    for i, sample in enumerate(reading.samples):
        other = known.get(sample.id)
        if other is None:
            continue
        if sample.split and other.split and sample.split != other.split:
            detail = f"manifest {sample.split}, {lent.title} {other.split}"
            reading.problems.append(Problem("two-splits", sample.id, detail))
        attributes = {**other.attributes, **sample.attributes}
        reading.samples[i] = replace(sample, boxes=other.boxes, attributes=attributes)
    reading.title += f" with boxes of {lent.title}"
    reading.notes += lent.notes
    reading.problems += lent.problems


def _settle_good(root: Path, reading: Reading, good: str | None, known: Collection[str]) -> str | None:
    """The good class, given to the pictures that hold nothing."""
    labels = {sample.label for sample in reading.samples if sample.label is not None}
    named, nothing = sorted(labels - {NOTHING}), NOTHING in labels
    if good == "auto":
        found = [label for label in named if label.lower() in GOOD_NAMES]
        if len(found) > 1:
            raise BadData(
                f"{root}: expected one good class, found {few(map(shown, found))}; say which with good=NAME"
            )
        good = found[0] if found else GOOD_NAMES[0] if nothing else None
    elif good is not None and good not in named and not nothing and not set(named) <= set(known):
        raise BadData(
            f"{root}: expected the good class {good!r}, found {few(map(shown, named))}{_nearest(good, named)}"
        )
    if nothing:
        reading.samples = [
            replace(sample, label=good) if sample.label == NOTHING else sample for sample in reading.samples
        ]
    return good


def _settle_groups(root: Path, reading: Reading, pattern: str) -> None:
    """Groups by the pattern, unless the source itself names groups."""
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise BadData(f"expected a regular expression for the group, found {pattern!r}: {error}") from None
    if re.compile(pattern).groups == 0:
        raise BadData(
            f"expected a capturing group in the pattern, found {pattern!r}; put (...) around the part's name"
        )
    if reading.grouped:
        reading.notes.append(
            f"the manifest's group column stands, the pattern {pattern!r} is not used; ignore=('group',) turns that round"
        )
        return
    found = {sample.id: match[1] for sample in reading.samples if (match := search(sample.id)) and match[1]}
    missed = [shown(sample.id) for sample in reading.samples if sample.id not in found]
    if missed:
        raise BadData(
            f"{root}: expected {pattern!r} to find the group in every path, found none in {few(missed)}"
        )
    reading.samples = [replace(sample, group=found[sample.id]) for sample in reading.samples]


def _classes(samples: Iterable[Sample], good: str | None) -> tuple[str, ...]:
    labels = {sample.label for sample in samples if sample.label is not None}
    return tuple(sorted(labels, key=lambda label: (label != good, label)))


def _nearest(name: str, names: Collection[str]) -> str:
    lower: Callable[[str], str] = str.lower
    near = get_close_matches(name.lower(), map(lower, names), n=1, cutoff=0.5)
    return f"; did you mean {next(n for n in names if n.lower() == near[0])!r}?" if near else ""


def _described(reading: Reading) -> str:
    """One line on what was recognised."""
    n = len(reading.samples)
    classes = len({sample.label for sample in reading.samples} - {None})
    groups = len({sample.group for sample in reading.samples})
    split = sum(sample.split is not None for sample in reading.samples)
    boxes = sum(len(sample.boxes or ()) for sample in reading.samples)
    said = f"{reading.title}: {_many(n, 'picture')} of {_many(classes, 'class')}"
    said += f" with {_many(boxes, 'box')}" if boxes else ""
    said += ", each its own group" if groups == n else f" in {_many(groups, 'group')}"
    if not split:
        return f"{said}, no splits given"
    return f"{said}, {'' if split == n else f'{split} of them '}split by {reading.split_by}"


def _many(n: int, noun: str) -> str:
    plural = noun + ("es" if noun.endswith(("s", "x")) else "s")
    return f"{n} {noun if n == 1 else plural}"

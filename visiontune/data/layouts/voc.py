"""The Pascal VOC layout: JPEGImages, one xml of boxes for each picture under Annotations, lists under ImageSets/Main."""

from __future__ import annotations

import re
from collections.abc import Set
from pathlib import Path
from xml.etree import ElementTree

from visiontune.data.layouts.boxes import Objects
from visiontune.data.layouts.headers import Size, sizes
from visiontune.data.layouts.reading import Reading
from visiontune.data.layouts.tree import Inside, pictures
from visiontune.data.problems import Problem
from visiontune.data.samples import Sample
from visiontune.runtime.errors import one_line

NAME = "voc"
EXPECTS = "Annotations/*.xml beside JPEGImages/ (Pascal VOC)"
_FORBIDDEN = re.compile(rb"<!\s*(DOCTYPE|ENTITY)", re.IGNORECASE)
_LISTS = ("train", "val", "test")
_CORNERS = ("xmin", "ymin", "xmax", "ymax")


def recognise(root: Path) -> str | None:
    """The folders Annotations and JPEGImages lie in the folder."""
    return (
        "Annotations/*.xml" if all((root / name).is_dir() for name in ("Annotations", "JPEGImages")) else None
    )


def read(root: Path, *, ignore: Set[str] = frozenset()) -> Reading:
    """Reads Annotations/STEM.xml for each JPEGImages/STEM.*.

    VOC counts pixels from 1 and includes the last, so a box spans x0 = xmin - 1 to x1 = xmax. A picture's label is its most
    frequent kind, among equals the first by name; one whose xml lists no object holds nothing. A `difficult`
    object is one to ignore. The split comes from ImageSets/Main/{train,val,test}.txt; where only
    trainval.txt is there it counts as train. Pictures that no list names have no split.

    An xml with a DOCTYPE or an ENTITY is refused unread: no annotation needs one, and they can be made to read other files
    or to fill the memory. What is wrong with single files becomes problems.
    """
    reading = Reading(title=EXPECTS.split(" ")[0])
    splits = {} if "split" in ignore else _splits(root, reading)
    stems = {path.stem: path for path in sorted((root / "Annotations").glob("*.xml"))}
    found = pictures(root / "JPEGImages")
    inside, known = Inside(root), sizes(found)
    for picture in found:
        id, size = inside.place(picture.relative_to(root).as_posix()), known[picture]
        if isinstance(id, Problem):
            reading.problems.append(id)
        elif isinstance(size, str):
            reading.problems.append(Problem("unreadable", id, size))
        elif picture.stem not in stems:
            reading.problems.append(Problem("not-annotated", id))
        else:
            sample = _sample(id, picture, stems[picture.stem], size, splits.get(picture.stem), reading)
            reading.samples += [sample] if sample else []
    orphans = sorted(stems.keys() - {picture.stem for picture in found})
    reading.problems += [
        Problem("missing-file", f"Annotations/{stem}.xml", "its picture") for stem in orphans
    ]
    return reading


def _splits(root: Path, reading: Reading) -> dict[str, str]:
    """Split by stem, from the lists that are there."""
    folder = root / "ImageSets" / "Main"
    lists = {name: folder / f"{name}.txt" for name in _LISTS if (folder / f"{name}.txt").is_file()}
    if "train" not in lists and (folder / "trainval.txt").is_file():
        lists["train"] = folder / "trainval.txt"
    splits: dict[str, str] = {}
    for split, path in lists.items():
        reading.split_by = "ImageSets/Main"
        for line in path.read_text("utf-8", "replace").splitlines():
            stem = line.split()[0] if line.split() else ""
            if splits.get(stem, split) != split:
                reading.problems.append(Problem("two-splits", stem, f"{splits[stem]} and {split}"))
            if stem:
                splits.setdefault(stem, split)
    return splits


def _sample(id: str, path: Path, xml: Path, size: Size, split: str | None, reading: Reading) -> Sample | None:
    try:
        root = _parse(xml)
    except ValueError as error:
        reading.problems.append(Problem("annotation", f"Annotations/{xml.name}", one_line(error)))
        return None
    claimed = tuple(root.findtext(f"size/{name}", "").strip().lstrip("0") for name in ("width", "height"))
    if all(text.isdecimal() for text in claimed) and claimed != tuple(map(str, size)):  # many tools write 0
        detail = "{} x {}, file {} x {}".format(*claimed, *size)
        reading.problems.append(Problem("size-differs", id, detail))
        return None
    objects = Objects(id, size, reading)
    for thing in root.iterfind("object"):
        kind = thing.findtext("name", "").strip()
        corners = _corners(thing)
        if not kind or corners is None:
            objects.refuse("box-unclear", f"object {kind or 'without a name'} in {xml.name}")
        else:
            objects.add(kind, corners, ignore=thing.findtext("difficult", "").strip() == "1")
    return objects.sample(path, split=split)


def _parse(xml: Path) -> ElementTree.Element:
    """The root element. Raises ValueError for what is no annotation."""
    content = xml.read_bytes()
    if b"\0" in content:
        raise ValueError("expected UTF-8")  # in UTF-16 the search below would be blind
    if _FORBIDDEN.search(content):
        raise ValueError("a DOCTYPE or ENTITY, which no annotation needs")
    try:
        root = ElementTree.fromstring(content)
    except (
        ElementTree.ParseError,
        LookupError,
    ) as error:  # LookupError: an encoding that Python does not know
        raise ValueError(str(error)) from None
    if root.tag != "annotation":
        raise ValueError(f"expected <annotation>, found <{root.tag}>")
    return root


def _corners(thing: ElementTree.Element) -> tuple[float, float, float, float] | None:
    try:
        x0, y0, x1, y1 = (float(thing.findtext(f"bndbox/{name}", "")) for name in _CORNERS)
    except ValueError:
        return None
    return x0 - 1, y0 - 1, x1, y1

"""The COCO layout: pictures with boxes in COCO's json, one file a split or one for all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from visiontune.data.layouts.boxes import Objects
from visiontune.data.layouts.headers import Size, sizes
from visiontune.data.layouts.reading import Reading
from visiontune.data.layouts.tree import Inside, folders, split_named
from visiontune.data.problems import Problem
from visiontune.data.samples import Sample
from visiontune.runtime.errors import BadData, one_line

NAME = "coco"
EXPECTS = (
    "annotations/train.json (val, test; also instances_train2017.json), or one instances.json, in COCO format"
)
_SPLIT_FILE = re.compile(r"(?:instances[_-])?(train|val|valid|validation|test)(\d*)", re.IGNORECASE)
_WHOLE = ("instances.json", "annotations.json", "_annotations.coco.json")

Raw = tuple[str, list[float], bool]  # kind, bbox, iscrowd


@dataclass(frozen=True, slots=True)
class _Source:
    """One json file, the split that its name means, and the folders where its pictures may lie."""

    path: Path
    split: str | None
    folders: tuple[str, ...]


def recognise(root: Path) -> str | None:
    """Json files with COCO's usual names lie in the folder, in annotations/ or in train/, valid/, test/."""
    return ", ".join(source.path.relative_to(root).as_posix() for source in _sources(root)) or None


def read(root: Path, *, ignore: Set[str] = frozenset()) -> Reading:
    """Reads COCO's json files.

    The split is the one in the file's name; one file for all has none. A picture's label is its most frequent kind of box,
    among equals the first by name; one that is listed and has no box holds nothing. Boxes are COCO's x, y, width, height
    turned into corners, those with `iscrowd` are to be ignored. Segmentations are not read. A picture is looked for under
    `file_name` in the folder, in images/ and in the folder of its split.

    Raises BadData where a file is no COCO json; what is wrong with single pictures or boxes becomes problems.
    """
    found = _sources(root)
    reading = Reading(title=", ".join(source.path.relative_to(root).as_posix() for source in found))
    if "split" not in ignore and any(source.split for source in found):
        reading.split_by = "the annotation files"
    pictures = _Pictures(root, reading)
    for source in found:
        pictures.add(source, split=None if "split" in ignore else source.split)
    pictures.finish()
    return reading


def _sources(root: Path) -> list[_Source]:
    found = []
    for path in sorted((root / "annotations").glob("*.json")):
        match = _SPLIT_FILE.fullmatch(path.stem)
        if match:
            year = match[1] + match[2]
            found.append(_Source(path, split_named(match[1]), ("", "images", f"images/{year}", year)))
    for folder in folders(root):
        path = folder / "_annotations.coco.json"
        if split_named(folder.name) and path.is_file():
            found.append(_Source(path, split_named(folder.name), (folder.name, "")))
    if not found:
        whole = [root / at / name for at in ("annotations", "") for name in _WHOLE]
        found = [_Source(path, None, ("", "images")) for path in whole if path.is_file()][:1]
    return found


class _Pictures:
    """Gathers pictures and boxes from the json files."""

    def __init__(self, root: Path, reading: Reading) -> None:
        self.root = root
        self.reading = reading
        self.inside = Inside(root)
        self.splits: dict[str, str | None] = {}
        self.claimed: dict[str, Any] = {}  # id -> the size that the json claims
        self.raw: dict[str, list[Raw | str]] = {}  # boxes by id, or what is wrong with them

    def add(self, source: _Source, *, split: str | None) -> None:
        """Takes in one json file."""
        images, annotations, kinds = _load(source.path)
        # From the json's ids to ours; None where the picture cannot be used.
        ids: dict[int | str, str | None] = {}
        for image in images:
            name = image.get("id")
            id = self._place(source, image)
            if isinstance(name, int | str) and name in ids:
                id = Problem("annotation", source.path.name, f"two images have the id {name}")
            if isinstance(id, Problem):
                self.reading.problems.append(id)
            else:
                self.splits[id], self.raw[id] = split, []
                self.claimed[id] = (image.get("width"), image.get("height"))
            if isinstance(name, int | str):
                ids.setdefault(name, None if isinstance(id, Problem) else id)
        for annotation in annotations:
            self._add_box(source, annotation, ids, kinds)

    def _add_box(
        self,
        source: _Source,
        annotation: Mapping[str, Any],
        ids: Mapping[int | str, str | None],
        kinds: Mapping[int | str, str],
    ) -> None:
        of = annotation.get("image_id")
        if not isinstance(of, int | str) or of not in ids:
            at = f"{source.path.name}: annotation {annotation.get('id')}"
            self.reading.problems.append(Problem("annotation", at, f"no image {of}"))
        elif (id := ids[of]) is not None:
            box = _box_of(annotation, kinds)
            self.raw[id].append(f"annotation {annotation.get('id')}: {box}" if isinstance(box, str) else box)

    def _place(self, source: _Source, image: Mapping[str, Any]) -> str | Problem:
        name = image.get("file_name")
        if not isinstance(name, str) or not isinstance(image.get("id"), int | str):
            return Problem("annotation", source.path.name, "an image without file_name or id")
        id: str | Problem = Problem("missing-file", name)
        for folder in source.folders:
            id = self.inside.place(f"{folder}/{name}" if folder and name[:1] not in ("/", "\\") else name)
            if not (isinstance(id, Problem) and id.kind == "missing-file"):
                break
        if isinstance(id, Problem):
            return Problem(id.kind, name, id.detail or f"listed in {source.path.name}")
        return Problem("duplicate", id, f"again in {source.path.name}") if id in self.splits else id

    def finish(self) -> None:
        """Checks the boxes against the pictures' headers and makes the samples."""
        known = sizes(self.root / id for id in self.splits)
        for id, split in self.splits.items():
            path = self.root / id
            size = known[path]
            claimed = self.claimed[id]
            if isinstance(size, str):
                self.reading.problems.append(Problem("unreadable", id, size))
                continue
            if None not in claimed and claimed != size:
                detail = "{} x {}, file {} x {}".format(*claimed, *size)
                self.reading.problems.append(Problem("size-differs", id, detail))
                continue
            self.reading.samples.append(self._sample(id, path, size, split))

    def _sample(self, id: str, path: Path, size: Size, split: str | None) -> Sample:
        objects = Objects(id, size, self.reading)
        for box in self.raw[id]:
            if isinstance(box, str):
                objects.refuse("annotation", box)
            else:
                kind, (x, y, width, height), crowd = box
                objects.add(kind, (x, y, x + width, y + height), ignore=crowd)
        return objects.sample(path, split=split)


def _box_of(annotation: Mapping[str, Any], kinds: Mapping[int | str, str]) -> Raw | str:
    """Kind, bbox and iscrowd of an annotation, or what is wrong with it."""
    bbox, category = annotation.get("bbox"), annotation.get("category_id")
    if not isinstance(category, int | str) or category not in kinds:
        return f"no category {category}"
    if not (isinstance(bbox, list) and len(bbox) == 4 and all(_is_number(part) for part in bbox)):
        return f"bbox {bbox} instead of [x, y, width, height]"
    return kinds[category], [float(part) for part in bbox], bool(annotation.get("iscrowd"))


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e9  # no NaN either


def _load(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], dict[int | str, str]]:
    """Images, annotations and category names by id of one json file."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadData(f"{path}: expected COCO json, found: {one_line(error)}; export it again") from None
    if not isinstance(content, dict):
        raise BadData(f"{path}: expected a COCO json object, found {type(content).__name__}; export it again")
    for name in ("images", "annotations", "categories"):
        part = content.get(name)
        if not (isinstance(part, list) and all(isinstance(entry, dict) for entry in part)):
            raise BadData(
                f"{path}: expected a list of objects under {name!r}, found none; export it again as COCO"
            )
    return content["images"], content["annotations"], dict(_categories(path, content["categories"]))


def _categories(path: Path, categories: list[dict[str, Any]]) -> Iterator[tuple[int | str, str]]:
    for category in categories:
        id, name = category.get("id"), category.get("name")
        if not isinstance(id, int | str) or not isinstance(name, str) or not name.strip():
            raise BadData(
                f"{path}: expected categories with id and name, found {one_line(Exception(category))}; export it again"
            )
        yield id, name.strip()

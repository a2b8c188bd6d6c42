"""The YOLO layout: `data.yaml`, pictures under images/ and a text file of boxes for each under labels/."""

from __future__ import annotations

from collections.abc import Mapping, Set
from math import isfinite, nan
from pathlib import Path

from visiontune.data.layouts import data_yaml
from visiontune.data.layouts.boxes import Objects
from visiontune.data.layouts.headers import Size, sizes
from visiontune.data.layouts.reading import Reading
from visiontune.data.layouts.tree import Inside, pictures
from visiontune.data.problems import Problem, few, shown
from visiontune.data.samples import SPLITS
from visiontune.runtime.errors import BadData

NAME = "yolo"
EXPECTS = "data.yaml with names, train, val, test, and labels/*.txt"
FILES = ("data.yaml", "data.yml", "dataset.yaml")


def recognise(root: Path) -> str | None:
    """A file called data.yaml (data.yml, dataset.yaml) lies in the folder."""
    return next((name for name in FILES if (root / name).is_file()), None)


def read(root: Path, *, ignore: Set[str] = frozenset()) -> Reading:
    """Reads `data.yaml` (names, path, train, val, test) and one `labels/.../STEM.txt` for each `images/.../STEM.*`.

    A line is `CLASS CX CY W H`, or `CLASS X Y X Y X Y ...` for an outline, of which the bounding box is taken; all in
    fractions of the picture. A picture's label is its most frequent kind, among equals the first by name. A picture whose
    text file is empty or absent holds nothing, as the format defines it; the absent ones are counted in a note.
    `path` is followed where it leads into the folder, else train, val and test count from the folder itself, with a note.

    Raises BadData where data.yaml is not understood, names a folder that is not there, or where a whole split has not one
    label file; what is wrong with single pictures or boxes becomes problems.
    """
    path = next((root / name for name in FILES if (root / name).is_file()), root / FILES[0])
    keys = data_yaml.parse(path, ("path", "names", "kpt_shape", *SPLITS))
    if "kpt_shape" in keys:
        raise BadData(
            f"{path}: expected boxes or outlines, found keypoints (kpt_shape), which are not read; export boxes"
        )
    reading = Reading(title=path.name)
    if "split" not in ignore:
        reading.split_by = path.name
    kinds = _kinds(path, keys.get("names", ""))
    base = _base(root, keys.get("path", ""), reading)
    labels: dict[Path, str | None] = {}
    for split in SPLITS:
        for folder in _folders(root, base, path, split, keys.get(split, "")):
            for picture in _annotated(root, folder):
                if picture in labels:
                    at = picture.relative_to(root).as_posix()
                    reading.problems.append(Problem("duplicate", at, f"again in {split}"))
                labels.setdefault(picture, None if "split" in ignore else split)
    if not labels:
        raise BadData(f"{path}: expected pictures under train, val or test, found none; name their folders")
    _read_pictures(root, labels, kinds, reading)
    return reading


def _kinds(path: Path, names: data_yaml.Value) -> dict[str, str]:
    """Class names by their number, as text."""
    numbered = {str(i): name for i, name in enumerate(names)} if isinstance(names, list) else names
    if (
        not isinstance(numbered, dict)
        or not numbered
        or not all(n.isdecimal() and numbered[n] for n in numbered)
    ):
        raise BadData(
            f"{path}: expected names as a list or as a map from 0 on, found {shown(str(names))!r}; write names"
        )
    return {number.lstrip("0") or "0": name for number, name in numbered.items()}


def _base(root: Path, said: data_yaml.Value, reading: Reading) -> Path:
    """The folder that train, val and test count from."""
    if not isinstance(said, str):
        raise BadData(f"{root}: expected one folder under path, found {said}; write it as a text")
    base = _inside(root, root / said)
    if base is None:
        base = root
        note = f"the yaml's path {shown(said)!r} does not lead into the folder; the folder itself is used"
        reading.notes.append(note)
    return base


def _folders(root: Path, base: Path, path: Path, split: str, said: data_yaml.Value) -> list[Path]:
    """The folders of one split."""
    if isinstance(said, dict):
        raise BadData(f"{path}: expected folders under {split}, found a map; write one folder or a list")
    names = [said] if isinstance(said, str) else said
    return [_folder(root, base, path, split, name) for name in names if name]


def _folder(root: Path, base: Path, path: Path, split: str, name: str) -> Path:
    if name.lower().endswith(".txt"):
        raise BadData(
            f"{path}: expected a folder under {split}, found the list {shown(name)}; lists are not understood"
        )
    meant = name.removeprefix("../")  # Roboflow writes ../train/images and means train/images
    folder = _inside(root, base / name) or _inside(root, base / meant)
    if folder is None:
        raise BadData(
            f"{path}: expected the folder {shown(name)!r} of {split} inside {root}, found none; correct the path"
        )
    return folder


def _inside(root: Path, folder: Path) -> Path | None:
    """The folder by its plain path in the root, None where it is not there or elsewhere."""
    real, real_root = folder.resolve(), root.resolve()
    return root / real.relative_to(real_root) if real.is_dir() and real.is_relative_to(real_root) else None


def _annotated(root: Path, folder: Path) -> list[Path]:
    """The pictures of a folder, once it is sure that at least one of them has its text file."""
    found = pictures(folder, deep=True)
    if found and not any(_label_file(root, picture).is_file() for picture in found):
        raise BadData(
            f"{folder}: expected label files such as {_label_file(root, found[0])}, found none; add them (empty for good parts)"
        )
    return found


def _label_file(root: Path, picture: Path) -> Path:
    """Where YOLO looks for the boxes of a picture: its last folder `images` replaced by `labels`, `.txt` for the suffix."""
    *folders, name = picture.relative_to(root).parts
    if "images" in folders:
        last = len(folders) - 1 - folders[::-1].index("images")
        folders[last] = "labels"
    return root.joinpath(*folders, name).with_suffix(".txt")


def _read_pictures(
    root: Path, labels: Mapping[Path, str | None], kinds: Mapping[str, str], reading: Reading
) -> None:
    inside, known, absent = Inside(root), sizes(labels), []
    for picture, split in labels.items():
        id = inside.place(picture.relative_to(root).as_posix())
        size = known[picture]
        if isinstance(id, Problem):
            reading.problems.append(id)
        elif isinstance(size, str):
            reading.problems.append(Problem("unreadable", id, size))
        else:
            label_file = _label_file(root, picture)
            if label_file.is_file():
                text = label_file.read_text("utf-8-sig", "replace")
            else:
                text = ""
                absent.append(shown(id))
            objects = Objects(id, size, reading)
            _add_lines(objects, text, kinds)
            reading.samples.append(objects.sample(picture, split=split))
    if absent:
        reading.notes.append(
            f"pictures without a label file, taken as holding nothing: {len(absent)} ({few(absent)})"
        )


def _add_lines(objects: Objects, text: str, kinds: Mapping[str, str]) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        name = line.split()[0]
        corners = _corners(line, objects.size)
        if isinstance(corners, str):
            objects.refuse("annotation", f"label line {number}: {corners}")
        elif name not in kinds:
            objects.refuse("annotation", f"label line {number}: class {name} is not in names")
        else:
            objects.add(kinds[name], corners)


def _corners(line: str, size: Size) -> tuple[float, float, float, float] | str:
    """The corners in pixels that a line means, or what is wrong with it."""
    try:
        numbers = [float(word) for word in line.split()[1:]]
    except ValueError:
        numbers = [nan]
    if not all(isfinite(number) for number in numbers):
        return f"{line.strip()!r} is not made of numbers"
    width, height = size
    if len(numbers) == 4:
        cx, cy, w, h = numbers
        return (cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height
    if len(numbers) >= 6 and len(numbers) % 2 == 0:
        xs, ys = numbers[::2], numbers[1::2]
        return min(xs) * width, min(ys) * height, max(xs) * width, max(ys) * height
    return f"{len(numbers) + 1} values instead of CLASS CX CY W H"

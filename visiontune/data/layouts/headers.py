"""Reads the headers of picture files, never their pixels: the sizes that boxes and masks are checked against."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from visiontune.data.problems import Problem
from visiontune.data.samples import Sample
from visiontune.runtime.errors import one_line
from visiontune.runtime.frame import FORMATS, ORIENTATION

SPAN = 64  # files that one task of the thread pool opens

Size = tuple[int, int]


def sizes(paths: Iterable[Path]) -> dict[Path, Size | str]:
    """(width, height) in pixels of each file as `runtime.frame` decodes it, or a word on why its header cannot be read."""
    wanted = list(dict.fromkeys(paths))
    spans = [wanted[start : start + SPAN] for start in range(0, len(wanted), SPAN)]
    with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
        found = [size for some in pool.map(_sizes, spans) for size in some]
    return dict(zip(wanted, found, strict=True))


def _sizes(paths: Sequence[Path]) -> list[Size | str]:
    return [_size(path) for path in paths]


def _size(path: Path) -> Size | str:
    try:
        with Image.open(path, formats=FORMATS) as picture:
            width, height = picture.size
            turned = _turned(picture)
    except UnidentifiedImageError:
        return "no picture format that Pillow knows"
    except Exception as error:  # Pillow's plugins raise anything at all on a broken header
        return one_line(error)
    return (height, width) if turned else (width, height)


def _turned(picture: Image.Image) -> bool:
    if picture.format == "PNG" and "exif" not in picture.info:
        return False  # Pillow would decode the whole picture to look for EXIF behind the pixels
    return picture.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)  # these lay the picture on its side


def mask_problems(root: Path, samples: Iterable[Sample]) -> list[Problem]:
    """What is wrong with the samples' masks: unreadable, or of another size than their picture."""
    masked = [(sample, sample.mask) for sample in samples if sample.mask is not None]
    known = sizes(path for sample, mask in masked for path in (sample.path, mask))
    problems = []
    for sample, mask in masked:
        size, mask_size = known[sample.path], known[mask]
        for path, what in ((sample.path, size), (mask, mask_size)):
            if isinstance(what, str):
                problems.append(Problem("unreadable", path.relative_to(root).as_posix(), what))
        if not isinstance(size, str) and not isinstance(mask_size, str) and size != mask_size:
            problems.append(
                Problem("mask-size", sample.id, "{} x {}, mask {} x {}".format(*size, *mask_size))
            )
    return problems

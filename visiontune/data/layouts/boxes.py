"""Turns corners from an annotation into boxes, says which cannot be used, and names a picture after its boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path

from visiontune.data.layouts.headers import Size
from visiontune.data.layouts.reading import NOTHING, Reading
from visiontune.data.problems import Problem
from visiontune.data.samples import Box, Sample

LEAST = 0.99  # pixels of a side; a pixel less what rounding takes off it
SLACK = 1.0  # pixels by which annotation tools round a box over the edge; such a box is cut at the edge


def usable(
    id: str, kind: str, corners: Sequence[float], size: Size, *, ignore: bool = False
) -> Box | Problem:
    """The box with `corners` (x0, y0, x1, y1 in pixels) in a picture of `size` (width, height), or why it cannot be one.

    A box that reaches at most one pixel over the edge is cut at the edge; one that reaches further, has no area, has a side
    of less than a pixel (a slip of the mouse) or is not made of finite numbers is a problem.
    """
    x0, y0, x1, y1 = corners
    width, height = size
    said = f"{kind} {' '.join(f'{corner:g}' for corner in corners)}"
    if not all(isfinite(corner) for corner in corners):
        return Problem("box-unclear", id, said)
    if min(x0, y0) < -SLACK or x1 > width + SLACK or y1 > height + SLACK:
        return Problem("box-outside", id, f"{said} in {width} x {height}")
    x0, y0, x1, y1 = max(x0, 0.0), max(y0, 0.0), min(x1, float(width)), min(y1, float(height))
    if x0 >= x1 or y0 >= y1:
        return Problem("box-empty", id, said)
    if min(x1 - x0, y1 - y0) < LEAST:
        return Problem("box-tiny", id, said)
    return Box(kind, x0, y0, x1, y1, ignore)


def label_of(kinds: Iterable[str]) -> str:
    """The label of a picture with boxes of these kinds: the most frequent, among equals the first by name; NOTHING for none."""
    counts = Counter(kinds)
    return min(counts, key=lambda kind: (-counts[kind], kind)) if counts else NOTHING


class Objects:
    """The objects of one picture as an annotation lists them, on their way into a sample."""

    def __init__(self, id: str, size: Size, reading: Reading) -> None:
        self.id = id
        self.size = size
        self.reading = reading
        self.boxes: list[Box] = []
        self.kinds: list[str] = []  # of every object that was understood, whether its box can be used or not
        self.unclear = False

    def add(self, kind: str, corners: Sequence[float], *, ignore: bool = False) -> None:
        """Adds an object; the layout may have marked it as one to ignore (iscrowd, difficult)."""
        self.kinds.append(kind)
        box = usable(self.id, kind, corners, self.size, ignore=ignore)
        if isinstance(box, Problem):
            self.reading.problems.append(box)
        else:
            self.boxes.append(box)

    def refuse(self, kind: str, detail: str) -> None:
        """Notes an object that is not understood, as a problem of this kind."""
        self.unclear = True
        self.reading.problems.append(Problem(kind, self.id, detail))

    def sample(self, path: Path, *, split: str | None) -> Sample:
        """The sample; a picture with objects of which none was understood has neither label nor boxes, and is not good."""
        unknown = self.unclear and not self.kinds
        return Sample(
            id=self.id,
            path=path,
            label=None if unknown else label_of(self.kinds),
            boxes=None if unknown else tuple(self.boxes),
            group=self.id,
            split=split,
        )

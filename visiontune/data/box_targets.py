"""Boxes as the network learns from them: at the model's size, what is cut to a sliver told from what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visiontune.data.box_fit import Corners, Region, Size, to_input
from visiontune.data.layouts.headers import sizes
from visiontune.data.problems import few, shown
from visiontune.data.samples import Dataset, Sample
from visiontune.runtime.errors import BadData

PADDING, IGNORE = -1, -2  # of `kinds`
PART = 0.25  # a quarter of an object within the region of interest is enough of it to be called one
LEAST = 1.0  # pixels of the input: what is narrower is widened to it, so that no object gets lost


class Boxes(NamedTuple):
    """What is known of one picture.

    corners  float32 (k, 4), x0 y0 x1 y1 in pixels of the input, inside it, no side under a pixel
    kinds    int64 (k,), positions in the kinds of box; -2 is neither object nor background
    known    False where the picture is defective and nobody said where: then there are no corners
    """

    corners: NDArray[np.float32]
    kinds: NDArray[np.int64]
    known: bool


NOWHERE = Boxes(np.empty((0, 4), np.float32), np.empty(0, np.int64), False)


@dataclass(frozen=True, eq=False)
class BoxTargets:
    """The boxes of a share, kept flat: `starts` int64 (n + 1,) says where those of each picture lie in `corners` and `kinds`."""

    corners: NDArray[np.float32]
    kinds: NDArray[np.int64]
    known: NDArray[np.bool_]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, pictures: Sequence[Boxes]) -> BoxTargets:
        """The boxes of pictures one after the other."""
        return cls(
            corners=np.concatenate([NOWHERE.corners, *(one.corners for one in pictures)]),
            kinds=np.concatenate([NOWHERE.kinds, *(one.kinds for one in pictures)]),
            known=np.array([one.known for one in pictures], np.bool_),
            starts=np.cumsum([0, *(len(one.kinds) for one in pictures)], dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.known)

    def __iter__(self) -> Iterator[Boxes]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Boxes:
        where = slice(self.starts[index], self.starts[index + 1])
        return Boxes(self.corners[where], self.kinds[where], bool(self.known[index]))

    def tobytes(self) -> bytes:
        """What tells these boxes from others."""
        return b"".join(part.tobytes() for part in (self.corners, self.kinds, self.known, self.starts))

    def save(self, path: Path) -> None:
        """Writes them as an .npz file."""
        with path.open("wb") as file:
            np.savez(file, corners=self.corners, kinds=self.kinds, known=self.known, starts=self.starts)

    @classmethod
    def load(cls, path: Path) -> BoxTargets:
        """What `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(**{name: stored[name] for name in ("corners", "kinds", "known", "starts")})


def load_boxes(share: Dataset, size: Size, roi: Region | None, kinds: Sequence[str]) -> BoxTargets:
    """The boxes of a share at the model's size (h, w), in the share's order; `kinds` are the names of the kinds of box.

    A picture of the good class holds nothing. One of another class that has no box is unknown: nobody said where. Of a box
    over the edge of the region of interest the part inside counts where it is at least a quarter of the box; a smaller part
    is to be ignored, for nobody can tell what it shows. A box outside is gone, and a picture that so lost all is unknown.

    Raises BadData, naming the files: for boxes on pictures of the good class, for kinds that are not among `kinds`, and for
    pictures whose size cannot be read.
    """
    contradicted = [s.id for s in share if s.label == share.good is not None and objects(s)]
    if contradicted:
        raise BadData(
            f"{share.root}: expected no boxes on pictures of the good class, found some on {few(map(shown, contradicted))}; "
            "correct the label or the boxes"
        )
    strange = sorted(set(share.kinds) - set(kinds))
    if strange:
        raise BadData(
            f"{share.root}: expected boxes of kinds that train shows, found also {few(map(shown, strange))}; add training "
            "pictures of them, or take these boxes out"
        )
    position = {kind: index for index, kind in enumerate(kinds)}
    found = sizes(sample.path for sample in share if sample.boxes)
    pictures = []
    for sample in share:
        extent = found.get(sample.path, (1, 1))
        if isinstance(extent, str):
            raise BadData(f"{sample.path}: expected a picture, found {extent}; replace the file")
        pictures.append(_fitted(sample, (extent[1], extent[0]), size, roi, position, share.good))
    return BoxTargets.of(pictures)


def objects(sample: Sample) -> bool:
    """Whether a picture is known to hold an object."""
    return any(not box.ignore for box in sample.boxes or ())


def _fitted(
    sample: Sample,
    frame: Size,
    size: Size,
    roi: Region | None,
    position: dict[str, int],
    good: str | None,
) -> Boxes:
    is_good = good is not None and sample.label == good
    if not sample.boxes:
        return NOWHERE._replace(known=is_good)
    corners = np.array([(box.x0, box.y0, box.x1, box.y1) for box in sample.boxes], np.float64)
    kinds = np.array([IGNORE if box.ignore else position[box.kind] for box in sample.boxes], np.int64)
    kept = cut(to_input(corners, frame=frame, size=size, roi=roi), kinds, size)
    lost = objects(sample) and not (kept.kinds >= 0).any()
    return NOWHERE if lost else kept


def cut(corners: NDArray[np.floating[Any]], kinds: NDArray[np.int64], size: Size) -> Boxes:
    """What a picture of `size` (h, w) shows of boxes (k, 4) that may reach out of it; less than a quarter of one is ignored."""
    whole = np.asarray(corners, np.float64)
    inside = clipped(whole, size)
    left = areas(inside) / areas(whole)
    seen = left > 0
    told = np.where(left < PART, IGNORE, kinds)
    return Boxes(widened(inside[seen], size).astype(np.float32), told[seen], True)


def clipped(corners: Corners, size: Size) -> Corners:
    """Corners (k, 4) cut at the edges of the input (h, w)."""
    return np.clip(corners, 0, [size[1], size[0], size[1], size[0]])


def areas(corners: Corners) -> NDArray[np.float64]:
    """Areas (k,) of corners (k, 4)."""
    found: NDArray[np.float64] = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return found


def widened(corners: Corners, size: Size) -> Corners:
    """Corners (k, 4) inside the input (h, w), no side shorter than a pixel: short ones grow about their middle."""
    low, high = corners[:, :2], corners[:, 2:]
    grown = np.maximum(high - low, LEAST)
    start = np.clip((low + high - grown) / 2, 0, [size[1], size[0]] - grown)
    short = high - low < LEAST
    return np.concatenate([np.where(short, start, low), np.where(short, start + grown, high)], axis=1)


def padded(pictures: Sequence[Boxes]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
    """boxes float32 (N, M, 4), box_kinds int64 (N, M) and known bool (N,); M is the most of one picture, at least 1.

    Behind a picture's own boxes there are boxes of zeros of the kind -1.
    """
    most = max(1, *(len(one.kinds) for one in pictures))
    boxes = np.zeros((len(pictures), most, 4), np.float32)
    kinds = np.full((len(pictures), most), PADDING, np.int64)
    for row, one in enumerate(pictures):
        boxes[row, : len(one.kinds)] = one.corners
        kinds[row, : len(one.kinds)] = one.kinds
    return boxes, kinds, np.array([one.known for one in pictures], np.bool_)


def unpadded(boxes: NDArray[np.float32], kinds: NDArray[np.int64], known: NDArray[np.bool_]) -> list[Boxes]:
    """The pictures that `padded` was given."""
    return [
        Boxes(corners[own != PADDING], own[own != PADDING], bool(sure))
        for corners, own, sure in zip(boxes, kinds, known, strict=True)
    ]

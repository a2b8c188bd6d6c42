"""Which tiles of large frames training sees: around defects and from good area, in a stated ratio, anew in every view."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visiontune.data.masks import DEFECT, GOOD
from visiontune.data.policy import view_seed
from visiontune.data.samples import Dataset, Sample
from visiontune.data.tiles import Grid
from visiontune.runtime.errors import BadRecipe

TRIES = 8  # after which a defect is put into the middle of its tile


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """How many tiles of a frame a view shows, and which.

    per_frame  tiles of each frame
    around     share of them, above 0 and at most 1, that lie around defects where a frame has some; the others are cut from
               its good area, as all of a good frame are
    """

    per_frame: int = 8
    around: float = 0.5

    def __post_init__(self) -> None:
        if type(self.per_frame) is not int or self.per_frame < 1:
            raise BadRecipe(f"Tiles.per_frame must be a whole number from 1 on, got {self.per_frame!r}")
        if not 0 < self.around <= 1:
            raise BadRecipe(f"Tiles.around must lie above 0 and be at most 1, got {self.around!r}")

    @property
    def defective(self) -> int:
        """Tiles around the defects of a frame that has some."""
        return max(1, round(self.per_frame * self.around))


class Marked(Protocol):
    """What is known of a frame, by its mask (tile_marks.Marks) or its boxes (tile_boxes.BoxMarks)."""

    @property
    def known(self) -> bool:
        """False where the frame is defective and nobody said where."""

    @property
    def marked(self) -> bool:
        """Whether anything is marked."""

    @property
    def named(self) -> tuple[str, ...]:
        """The kind of each defect; empty where they have the frame's."""

    @property
    def spots(self) -> tuple[NDArray[np.int64], ...]:
        """Pixels (y, x) of each defect, int64 (k, 2)."""

    @property
    def free(self) -> NDArray[np.int64]:
        """Corners (y, x) of tiles without anything marked, int64 (k, 2); empty where nothing is."""

    @property
    def shown(self) -> NDArray[np.uint8]:
        """Of each tile of the grid: 0 good, 1 defect, 255 what nobody can tell."""

    def holds(self, number: int, y: int, x: int, side: int) -> bool:
        """Whether the tile whose corner is (y, x) shows enough of a defect."""

    def label(self, y: int, x: int, side: int) -> str | None:
        """The class of a tile with a defect, where it is not the frame's."""

    def window(self, y: int, x: int, side: int) -> Any:
        """The mask or the boxes of the tile whose corner is (y, x)."""

    def tobytes(self) -> bytes:
        """What tells these marks from others."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """The tiles of a share: `data` has a sample a tile, `frame` int64 (n,) says of which frame it is.

    A tile is labelled as its frame where it shows a defect, or by the kind of box that it is cut around, and good otherwise.
    Where it lies is asked by view: view 3 of a
    tile is always the same place. `fixed` int64 (n, 2) are the places where they do not change, as in val.
    """

    data: Dataset
    frame: NDArray[np.int64]
    marks: Sequence[Marked]
    grid: Grid
    seed: int = 0
    fixed: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.data)

    def place(self, tile: int, view: int) -> tuple[int, int]:
        """The corner (y, x) of a tile in a view."""
        if self.fixed is not None:
            y, x = self.fixed[tile].tolist()
            return y, x
        sample = self.data.samples[tile]
        rng = np.random.default_rng(view_seed(self.seed, f"place of {sample.id}", view))
        marks = self.marks[int(self.frame[tile])]
        if sample.label != self.data.good:
            return around(marks, self.grid, rng, sample.label)
        if len(marks.free):
            y, x = marks.free[rng.integers(len(marks.free))].tolist()
            return y, x
        return anywhere(self.grid, rng)

    def window(self, tile: int, view: int) -> Any:
        """The mask or the boxes of a tile in a view."""
        return self.marks[int(self.frame[tile])].window(*self.place(tile, view), self.grid.tile)

    def tobytes(self) -> bytes:
        """What tells all marks from others: a hash."""
        digest = hashlib.sha256()
        for marks in self.marks:
            digest.update(marks.tobytes())
        return digest.digest()


def drawn(share: Dataset, marks: Sequence[Marked], grid: Grid, tiles: Tiles, *, seed: int) -> Places:
    """The tiles that training sees. Defective frames of which nobody said where the defect is have none.

    Where boxes have kinds, those around defects take turns with the frame's kinds, the most frequent first.
    """
    found: list[tuple[int, Sample]] = []
    for frame, (sample, own) in enumerate(zip(share, marks, strict=True)):
        bad = tiles.defective if own.spots else 0
        fine = tiles.per_frame - bad if own.known and (not own.marked or len(own.free)) else 0
        counts = Counter(sorted(own.named))
        kinds: list[str | None] = [kind for kind, _ in counts.most_common()] or [sample.label]
        labels = [kinds[number % len(kinds)] for number in range(bad)] + [share.good] * fine
        found += [(frame, tile_of(sample, number, label)) for number, label in enumerate(labels)]
    return Places(
        data=replace(share, samples=tuple(sample for _, sample in found)),
        frame=np.array([frame for frame, _ in found], np.int64),
        marks=marks,
        grid=grid,
        seed=seed,
    )


def held_out(share: Dataset, marks: Sequence[Marked], grid: Grid, tiles: Tiles) -> Places:
    """The tiles by which val judges: of each frame's grid at most `per_frame` that show a defect and as many good ones.

    A sliver of a defect is neither, and is left out.
    """
    found: list[tuple[int, Sample]] = []
    fixed: list[NDArray[np.int64]] = []
    for frame, (sample, own) in enumerate(zip(share, marks, strict=True)):
        rng = np.random.default_rng(view_seed(0, f"place of {sample.id}", 0))
        for state, label in ((DEFECT, sample.label), (GOOD, share.good)):
            at = np.flatnonzero(own.shown == state)
            chosen = np.sort(rng.permutation(at)[: tiles.per_frame])
            for number in chosen.tolist():
                y, x = grid.corners[number].tolist()
                named = own.label(y, x, grid.tile) if state == DEFECT else None
                found.append((frame, tile_of(sample, number, named or label)))
            fixed.append(grid.corners[chosen])
    return Places(
        data=replace(share, samples=tuple(sample for _, sample in found)),
        frame=np.array([frame for frame, _ in found], np.int64),
        marks=marks,
        grid=grid,
        fixed=np.concatenate(fixed) if fixed else np.empty((0, 2), np.int64),
    )


def tile_of(sample: Sample, number: int, label: str | None) -> Sample:
    """A tile of a frame as a sample: of the same part, under a name of its own."""
    return replace(sample, id=f"{sample.id}#{number}", label=label, mask=None, boxes=None)


def around(marks: Marked, grid: Grid, rng: np.random.Generator, label: str | None) -> tuple[int, int]:
    """A tile that shows a defect: each of the frame, or of its kind, as often as another, somewhere but not at the tile's edge.

    A defect at the frame's edge lies at the tile's. Of one larger than the tile a part is shown.
    """
    own = [number for number, kind in enumerate(marks.named) if kind == label] or range(len(marks.spots))
    defect = own[int(rng.integers(len(own)))]
    y, x = marks.spots[defect][rng.integers(len(marks.spots[defect]))].tolist()
    side, margin = grid.tile, grid.tile // 8
    for _ in range(TRIES):
        down, right = rng.integers(margin, side - margin, 2).tolist()
        corner = within(grid, y - down, x - right)
        if marks.holds(defect, *corner, side):
            return corner
    corner = within(grid, y - side // 2, x - side // 2)
    if marks.holds(defect, *corner, side):
        return corner
    y, x = (
        marks.spots[defect].mean(axis=0).astype(np.int64).tolist()
    )  # the middle of a box larger than the tile
    return within(grid, y - side // 2, x - side // 2)


def anywhere(grid: Grid, rng: np.random.Generator) -> tuple[int, int]:
    """A tile of a good frame: from a quarter of a tile outside on, pushed inside, so that edges come as often as they count."""
    slack = grid.tile // 4
    y, x = (int(rng.integers(-slack, length - grid.tile + slack + 1)) for length in grid.size)
    return within(grid, y, x)


def within(grid: Grid, y: int, x: int) -> tuple[int, int]:
    """The corner, moved so that its tile lies inside the frame."""
    return min(max(y, 0), grid.size[0] - grid.tile), min(max(x, 0), grid.size[1] - grid.tile)

"""Connected sets of cells in a map, by runs: what is next to each other in a row is one, and runs that touch are joined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of True in the rows of a map (h, w), row by row, and the connected set that each belongs to.

    rows, starts, ends  (r,) row, first column, end column (excluded)
    owner               (r,) 0..count-1: sets are numbered by their first cell, row by row
    count               how many sets
    """

    rows: Ints
    starts: Ints
    ends: Ints
    owner: Ints
    count: int

    def cells(self) -> Ints:
        """How many cells each set has: (count,)."""
        return _summed(self.owner, self.ends - self.starts, self.count)

    def boxes(self) -> Ints:
        """First column, first row, end column, end row (excluded) of each set: (count, 4)."""
        found = np.empty((self.count, 4), np.int64)
        found[:, :2] = np.iinfo(np.int64).max
        found[:, 2:] = -1
        for column, lowest in enumerate((self.starts, self.rows)):
            np.minimum.at(found[:, column], self.owner, lowest)
        for column, highest in ((2, self.ends), (3, self.rows + 1)):
            np.maximum.at(found[:, column], self.owner, highest)
        return found

    def spread(self, values: NDArray[T]) -> NDArray[T]:
        """The value (count,) of its set for each True cell, in their order: `painted[warm] = runs.spread(values)`."""
        return np.repeat(values[self.owner], self.ends - self.starts)

    def of(self, chosen: Ints) -> Iterator[Ints]:
        """The numbers of the runs of each chosen set, in their order."""
        order = np.argsort(self.owner, kind="stable")
        sizes = np.bincount(self.owner, minlength=self.count)
        ends = np.cumsum(sizes)
        starts = ends - sizes
        return (order[starts[index] : ends[index]] for index in chosen.tolist())


def connected(warm: NDArray[np.bool_]) -> Runs:
    """The connected sets of True cells of `warm` (h, w); cells that touch by a side or a corner (8 neighbours) belong together.

    Time grows with the cells once, with vector operations, and then only with the runs.
    """
    height, width = warm.shape
    stride = width + 2  # a cell of False at either end, so that no run goes on in the next row
    padded = np.zeros((height, stride), np.int8)
    padded[:, 1:-1] = warm
    edges = np.flatnonzero(np.diff(padded.ravel(), append=np.int8(0)))
    first, last = edges[::2], edges[1::2]  # the places before a run's first cell and before the one behind it
    rows, starts, ends = first // stride, first % stride, last % stride
    # The runs of the row above that a run touches are neighbours in the list: from the first that ends at its start or
    # later, to the last that starts at its end or earlier.
    begin = np.searchsorted(last, first - stride, side="left")
    end = np.searchsorted(first, last - stride, side="right")
    owner, count = _joined(len(first), begin, end)
    return Runs(rows, starts, ends, owner, count)


def _joined(runs: int, begin: Ints, end: Ints) -> tuple[Ints, int]:
    """The set of each run, where run i touches the runs begin[i]..end[i]-1: roots hooked to smaller ones until none is left."""
    touched = np.maximum(end - begin, 0)
    below = np.repeat(np.arange(runs), touched)
    above = np.arange(len(below)) - np.repeat(np.cumsum(touched) - touched, touched) + begin[below]
    parent = np.arange(runs)
    while len(below):
        one, two = parent[below], parent[above]
        apart = one != two
        below, above, one, two = below[apart], above[apart], one[apart], two[apart]
        np.minimum.at(parent, np.maximum(one, two), np.minimum(one, two))
        while (parent[parent] != parent).any():
            parent = parent[parent]
    roots, owner = np.unique(parent, return_inverse=True)
    return owner.reshape(-1), len(roots)


def _summed(owner: Ints, values: Ints, count: int) -> Ints:
    sums = np.zeros(count, np.int64)
    np.add.at(sums, owner, values)
    return sums

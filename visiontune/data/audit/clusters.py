"""Gathers what is linked, directly or over others, into clusters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence


class Clusters:
    """Union-find (Galler and Fischer 1964) over n things, numbered from 0."""

    def __init__(self, n: int) -> None:
        self._parent = list(range(n))

    def root(self, i: int) -> int:
        """The smallest member of the cluster of i."""
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, i: int, j: int) -> None:
        """Makes one cluster of the two."""
        i, j = sorted((self.root(i), self.root(j)))
        self._parent[j] = i

    def join_equal(self, names: Sequence[Hashable | None]) -> None:
        """Joins what bears the same name; None joins nothing."""
        first: dict[Hashable, int] = {}
        for i, name in enumerate(names):
            if name is not None:
                self.join(first.setdefault(name, i), i)

    def roots(self) -> list[int]:
        """For each thing the smallest member of its cluster."""
        return [self.root(i) for i in range(len(self._parent))]


def members(names: Iterable[Hashable]) -> dict[Hashable, list[int]]:
    """The places of each name, in order of appearance."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for i, name in enumerate(names):
        found[name].append(i)
    return dict(found)

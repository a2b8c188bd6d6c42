"""Sees to it that a class with few groups stands in every share, by moving as few groups as that takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from visiontune.data.line import Line
from visiontune.data.problems import shown
from visiontune.data.samples import SPLITS

THIN = 3  # groups a class needs before it can stand in every share

Pinned = tuple[str, str | None, int]  # group, label, share


def fill_thin_classes(
    shares: dict[str, int],
    held: Mapping[str, int],
    movable: Collection[str],
    pinned: Collection[Pinned],
    classes: Sequence[str],
    line: Line,
) -> list[str]:
    """Moves groups in `shares` (group -> share) and returns one note a move, and one for each class that stays away.

    held     the classes of each group, as bits in the order of `classes`
    movable  the groups that may be moved
    pinned   what the groups hold that the source spreads over shares and that `shares` therefore leaves out
    line     the groups' places; only its shares receive groups

    The rarest class comes first. No move takes from a share the last group of another class that has at least three.
    """
    return _Filling(shares, held, movable, pinned, classes, line).run() if movable else []


class _Filling:
    def __init__(
        self,
        shares: dict[str, int],
        held: Mapping[str, int],
        movable: Collection[str],
        pinned: Collection[Pinned],
        classes: Sequence[str],
        line: Line,
    ) -> None:
        self.shares = shares
        self.held = held
        self.movable = movable
        self.classes = classes
        self.line = line
        self.counts = [[0, 0, 0] for _ in classes]  # groups by class and share
        members: dict[int, tuple[int, ...]] = {}  # classes by bits: few combinations, many groups
        for group, share in shares.items():
            bits = held[group]
            if bits not in members:
                members[bits] = tuple(_positions(bits))
            for c in members[bits]:
                self.counts[c][share] += 1
        for _, label, share in pinned:
            if label is not None:
                self.counts[classes.index(label)][share] += 1
        self.members: dict[int, list[str]] = defaultdict(list)  # movable groups by thin class
        self.totals = [sum(row) for row in self.counts]

    def run(self) -> list[str]:
        order = sorted(range(len(self.classes)), key=lambda c: (self.totals[c], self.classes[c]))
        absent = {c: [share for share in self.line.shares if not self.counts[c][share]] for c in order}
        thin = [c for c in order if absent[c]]
        wanted = sum(1 << c for c in thin)
        for group in self.movable if thin else ():
            for c in _positions(self.held[group] & wanted):
                self.members[c].append(group)
        notes = []
        for c in thin:
            if self.totals[c] < THIN:
                notes.append(
                    f"class {shown(self.classes[c])} has {self.totals[c]} groups and so none in "
                    f"{' and '.join(SPLITS[share] for share in absent[c])}; {THIN} are needed for one in every share"
                )
            else:
                notes += [self._fill(c, share) for share in absent[c] if not self.counts[c][share]]
        return notes

    def _fill(self, c: int, target: int) -> str:
        name = shown(self.classes[c])
        for donor in sorted(range(3), key=lambda share: (-self.counts[c][share], share)):
            group = self._candidate(c, donor, target) if self.counts[c][donor] > 1 else None
            if group is not None:
                self._move(group, donor, target)
                return (
                    f"class {name} had no group in {SPLITS[target]}: group {shown(group)} moved there from {SPLITS[donor]}; "
                    "pin the splits in a manifest to keep them when pictures are added"
                )
        return f"class {name} has no group in {SPLITS[target]}, and none can be moved there; add parts or set the splits by hand"

    def _candidate(self, c: int, donor: int, target: int) -> str | None:
        """The group to move: one of this class alone before a mixed one, then the nearest, then the first by name."""
        best = [
            (self.held[group] != 1 << c, self.line.distance(group, target), group)
            for group in self.members[c]
            if self.shares[group] == donor and self._can_spare(group, donor)
        ]
        return min(best)[2] if best else None

    def _can_spare(self, group: str, donor: int) -> bool:
        members = _positions(self.held[group])
        return all(self.counts[c][donor] > 1 or self.totals[c] < THIN for c in members)

    def _move(self, group: str, donor: int, target: int) -> None:
        self.shares[group] = target
        for c in _positions(self.held[group]):
            self.counts[c][donor] -= 1
            self.counts[c][target] += 1


def _positions(bits: int) -> list[int]:
    """The positions of the bits that are set."""
    return [i for i in range(bits.bit_length()) if bits >> i & 1]

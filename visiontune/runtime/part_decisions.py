"""What became of each part: the decisions on all its pictures, taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class PartDecisions:
    """A row a part, (p,): the index of its group, whether it is defective, and its decision (0 pass, 1 review, 2 reject).

    The decision on a part is the one of its pictures that does most harm: a defective part passes if any picture of it does, a
    good part is rejected if any is. It is the unit of the calibration, where exposures of one part are not independent and
    parts are. A group with good and defective pictures counts as a part on either side.
    """

    groups: Ints
    defective: Bools
    decisions: Ints

    def counts(self, defective: bool) -> tuple[int, int, int]:
        """How many of the defective (or good) parts pass, are reviewed, are rejected."""
        passed, reviewed, rejected = np.bincount(
            self.decisions[self.defective == defective], minlength=3
        ).tolist()
        return passed, reviewed, rejected

    def by_group(self, groups: int) -> NDArray[np.float64]:
        """For each of `groups` groups its parts: defective passed, reviewed, rejected, then good, float64 (groups, 6)."""
        table = np.zeros((groups, 6))
        np.add.at(table, (self.groups, self.decisions + 3 * ~self.defective), 1)
        return table


def part_decisions(groups: Ints, defective: Bools, decisions: Ints) -> PartDecisions:
    """The parts behind pictures (n,): the index of each one's group, whether it shows a defect, the decision on it."""
    keys, part = np.unique(2 * groups + defective, return_inverse=True)
    bad = keys % 2 == 1
    least, most = np.full(len(keys), 2), np.zeros(len(keys), np.int64)
    np.minimum.at(least, part, decisions)
    np.maximum.at(most, part, decisions)
    return PartDecisions(keys // 2, bad, np.where(bad, least, most))


def group_indices(groups: Sequence[str]) -> Ints:
    """A number for each group, in the order of first sight, int64 (n,)."""
    position: dict[str, int] = {}
    return np.array([position.setdefault(group, len(position)) for group in groups], np.int64)

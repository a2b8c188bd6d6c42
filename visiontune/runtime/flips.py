"""The pictures on which two models differ, the most harmful change first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.judging import Judged, Part

# In the order in which a person should look at them.
NEW_ESCAPE, NEW_WRONG_KIND = "new escape", "new wrong kind"
NEW_OVERKILL, NEW_REVIEW, NO_LONGER_REJECTED = "new overkill", "new review", "no longer rejected"
MENDED, OTHER_KIND = "mended", "other kind"
CHANGES = (
    NEW_ESCAPE,
    NEW_WRONG_KIND,
    NEW_OVERKILL,
    NEW_REVIEW,
    NO_LONGER_REJECTED,
    MENDED,
    OTHER_KIND,
)
PASS, REVIEW, REJECT = range(len(DECISIONS))


@dataclass(frozen=True)
class Flip:
    """One picture that the new model judges otherwise.

    path, group, label  of the picture
    old, new            the decisions; old_kind, new_kind: the kinds named
    change              one of CHANGES; "other kind" changes no decision, "mended" is every change to the better
    """

    path: str
    group: str
    label: str
    old: str
    new: str
    old_kind: str
    new_kind: str
    change: str

    @property
    def decides(self) -> bool:
        """Whether the part goes another way."""
        return self.change != OTHER_KIND


def flips(
    parts: Sequence[Part], old: Judged, new: Judged, classes: Sequence[str], *, sorts: bool
) -> tuple[Flip, ...]:
    """All of them, by harm, then by path. `sorts`: the models have no good class, else it is the first of `classes`."""
    found = []
    for index, part in enumerate(parts):
        truth = int(old.truth[index])
        before = int(old.decisions[index]), int(old.named[index])
        after = int(new.decisions[index]), int(new.named[index])
        change = sorted_change(truth, before, after) if sorts else inspected_change(truth != 0, before, after)
        if change is not None:
            found.append(
                Flip(
                    path=str(part.path),
                    group=part.group,
                    label=classes[truth],
                    old=DECISIONS[before[0]],
                    new=DECISIONS[after[0]],
                    old_kind=classes[before[1]],
                    new_kind=classes[after[1]],
                    change=change,
                )
            )
    return tuple(sorted(found, key=lambda flip: (CHANGES.index(flip.change), flip.path)))


def inspected_change(defective: bool, old: tuple[int, int], new: tuple[int, int]) -> str | None:
    """What a change of (decision, kind) means where there is a good class; None if nothing changed."""
    if old[0] == new[0]:
        return None if old[1] == new[1] else OTHER_KIND
    if defective:
        worse = {PASS: NEW_ESCAPE, REVIEW: NO_LONGER_REJECTED}
        return worse[new[0]] if new[0] < old[0] else MENDED
    worse = {REJECT: NEW_OVERKILL, REVIEW: NEW_REVIEW}
    return worse[new[0]] if new[0] > old[0] else MENDED


def sorted_change(truth: int, old: tuple[int, int], new: tuple[int, int]) -> str | None:
    """What a change of (decision, kind) means for a model that sorts; None if nothing changed."""
    if old == new:
        return None
    (before, old_kind), (after, new_kind) = old, new
    if after == PASS and new_kind != truth:
        return OTHER_KIND if before == PASS and old_kind != truth else NEW_WRONG_KIND
    if after == PASS:
        return MENDED
    if before == after:
        return OTHER_KIND
    if before != PASS:
        return NEW_OVERKILL if after == REJECT else MENDED
    return NEW_REVIEW if old_kind == truth else MENDED

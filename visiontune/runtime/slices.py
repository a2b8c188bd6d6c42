"""Escapes and overkill of each defect kind, size, camera, lot: the worst first, tested against the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.exact_tests import fisher_more, holm
from visiontune.runtime.rate import Rate, exact_rate

Bools = NDArray[np.bool_]
Values = Sequence[str | None]  # of each picture; None where it has none


@dataclass(frozen=True)
class Slice:
    """The parts of one value, such as camera 2, and how many of them came to harm.

    by, value  "kind" and a class, "size" and a bin, or the name of an attribute and one of its values
    harm       "escapes": of defective parts, those that pass; "overkill": of good parts, those rejected; "wrong kind": where
               there is no good class, of all parts, those named wrongly; each in any of their pictures of this value
    rate       of parts (groups), with exact bounds
    p          chance of so many or more if this value were like the others of its `by` (Fisher's exact test, one-sided),
               corrected by Holm for how many values it has; None where there is no other. A part with pictures of
               several values counts under each; the test takes them for different parts and, as pictures of one part are
               alike, then errs on the side of no difference
    """

    by: str
    value: str
    harm: str
    rate: Rate
    p: float | None


@dataclass(frozen=True)
class Harm:
    """What is counted: the pictures that it could befall, and those that it befell; both (n,)."""

    name: str
    among: Bools
    befell: Bools


def slices(
    columns: Mapping[str, Values],
    harms: Mapping[str, Sequence[Harm]],
    groups: NDArray[np.int64],
    confidence: float,
) -> tuple[Slice, ...]:
    """A slice for each value of each column and each of its harms; by column and harm, the surely worst first.

    columns  values of each picture, by name; harms  what to count by each name; groups  the index of each picture's part
    """
    return tuple(
        one
        for by, values in columns.items()
        for harm in harms[by]
        for one in _corrected(_sliced(by, values, harm, groups, confidence))
    )


def _corrected(rows: list[Slice]) -> list[Slice]:
    """The slices of one column and harm with Holm's correction for how many they are."""
    tested = [index for index, one in enumerate(rows) if one.p is not None]
    for index, p in zip(tested, holm([rows[index].p or 0.0 for index in tested]), strict=True):
        rows[index] = replace(rows[index], p=p)
    return rows


def comparable(values: Values, groups: NDArray[np.int64]) -> bool:
    """Whether a column divides the parts into groups worth comparing: two values or more, and two parts a value on average."""
    pairs = {
        (value, group) for value, group in zip(values, groups.tolist(), strict=True) if value is not None
    }
    kinds = len({value for value, _ in pairs})
    return kinds > 1 and 2 * kinds <= len(pairs)


def _sliced(by: str, values: Values, harm: Harm, groups: NDArray[np.int64], confidence: float) -> list[Slice]:
    names = sorted({value for value in values if value is not None})
    position: dict[str | None, int] = {name: index for index, name in enumerate(names)}
    column = np.array([position.get(value, -1) for value in values])
    of = _parts(column, groups, harm.among, len(names))
    hits = _parts(column, groups, harm.among & harm.befell, len(names))
    all_of, all_hits = sum(of), sum(hits)
    rows = [
        Slice(
            by,
            name,
            harm.name,
            exact_rate(k, n, confidence),
            fisher_more(k, n, all_hits - k, all_of - n) if all_of > n else None,
        )
        for name, k, n in zip(names, hits, of, strict=True)
        if n
    ]
    return sorted(rows, key=lambda one: (-one.rate.low, -(one.rate.rate or 0), -one.rate.upper, one.value))


def _parts(column: NDArray[np.int64], groups: NDArray[np.int64], chosen: Bools, size: int) -> list[int]:
    """How many parts of each value have a chosen picture."""
    chosen = chosen & (column >= 0)
    pairs = np.unique(np.stack([column[chosen], groups[chosen]]), axis=1)
    counts: list[int] = np.bincount(pairs[0], minlength=size).tolist()
    return counts

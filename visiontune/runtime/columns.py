"""What parts can be compared by: their defect kind, the size of the defect, and attributes such as camera, lot, line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.defect_size import marked_share, size_bin
from visiontune.runtime.errors import BadData
from visiontune.runtime.judging import Part
from visiontune.runtime.slices import Values, comparable

KIND, SIZE = "kind", "size"
Columns = dict[str, Values]


def columns_of(
    parts: Sequence[Part], groups: NDArray[np.int64], good: str | None, by: Sequence[str] | None = None
) -> tuple[Columns, tuple[str, ...]]:
    """The values of each picture by column, and the attributes that are left out because they divide the parts too finely or not.

    by  the attributes to take; None takes all that leave two parts a value or more

    Kind and size are there where there is a good class, size where there are masks. An attribute that bears one of their
    names is called "attribute kind" or "attribute size". Raises BadData for a name in `by` that no part has; BadFrame for
    a mask that cannot be read.
    """
    columns: Columns = {}
    if good is not None:
        columns[KIND] = [None if part.label == good else part.label for part in parts]
        sizes = [_size(part, good) for part in parts]
        if any(sizes):
            columns[SIZE] = sizes
    said = [_attributes(part) for part in parts]
    names = list(dict.fromkeys(name for attributes in said for name in attributes))
    left_out = []
    for name in _chosen(by, names):
        values = [attributes.get(name) or None for attributes in said]
        if by is not None or comparable(values, groups):
            columns[name if name not in (KIND, SIZE) else f"attribute {name}"] = values
        else:
            left_out.append(name)
    return columns, tuple(left_out)


def _chosen(by: Sequence[str] | None, names: list[str]) -> Sequence[str]:
    unknown = [name for name in by or () if name not in names]
    if unknown:
        known = ", ".join(names) or "none (a manifest's further columns are attributes)"
        raise BadData(
            f"expected attributes of the parts to compare by, found {', '.join(unknown)}; there are {known}"
        )
    return names if by is None else by


def _attributes(part: Part) -> Mapping[str, str]:
    found: Mapping[str, str] = getattr(part, "attributes", None) or {}
    return found


def _size(part: Part, good: str) -> str | None:
    mask = getattr(part, "mask", None)
    return None if mask is None or part.label == good else size_bin(marked_share(mask))

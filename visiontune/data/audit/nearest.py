"""The nearest neighbours of every picture by short vectors, block by block, so that no table of all pairs is ever held."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visiontune.data.audit.fingerprint import Float

CELLS = 2**22  # cosines held at once


def ranked_neighbours(keys: Float, ranks: NDArray[np.intp]) -> NDArray[np.intp]:
    """For each row of unit vectors (n, k) the rows at these ranks of likeness, 0 the most alike, itself never.

    intp (n, len(ranks)). Ranks must be below n - 1. Between equal cosines chance decides.
    """
    n = len(keys)
    found = np.empty((n, len(ranks)), np.intp)
    block = max(1, CELLS // max(1, n))
    last = int(ranks.max())
    for start in range(0, n, block):
        rows = keys[start : start + block]
        cosines = rows @ keys.T
        cosines[np.arange(len(rows)), np.arange(start, start + len(rows))] = -np.inf
        top = np.argpartition(-cosines, last, axis=1)[:, : last + 1]
        order = np.argsort(-np.take_along_axis(cosines, top, 1), axis=1, kind="stable")
        found[start : start + block] = np.take_along_axis(top, order[:, ranks], 1)
    return found

"""How large the defect in a picture is, by its mask, and the bins that escapes are counted in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from visiontune.runtime.mask import read_mask

EDGES = (0.001, 0.01, 0.1)  # shares of the picture: the same bins for every set, so that measurements compare
BINS = ("under 0.1%", "0.1% to 1%", "1% to 10%", "10% and more")  # of the picture


def marked_share(mask: Path) -> float:
    """The share of a mask's pixels that are not 0 (black), 0..1. Raises BadFrame if it cannot be read."""
    marked = read_mask(mask)
    return float(np.count_nonzero(marked)) / marked.size


def size_bin(share: float) -> str | None:
    """The bin of a marked share; None where nothing is marked."""
    return BINS[int(np.searchsorted(EDGES, share, side="right"))] if share > 0 else None

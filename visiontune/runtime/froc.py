"""How many defects are found at so many false regions a good frame: a point of the free-response curve (FROC)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.rate import Rate, exact_rate

PER_FRAME = 0.01  # false regions a good frame


@dataclass(frozen=True)
class FoundAt:
    """Defects found by the lowest high band that leaves at most `per_frame` false regions a good frame.

    per_frame      false regions a good frame that are allowed
    above          regions count whose hottest cell is above this; None where every region may count
    found          the defects that such a region touches
    """

    per_frame: float
    above: float | None
    found: Rate


def found_at(
    hottest: NDArray[np.float64],
    false: NDArray[np.float64],
    frames: int,
    confidence: float,
    per_frame: float = PER_FRAME,
) -> FoundAt:
    """The point of the curve.

    hottest  for each defect the score of the hottest region that touches it, -inf where none does
    false    the scores of the regions in good frames
    frames   how many good frames there were

    The band is read off the very frames that are counted, so a new lot will give some more, or find some less.
    """
    allowed = math.floor(per_frame * frames * (1 + 1e-12))
    above = None if len(false) <= allowed else float(np.sort(false)[::-1][allowed])
    hits = np.isfinite(hottest) if above is None else hottest > above
    return FoundAt(per_frame, above, exact_rate(int(hits.sum()), len(hottest), confidence))

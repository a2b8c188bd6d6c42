"""Thresholds that keep clear of every severity, so that the last bit of an engine's arithmetic decides nothing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def clear_below(edge: float, severities: NDArray[np.float32]) -> float:
    """The highest threshold not above `edge` that keeps clear of every severity of the share.

    A threshold that touches a severity would let the last bit of an engine's arithmetic decide; midway in the next gap wide
    enough, it cannot. Going down passes fewer parts, so no promise is weakened.
    """
    above = float(edge)
    for below in sorted({float(value) for value in severities if value < edge}, reverse=True):
        if above - below > clearance(above):
            return (above + below) / 2
        above = below
    return above / 2


def clear_above(edge: float, severities: NDArray[np.float32]) -> float:
    """The lowest threshold above `edge` that keeps clear of every severity of the share."""
    below = float(edge)
    for above in sorted({float(value) for value in severities if value > edge}):
        if above - below > clearance(above):
            return (above + below) / 2
        below = above
    return below + max((1 - below) / 2, 2 * clearance(below))


def clearance(severity: float) -> float:
    """How wide a gap must be at `severity` to be more than rounding."""
    return 2e-5 * severity + 1e-9

"""The gate: a frame far darker, brighter, flatter or softer than those of validation was not inspected, whatever its score."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from typing import NamedTuple

from visiontune.runtime.look import Look
from visiontune.runtime.reference import Reference

LEAST = {
    "brightness": 10.0,
    "contrast": 10.0,
    "saturated": 0.02,
    "sharpness": 0.3,
}  # margins, in the statistic's unit
QUARTER = (
    4  # a lower limit of grey levels is at least a quarter of what validation had, however wide its range
)


class Limit(NamedTuple):
    """A bound on one statistic, and the words for what lies beyond."""

    statistic: str
    words: str
    bound: float
    beyond: Callable[[float, float], bool]


class Gate:
    """Says of a look why such a frame cannot be inspected, or nothing.

    The limits lie half the width of the reference's range (between its 1 % and 99 % quantiles) outside that range, and at
    least 10 grey levels for brightness and contrast, 2 % of the pixels for saturation, a factor of 1.35 for sharpness:
    about 4.6 standard deviations from the centre, were it normal. A station whose pictures vary more is given more room.
    """

    def __init__(self, reference: Reference) -> None:
        self._ranges = reference.ranges
        self._limits = tuple(_limits(reference))

    def reason(self, seen: Look) -> str:
        """Such as "not inspectable: too dark (brightness 12, val 80 to 140)"; "" for a frame that can be inspected."""
        for limit in self._limits:
            value = getattr(seen, limit.statistic)
            if limit.beyond(value, limit.bound):
                shown = [value, *self._ranges[limit.statistic]]
                if limit.statistic == "sharpness":
                    shown = [math.exp(one) for one in shown]
                value, low, high = (f"{one:.3g}" for one in shown)
                return f"not inspectable: {limit.words} ({limit.statistic} {value}, val {low} to {high})"
        return ""


def _limits(reference: Reference) -> Iterator[Limit]:
    for statistic, under, over in (
        ("brightness", "too dark", "too bright"),
        ("saturated", "", "overexposed"),
        ("contrast", "too little contrast", ""),
        ("sharpness", "blurred", ""),
    ):
        low, high = reference.ranges[statistic]
        margin = max(LEAST[statistic], (high - low) / 2)
        if under:
            least = low - margin if statistic == "sharpness" else max(low - margin, low / QUARTER)
            yield Limit(statistic, under, least, operator.lt)
        if over:
            yield Limit(statistic, over, high + margin, operator.gt)

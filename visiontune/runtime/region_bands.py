"""From when on a heatmap shows a region: hysteresis, a least size, and how large a pixel is on the part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from visiontune.runtime import fields as check

HIGH = 0.5
LOW = 0.3


@dataclass(frozen=True, kw_only=True)
class RegionBands:
    """How regions are cut from a heatmap, or which boxes of a model that gives boxes are; the decision does not depend on it.

    low, high  cells >= low that touch form one region, which counts if one of them is >= high; low <= high. A box counts if
               its score is >= high, whatever else stands here
    min_area   smaller regions do not count; pixels of the frame, >= 0
    pixel_mm   how much of the part a pixel of the frame shows, across and down, in mm; None where nobody measured it

    Raises BadModel, in one line, for values out of order.
    """

    low: float = LOW
    high: float = HIGH
    min_area: float = 0.0
    pixel_mm: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        for name in ("low", "high", "min_area"):
            object.__setattr__(self, name, check.real(getattr(self, name), f"card.regions.{name}"))
        if not self.low <= self.high:
            check.refuse("card.regions", "low <= high", [self.low, self.high])
        if self.min_area < 0:
            check.refuse("card.regions.min_area", "a number of pixels >= 0", self.min_area)
        if self.pixel_mm is not None:
            across, down = check.reals(self.pixel_mm, "card.regions.pixel_mm", count=2, above=0)
            object.__setattr__(self, "pixel_mm", (across, down))


DEFAULT = RegionBands()


def shown_from(bands: RegionBands | None) -> float:
    """The score from which a box is a region, as float32 scores compare with it; 0, so any box, without bands."""
    return 0.0 if bands is None else float(np.float32(bands.high))

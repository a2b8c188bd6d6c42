"""The line's answer about one frame: the decision, how sure, which kind, where."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Region:
    """One place in the frame that speaks for a defect.

    kind   class name
    score  0..1: the box's score, or the highest value of the heatmap inside
    box    x0, y0, x1, y1 in pixels of the frame, x1 and y1 excluded
    area   pixels of the frame that the region covers; None where only a box is known
    length pixels of the frame from one end to the other: the largest distance between two of the region's points (maximum
           Feret diameter); None where only a box is known

    area_mm2, length_mm  the same on the part; None unless the card knows how large a pixel is
    """

    kind: str
    score: float
    box: tuple[float, float, float, float]
    area: int | None = None
    length: float | None = None
    area_mm2: float | None = None
    length_mm: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; what is in mm only where it is known."""
        on_part = {"area_mm2": self.area_mm2, "length_mm": self.length_mm}
        return {
            "kind": self.kind,
            "score": self.score,
            "box": list(self.box),
            "area": self.area,
            "length": self.length,
            **{name: value for name, value in on_part.items() if value is not None},
        }


class Proposals(NamedTuple):
    """All boxes that a model proposes for a frame, strongest first, also those too weak to be shown as regions.

    corners  float32 (k, 4), x0 y0 x1 y1 in pixels of the frame
    scores   float32 (k,), above 0, up to 1
    kinds    int64 (k,), positions in the card's classes
    """

    corners: NDArray[np.float32]
    scores: NDArray[np.float32]
    kinds: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the model says about one frame.

    decision  "pass", "review" or "reject"
    severity  0..1: calibrated risk that this frame must not simply pass; NaN when the model gave no usable
              answer
    kind      the most probable class; "" when the model gave no usable answer
    kinds     probability of each class, in the card's order
    regions   where, strongest first; empty for a model that cannot tell
    heatmap   float32 (h, w), 0..1, over the card's region of interest; None for a model without one
    proposals all boxes of a model that gives boxes, of which the strong ones are the regions; else None
    reason    why the frame was not inspectable, where a Monitor found it so; else ""

    An answer that cannot be trusted (NaN, a severity outside 0..1, a decision that contradicts the bands in
    the card) has the decision "review", never "pass".
    """

    decision: str
    severity: float
    kind: str
    kinds: Mapping[str, float]
    regions: tuple[Region, ...] = ()
    heatmap: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    reason: str = ""
    proposals: Proposals | None = field(default=None, compare=False, repr=False)

    @property
    def counts(self) -> dict[str, int]:
        """How many regions of each kind there are, the kinds in the regions' order; no entry for a kind without."""
        return dict(Counter(region.kind for region in self.regions))

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, without the maps and proposals; `reason` only if there is one; what is not a finite number becomes None."""
        return {
            "decision": self.decision,
            "severity": _finite(self.severity),
            "kind": self.kind,
            "kinds": {name: _finite(value) for name, value in self.kinds.items()},
            "regions": [region.as_dict() for region in self.regions],
            **({"reason": self.reason} if self.reason else {}),
        }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None

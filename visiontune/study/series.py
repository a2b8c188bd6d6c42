"""What a survey of planted defects gives: every planting with its verdict, a curve for each series, and what it all means."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.frame import Frame
from visiontune.runtime.measurement import Rate
from visiontune.study.pod import Curve

PASS = DECISIONS[0]
ANYWHERE = "defects may lie anywhere in the model's region, on background and holes too; --where keeps them on the part"
MANY_CALLS = 0.2  # share of good pictures not passed, beyond which the rest are no fair sample
STATEMENT = (
    "Planted defects, of these shapes and contrasts; not your real ones. What is found here at a size says nothing of "
    "another shape, and a real defect may also change texture, gloss or height."
)


@dataclass(frozen=True)
class Good:
    """A picture of a good part, and the part."""

    path: Path
    group: str


@dataclass(frozen=True)
class Find:
    """One planted defect and its verdict: found unless the decision is pass. `crop` uint8 (h, w, 3) for a few."""

    picture: str
    group: str
    size: float
    box: tuple[int, int, int, int]
    severity: float
    decision: str
    crop: Frame | None = field(default=None, compare=False, repr=False)

    @property
    def found(self) -> bool:
        """Whether it was not passed."""
        return self.decision != PASS


@dataclass(frozen=True)
class Series:
    """All plantings of one kind and contrast, and their curve; `unplanted` found no place."""

    kind: str
    contrast: float
    curve: Curve
    finds: tuple[Find, ...]
    unplanted: int


@dataclass(frozen=True)
class Survey:
    """What was found.

    pictures     good pictures judged as they are; `parts` they show
    false_calls  of those, the ones not passed. Nothing is planted on them: what is rejected anyway would count as found
    pixel_mm     millimetres of a pixel, None where not told
    masked       whether defects were kept to a mask
    """

    model: str
    pictures: int
    parts: int
    false_calls: Rate
    series: tuple[Series, ...]
    pixel_mm: float | None
    masked: bool = False
    statement: str = STATEMENT

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the pictures and places."""
        anywhere = () if self.masked else (ANYWHERE,)
        if self.false_calls.rate is None or self.false_calls.rate <= MANY_CALLS:
            return anywhere
        return (
            *anywhere,
            f"{self.false_calls.hits} of {self.false_calls.of} good pictures are not passed as they are: the curves hold for the "
            "few that are, and what the model rejects so readily it finds easily",
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, with every planting, without pictures; sizes in pixels."""
        series = [
            {
                "kind": one.kind,
                "contrast": one.contrast,
                "unplanted": one.unplanted,
                "curve": one.curve.as_dict(),
                "planted": [
                    {
                        "picture": find.picture,
                        "group": find.group,
                        "size": find.size,
                        "box": list(find.box),
                        "severity": find.severity if math.isfinite(find.severity) else None,
                        "decision": find.decision,
                    }
                    for find in one.finds
                ],
            }
            for one in self.series
        ]
        return {
            "statement": self.statement,
            "model": self.model,
            "pictures": self.pictures,
            "parts": self.parts,
            "false_calls": asdict(self.false_calls),
            "pixel_mm": self.pixel_mm,
            "notes": list(self.notes),
            "series": series,
        }

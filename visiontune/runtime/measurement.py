"""What was measured: rates with their bounds, as numbers and as JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from visiontune.runtime.at_line import AtLine
from visiontune.runtime.detection import Detection
from visiontune.runtime.localisation import Localisation
from visiontune.runtime.measurement_table import table
from visiontune.runtime.rate import Rate
from visiontune.runtime.reliability import Calibration
from visiontune.runtime.slices import Slice

__all__ = ["Measurement", "Rate", "Span", "table"]

WHERE = ("localisation", "detection")


@dataclass(frozen=True)
class Span:
    """Milliseconds per frame: median and 99th percentile."""

    p50: float
    p99: float


@dataclass(frozen=True)
class Measurement:
    """What `measure` found. Bounds of a Rate hold for independent parts, intervals for independent groups.

    A group is a part seen in one or more pictures, as in calibration; where every picture is its own group there is no
    difference.

    n, groups          pictures and groups measured
    confidence         of all bounds and intervals, such as 0.95
    classes, good      as in the card
    top1               pictures whose most probable kind is their label
    top5               pictures whose label is among the five most probable kinds; None for five classes or fewer
    balanced_accuracy  mean recall of the classes that are present
    recall             per class that is present
    confusion          [true class][named kind], counts in the order of `classes`
    auroc              how often a defective picture has a higher severity than a good one, whatever the thresholds; None without
                       a good class, or without pictures of either side
    escapes            defective pictures (label is not `good`) whose decision is pass; None without a good class
    escaped_groups     groups with a defective picture of which at least one passed: the count to read when a group
                       is one part seen several times; None without a good class
    overkill           good pictures whose decision is reject; None without a good class
    overkill_groups    groups with a good picture of which at least one was rejected; None without a good class
    review             pictures whose decision is review
    wrong_passed       of the pictures that pass, those whose kind is named wrongly; None with a good class
    wrong_passed_groups  groups with a passing picture of which one passes under a wrong kind; None with a good class
    parts              how many "defective" and "good" parts "pass", "review", "reject", each by the picture that does most
                       harm (see part_decisions); None without a good class
    line               the same at the line's rate of defects; None where that was not stated
    slices             per defect kind, defect size and attribute: the worst first, tested against the rest
    not_compared       attributes with too many values, or one only
    calibration        of the probabilities, before and after the temperature
    intervals          bootstrap over groups of "balanced_accuracy", "top1", "escapes": (low, high), None
                       where undefined
    judge_ms           from a decoded frame to the verdict; decode_ms from the path to the decoded frame
    localisation       how well the heatmap shows where; None for a model without one or with boxes, and for parts without masks
    detection          what the boxes found; None for a model without boxes, or parts without
    """

    n: int
    groups: int
    confidence: float
    classes: tuple[str, ...]
    good: str | None
    top1: Rate
    top5: Rate | None
    balanced_accuracy: float
    recall: dict[str, Rate]
    confusion: list[list[int]]
    auroc: float | None
    escapes: Rate | None
    escaped_groups: Rate | None
    overkill: Rate | None
    overkill_groups: Rate | None
    review: Rate
    wrong_passed: Rate | None
    wrong_passed_groups: Rate | None
    parts: dict[str, dict[str, int]] | None
    line: AtLine | None
    slices: tuple[Slice, ...]
    not_compared: tuple[str, ...]
    calibration: Calibration
    intervals: dict[str, tuple[float, float] | None]
    judge_ms: Span
    decode_ms: Span
    localisation: Localisation | None = None
    detection: Detection | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; `localisation` and `detection` only where there is one."""
        found = dataclasses.asdict(self)
        return {name: value for name, value in found.items() if name not in WHERE or value is not None}

    def __str__(self) -> str:
        """The table of `table`."""
        return table(self)

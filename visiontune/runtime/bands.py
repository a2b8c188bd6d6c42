"""The two thresholds that turn a severity into pass, review or reject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visiontune.runtime import fields as check
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.errors import BadModel

NEVER = 2.0  # a threshold that no severity reaches


@dataclass(frozen=True)
class Bands:
    """Severities from `review_from` on go to a person, from `reject_from` on they are rejected.

    0 <= review_from <= reject_from, in the unit of severity; a threshold above 1 (NEVER) is never reached.
    `evidence` is what the calibration saw and certified, JSON-able, None if the bands were set by
    hand. Raises BadModel when the thresholds are not numbers or out of order.
    """

    review_from: float
    reject_from: float
    evidence: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        for name in ("review_from", "reject_from"):
            object.__setattr__(self, name, check.real(getattr(self, name), f"bands.{name}"))
        if self.evidence is not None:
            object.__setattr__(self, "evidence", check.plain_object(self.evidence, "bands.evidence"))
        if not 0 <= self.review_from <= self.reject_from:
            raise BadModel(
                "bands: expected 0 <= review_from <= reject_from, "
                f"found review_from {self.review_from}, reject_from {self.reject_from}"
            )

    def decide(self, severity: float) -> str:
        """The decision for one severity, compared in float32 as the graph does; NaN is "review"."""
        return DECISIONS[int(self.decisions([severity])[0])]

    def decisions(self, severities: ArrayLike) -> NDArray[np.int64]:
        """Indices into DECISIONS: (severity >= review_from) + (severity >= reject_from), int64 of the same shape.

        Thresholds and severities are rounded to float32 first, because the graph holds and gives float32: a
        part on the edge must fall on the same side here and there. NaN gives 1, "review".
        """
        values = np.asarray(severities, np.float32)
        decided = (values >= np.float32(self.review_from)).astype(np.int64)
        decided += values >= np.float32(self.reject_from)
        return np.where(np.isnan(values), 1, decided)

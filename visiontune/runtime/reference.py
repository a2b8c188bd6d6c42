"""What validation looked like: the scores and pictures in the card that the line is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime import fields as check
from visiontune.runtime.look import FEATURES, Look

MOST = 512  # parts of each sort that the card keeps
FLOORS = np.array([1.0, 1.0, 1.0, 0.05, 1.0, 1.0])  # of FEATURES: a smaller spread is chance or rounding
WHERE = "card.reference"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The val share as the exported file judged it. Made by the lab at export; checked when made, BadModel names a wrong field.

    parts       how many good parts val held (without a good class: parts)
    frames      how many pictures; `ranges` are of all of them
    good        severities of a random choice of at most 512 of these parts, one picture chosen at random of each,
                ascending. A choice of parts, not of quantiles: only so are they exchangeable with parts to come
    defective   the same of the defective parts; empty without a good class
    ranges      for each statistic of `Look` its 1 % and 99 % quantiles
    centre, covariance
                of the features (see look.FEATURES) of one half of the good parts, (6,) and (6, 6), the latter
                shrunk towards its diagonal
    looks       of the other half, so that parts of the line are as strange to the centre as these are: (severity,
                Mahalanobis distance from the centre), at most 512
    """

    parts: int
    frames: int
    good: tuple[float, ...]
    defective: tuple[float, ...]
    ranges: Mapping[str, tuple[float, float]]
    centre: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    looks: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        size = len(FEATURES)
        for name in ("parts", "frames"):
            _set(self, name, check.whole(getattr(self, name), f"{WHERE}.{name}", least=1))
        for name in ("good", "defective"):
            severities = check.reals(getattr(self, name), f"{WHERE}.{name}")
            if not all(0 <= severity <= 1 for severity in severities):
                check.refuse(f"{WHERE}.{name}", "severities from 0 to 1", severities)
            _set(self, name, severities)
        if not self.good:
            check.refuse(f"{WHERE}.good", "at least one severity", self.good)
        ranges = check.keys(self.ranges, Look._fields, f"{WHERE}.ranges")
        pairs = {name: check.reals(pair, f"{WHERE}.ranges.{name}", count=2) for name, pair in ranges.items()}
        _set(self, "ranges", pairs)
        _set(self, "centre", check.reals(self.centre, f"{WHERE}.centre", count=size))
        rows = check.items(self.covariance, f"{WHERE}.covariance", count=size)
        _set(self, "covariance", tuple(check.reals(row, f"{WHERE}.covariance", count=size) for row in rows))
        pairs_of = check.items(self.looks, f"{WHERE}.looks")
        _set(self, "looks", tuple(check.reals(pair, f"{WHERE}.looks", count=2) for pair in pairs_of))


class Strangeness:
    """How far a look is from a centre: the Mahalanobis distance, in standard deviations.

    centre (6,), covariance (6, 6) of look.FEATURES; to the variances the squares of FLOORS are added, so that what never
    varied in validation does not make the covariance singular.
    """

    def __init__(self, centre: tuple[float, ...], covariance: tuple[tuple[float, ...], ...]) -> None:
        self._centre = np.array(centre)
        self._inverse: NDArray[np.float64] = np.linalg.pinv(np.array(covariance) + np.diag(FLOORS**2))

    def __call__(self, seen: Look) -> float:
        """The distance, >= 0."""
        away = seen.features() - self._centre
        return float(np.sqrt(max(0.0, away @ self._inverse @ away)))


def _set(thing: object, name: str, value: object) -> None:
    object.__setattr__(thing, name, value)  # the dataclass is frozen for everybody else

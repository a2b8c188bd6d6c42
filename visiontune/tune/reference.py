"""Writes down what validation looked like, as the exported file saw it: the reference that a Monitor on the line needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.frame import decode
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.look import FEATURES, Look, look
from visiontune.runtime.reference import MOST, Reference, Strangeness
from visiontune.runtime.verdict import Verdict
from visiontune.tune.calibrate import Judged

SEED = 20_260_102
FEWEST = 8  # good parts below which looks are not worth two halves


class Witness:
    """Judges through an Inspector and keeps severity and look of every picture, in order."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self.severities: list[float] = []
        self.looks: list[Look] = []

    def __call__(self, path: Path) -> Verdict:
        """The verdict on a picture's file, decoded once, as the Inspector decodes it."""
        spec = self._inspector.card.input
        frame = decode(path, window=spec.window)
        verdict = self._inspector(frame)
        self.severities.append(verdict.severity)
        self.looks.append(look(frame, size=spec.size, roi=spec.roi))
        return verdict


def reference(
    severities: Sequence[float], looks: Sequence[Look], judged: Judged, *, sorts: bool
) -> Reference | None:
    """The reference of the val share, of which severities, looks and `judged` hold a row a picture.

    sorts  there is no good class: every part counts as good

    One picture of each part is drawn, and the parts are drawn, from a fixed seed. None without a good part.
    """
    rng = np.random.default_rng(SEED)
    fine = np.ones(len(looks), bool) if sorts else judged.labels == 0
    good, bad = (_drawn(judged.groups, chosen, rng) for chosen in (fine, ~fine))
    if not good:
        return None
    half = len(good) // 2 if len(good) >= FEWEST else len(good)
    features = np.array([looks[index].features() for index in good[:half]])
    away = features - features.mean(axis=0)
    centre = _short(features.mean(axis=0))
    covariance = tuple(map(_short, _shrunk(away.T @ away / max(1, half - 1), half)))
    strangeness = Strangeness(centre, covariance)
    columns = np.array(looks)
    return Reference(
        parts=len(good),
        frames=len(looks),
        good=_severities(severities, good[:MOST]),
        defective=_severities(severities, bad[:MOST]),
        ranges={
            name: _pair(*np.quantile(columns[:, place], (0.01, 0.99)))
            for place, name in enumerate(Look._fields)
        },
        centre=centre,
        covariance=covariance,
        looks=tuple(_pair(severities[index], strangeness(looks[index])) for index in good[half:][:MOST]),
    )


def _drawn(groups: Sequence[str], chosen: NDArray[np.bool_], rng: np.random.Generator) -> list[int]:
    """One chosen picture of each part that has any, the parts in random order."""
    parts: dict[str, list[int]] = {}
    for index in np.flatnonzero(chosen).tolist():
        parts.setdefault(groups[index], []).append(index)
    drawn = [int(rng.choice(pictures)) for pictures in parts.values()]
    return [drawn[place] for place in rng.permutation(len(drawn))]


def _shrunk(covariance: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Nearer to its diagonal the fewer parts it is of: of a handful the correlations are mostly chance."""
    kept = count / (count + len(FEATURES))
    return kept * covariance + (1 - kept) * np.diag(np.diag(covariance))


def _severities(severities: Sequence[float], of: Sequence[int]) -> tuple[float, ...]:
    return tuple(sorted(_short([severities[index] for index in of])))


def _short(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, ...]:
    """With seven digits, as many as float32 has."""
    return tuple(float(f"{value:.7g}") for value in values)


def _pair(one: float, two: float) -> tuple[float, float]:
    first, second = _short((one, two))
    return first, second

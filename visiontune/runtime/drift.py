"""Two martingales on the frames that pass: their scores, and how strange they look."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bands import Bands
from visiontune.runtime.look import Look
from visiontune.runtime.martingale import Martingale
from visiontune.runtime.reference import Reference, Strangeness

PASS = DECISIONS[0]
SPANS = {"scores": (-32.0, 32.0), "looks": (-4.0, 12.0)}  # of log-odds of severity, of ln of the distance
WORDS = {
    "scores": {"higher": "higher than", "lower": "lower than"},
    "looks": {"higher": "stranger than", "lower": "more alike than"},
}
COMMON = {"wider": "wider spread than", "narrower": "less spread than", "stuck": "stuck at one value, not as"}


class Drift:
    """Watches the frames that pass, against the good parts of validation that pass with the same bands.

    Both sides are chosen by the same rule on their own score, so good parts of the line stay exchangeable with those of
    validation whatever share of the parts is defective: a bad lot alone raises no alarm here. Defective parts that pass
    (escapes) are in the line's frames only; at a thousandth of them that is not noticed.
    The two martingales share alpha.

    A martingale is left out where the reference has nothing for it: no good part that passes.
    """

    def __init__(self, reference: Reference, bands: Bands, *, alpha: float, seed: int) -> None:
        self._strangeness = Strangeness(reference.centre, reference.covariance)
        passed = {
            "scores": [log_odds(severity) for severity in reference.good if bands.decide(severity) == PASS],
            "looks": [
                log(distance) for severity, distance in reference.looks if bands.decide(severity) == PASS
            ],
        }
        self._limit = len(SPANS) / alpha
        self._watched = {
            name: Martingale(values, low=low, high=high, alpha=1 / self._limit, seed=len(SPANS) * seed + turn)
            for turn, ((name, (low, high)), values) in enumerate(
                zip(SPANS.items(), passed.values(), strict=True)
            )
            if values
        }

    def observe(self, severity: float, seen: Look) -> Iterator[tuple[str, str]]:
        """Takes a frame that passed; which martingales raise their alarm with it, and what they say."""
        values = {"scores": log_odds(severity), "looks": log(self._strangeness(seen))}
        for name, watched in self._watched.items():
            if watched.observe(values[name]):
                said = (WORDS[name] | COMMON)[watched.alarm_word]
                odds = f"odds {watched.capital:.3g} : 1, alarm from {self._limit:.3g} : 1"
                yield name, f"{name} of the frames that pass are {said} in validation ({odds})"

    def status(self) -> dict[str, Any]:
        """For each martingale: frames seen, odds now and at their highest, odds of the alarm, at which frame it was raised."""
        return {
            name: {
                "seen": watched.seen,
                "odds": watched.capital,
                "highest": watched.highest,
                "limit": self._limit,
                "alarm_at": watched.alarm_at,
                "alarm": watched.alarm_word or None,
            }
            for name, watched in self._watched.items()
        }

    def state(self) -> dict[str, Any]:
        """JSON-able."""
        return {name: watched.state() for name, watched in self._watched.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state` gave."""
        for name, watched in self._watched.items():
            watched.restore(state[name])


def log_odds(severity: float) -> float:
    """ln(s / (1 - s)), infinite at 0 and 1: severities crowd near 0, where this tells them apart."""
    if severity <= 0:
        return -math.inf
    return math.log(severity / (1 - severity)) if severity < 1 else math.inf


def log(distance: float) -> float:
    """ln, minus infinity at 0."""
    return math.log(distance) if distance > 0 else -math.inf

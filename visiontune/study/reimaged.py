"""How often the model changes its mind over pictures of one part: its repeatability, as trials are an appraiser's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.rate import Rate, exact_rate

PASS = DECISIONS[0]


@dataclass(frozen=True)
class Flips:
    """Verdicts over pictures of one part, for the parts with several pictures.

    parts, pictures  how many were compared
    changed          parts with more than one decision among pass, review, reject
    crossed          parts passed in one picture and held (review or reject) in another: the flips that ship a part or stop it
    pairs            of two pictures of one part, the mean share over parts that differ in pass or held
    """

    parts: int
    pictures: int
    changed: Rate
    crossed: Rate
    pairs: float

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def flips(verdicts: Iterable[tuple[str, str]], *, confidence: float = 0.95) -> Flips | None:
    """Flips over (part, decision) of every picture; None where no part has two pictures.

    Bounds are Clopper and Pearson's, for independent parts.
    """
    found: dict[str, list[str]] = {}
    for part, decision in verdicts:
        found.setdefault(part, []).append(decision)
    several = [decisions for decisions in found.values() if len(decisions) > 1]
    if not several:
        return None
    held = [[decision != PASS for decision in decisions] for decisions in several]
    return Flips(
        parts=len(several),
        pictures=sum(map(len, several)),
        changed=exact_rate(sum(len(set(decisions)) > 1 for decisions in several), len(several), confidence),
        crossed=exact_rate(sum(len(set(sides)) > 1 for sides in held), len(several), confidence),
        pairs=sum(map(_disagreement, held)) / len(held),
    )


def _disagreement(sides: list[bool]) -> float:
    pairs = list(combinations(sides, 2))
    return sum(a != b for a, b in pairs) / len(pairs)

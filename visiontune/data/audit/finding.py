"""What an audit hands over: findings, the most harmful first, and what was left out and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

SCHEMA = 1  # of `Audit.as_dict`
Harm = Literal["serious", "check", "note"]
HARMS: tuple[Harm, ...] = ("serious", "check", "note")

# The order of findings of one harm: what spoils every figure of a run first, what costs a little last.
CODES = (
    "unreadable",
    "source",
    "copies-disagree",
    "twins-across-splits",
    "torn-groups",
    "random-split-leaks",
    "parts-across-groups",
    "shortcut",
    "one-source-class",
    "mask-size",
    "mask-unreadable",
    "mask-on-good",
    "mask-empty",
    "mask-missing",
    "mask-values",
    "mask-covers-all",
    "box-outside",
    "box-empty",
    "box-tiny",
    "box-kind",
    "box-twice",
    "view-loses-defect",
    "copies",
    "near-copies",
    "labels-differ",
    "label-suspects",
    "too-few-parts",
    "unlabelled",
    "exposures",
    "imbalance",
    "certifiable",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that an audit found.

    code     what it is, a word of CODES; scripts may rely on it.
    harm     "serious": figures or training are spoilt; "check": a person should look; "note": good to know.
    title    one line in plain words, with the figures that matter.
    count    how many pictures (or parts, or classes: `unit` says which) are concerned.
    files    the pictures concerned, as ids of the data set, those to look at first in front.
    sets     where pictures belong together (copies, exposures of one part): their ids, set by set.
    numbers  the figures behind the title, plain JSON.
    details  a word on single files: file -> what was found.
    advice   what to do about it, one line.
    """

    code: str
    harm: Harm
    title: str
    count: int
    unit: str = "picture"
    files: tuple[str, ...] = ()
    sets: tuple[tuple[str, ...], ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    advice: str = ""

    def __post_init__(self) -> None:
        if self.code not in CODES or self.harm not in HARMS:
            raise ValueError(f"expected a code and a harm that are known, found {self.code!r}, {self.harm!r}")

    def as_dict(self, rank: int) -> dict[str, Any]:
        """As JSON of schema 1 knows it; `rank` counts from 1."""
        return {
            "rank": rank,
            "code": self.code,
            "harm": self.harm,
            "title": self.title,
            "count": self.count,
            "unit": self.unit,
            "numbers": dict(self.numbers),
            "advice": self.advice,
            "files": list(self.files),
            "sets": [list(names) for names in self.sets],
            "details": dict(self.details),
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that the audit could not look into, and why."""

    what: str
    why: str


def ranked(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """By harm, then by the order of CODES, then the larger first."""
    place = {code: i for i, code in enumerate(CODES)}
    return tuple(sorted(findings, key=lambda f: (HARMS.index(f.harm), place[f.code], -f.count, f.title)))


def counted(n: int, one: str, many: str = "") -> str:
    """A count with its noun: "1 part", "2 parts"."""
    return f"{n} {one if n == 1 else many or one + 's'}"

"""The verdict on the model in plain words: what it may promise, or that it cannot and how many parts are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from visiontune.report.findings import Findings
from visiontune.report.words import asked, at_most, counted, printable, whole

ESCAPES, OVERKILL, WRONG = "escapes", "overkill", "wrong kind among passed"
HELD = "review or reject of good parts"
ESTIMATE = "planted defects, an estimate"
# name in the evidence: (what happens at most so often, what was counted, a miss)
PHRASES = {
    ESCAPES: ("of defective parts pass", "defective part", "passed"),
    OVERKILL: ("of good parts are rejected", "good part", "rejected"),
    HELD: ("of good parts are reviewed or rejected", "good part", "held back"),
    WRONG: ("of passed parts carry the wrong kind", "passed part", "named wrongly"),
}


@dataclass(frozen=True)
class Promise:
    """One promise. `kept` says whether val certifies what was asked; `sentence` is the promise, `because` the evidence."""

    name: str
    kept: bool
    asked: float
    certified: float
    sentence: str
    because: str


@dataclass(frozen=True)
class Headline:
    """What stands on top of the page. `kept` is None when nothing was asked of the model.

    `kinds` tells of each kind of defect by itself, the least certified first.
    """

    kept: bool | None
    badge: str
    title: str
    promises: tuple[Promise, ...]
    kinds: tuple[str, ...] = ()


def headline(findings: Findings) -> Headline:
    """The verdict on the run, from the evidence of its bands."""
    bands = findings.bands
    if bands is None:
        title = "This model promises nothing yet: it has no thresholds. Calibrate it, then write this report again."
        return Headline(None, "No promise", title, ())
    evidence = bands.evidence or {}
    found = tuple(
        promise(name, entry, float(evidence["confidence"]))
        for name, entry in evidence.items()
        if isinstance(entry, Mapping) and "certified" in entry
    )
    if not found:
        title = "This model promises nothing: its thresholds were set by hand, without evidence."
        return Headline(None, "No promise", title, ())
    first = found[0]  # the one that the line must not break
    if "cost_per_million" in evidence:
        cost = whole(round(evidence["cost_per_million"]))
        title = f"Set by costs: {cost} per million parts on val ({printable(evidence['costs'])})."
        return Headline(None, "By cost", title, found)
    if isinstance(evidence.get(ESCAPES), str):
        title = (
            f"How many defective parts pass is not known: val holds none. {first.sentence}{planted(evidence)}"
        )
        return Headline(None, "Escapes unknown", title, found)
    badge = "Certified" if first.kept else "Not certified"
    return Headline(first.kept, badge, first.sentence, found, kinds(evidence))


def planted(evidence: Mapping[str, Any]) -> str:
    """What planted defects tell where no real one is known: an estimate, and no promise."""
    found = evidence.get(ESTIMATE)
    if not isinstance(found, Mapping):
        return ""
    said = f" An estimate, no promise: of {counted(found['pictures'], 'defect')} planted on good parts of val"
    return f"{said}, {found['passed'] or 'none'} passed; real ones may do otherwise."


def kinds(evidence: Mapping[str, Any]) -> tuple[str, ...]:
    """What is certified of each kind of defect by itself, a line each."""
    lines = []
    for name, entry in evidence.get("kinds", {}).items():
        said = f"{printable(name)}: {entry['misses'] or 'none'} of {counted(entry['parts'], 'part')} passed; "
        said += f"at most {at_most(entry['certified'])} certified"
        if entry["missing_parts"]:
            said += f", {counted(entry['missing_parts'], 'more part')} with none passed for {asked(entry['asked'])}"
        lines.append(said)
    return tuple(lines)


def promise(name: str, entry: Mapping[str, Any], confidence: float) -> Promise:
    """One entry of the evidence in words."""
    what, unit, miss = PHRASES.get(name, (f"of parts: {printable(name)}", "part", "missed"))
    n, misses, goal, certified = entry["parts"], entry["misses"], entry["asked"], entry["certified"]
    sure = asked(confidence)
    kept = certified <= goal
    because = f"{counted(n, unit)} in val, {misses or 'none'} {miss}: "
    because += f"this certifies at most {at_most(certified)} at {sure} confidence"
    if kept:
        return Promise(
            name, kept, goal, certified, f"At most {asked(goal)} {what}, at {sure} confidence.", f"{because}."
        )
    sentence = f"This model cannot promise that at most {asked(goal)} {what}."
    if missing := entry.get("missing_parts"):
        sentence += (
            f" {counted(missing, unit)} {'is' if missing == 1 else 'are'} missing in val to certify that."
        )
        because += f"; {n + missing} with none {miss} would certify {asked(goal)}"
    return Promise(name, kept, goal, certified, sentence, f"{because}.")

"""The audit as one HTML page that needs nothing else: every finding with its figures and the pictures to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from visiontune.data.audit import Audit, Finding
from visiontune.report import words
from visiontune.report.embed import Picture, thumbnail
from visiontune.report.template import filled, put

LOOSE = 8  # pictures of a finding that has no sets
SETS, PER_SET = 4, 6  # sets of a finding, and pictures of each
MOST = 160  # pictures on the page
BADGES = {"serious": "reject", "check": "review", "note": "pass"}
HARM_WORDS = {"serious": "serious", "check": "to check", "note": "to know"}


@dataclass(frozen=True)
class Shown:
    """One picture on the page; `picture` is None where it cannot be read or the page is full."""

    name: str
    picture: Picture | None
    said: str


@dataclass(frozen=True)
class Section:
    """One finding, ready to be shown: rows of pictures, and how many there are beyond."""

    finding: Finding
    rank: int
    badge: str
    harm: str
    rows: list[list[Shown]]
    more: str
    numbers: list[tuple[str, str]]


def write(path: str | Path, audit: Audit) -> Path:
    """Writes the page to `path`, at once or not at all; makes its folder where there is none. Gives the path."""
    return put(path, render(audit))


def render(audit: Audit) -> str:
    """The page as text. The same audit gives the same page."""
    said = audit.as_dict()
    exposures = audit.by_code.get("exposures")
    return filled(
        "audit_page.html",
        data=said["data"],
        made_by=said["made_by"],
        serious=sum(f.harm == "serious" for f in audit.findings),
        check=sum(f.harm == "check" for f in audit.findings),
        exposures=exposures[0].numbers if exposures else None,
        sections=_sections(audit),
        left_out=audit.left_out,
    )


def _sections(audit: Audit) -> list[Section]:
    room = MOST
    known = {sample.id: sample.path for sample in audit.dataset}
    found = []
    for rank, finding in enumerate(audit.findings, 1):
        rows = _rows(known, finding, room)
        room -= sum(len(row) for row in rows)
        shown = sum(len(row) for row in rows)
        found.append(
            Section(
                finding=finding,
                rank=rank,
                badge=BADGES[finding.harm],
                harm=HARM_WORDS[finding.harm],
                rows=rows,
                more=_more(finding, len(rows), shown),
                numbers=words.flattened(finding.numbers),
            )
        )
    return found


def _rows(known: Mapping[str, Path], finding: Finding, room: int) -> list[list[Shown]]:
    sets = [names[:PER_SET] for names in finding.sets[:SETS]]
    rows = []
    for names in sets or [finding.files[:LOOSE]]:
        names = names[: max(0, room)]
        room -= len(names)
        if names:
            rows.append([_shown(known, finding, name) for name in names])
    return rows


def _shown(known: Mapping[str, Path], finding: Finding, name: str) -> Shown:
    path = known.get(name)  # of pictures in the set only: a manifest may name a file outside the folder
    return Shown(name, thumbnail(path) if path else None, finding.details.get(name, ""))


def _more(finding: Finding, rows: int, shown: int) -> str:
    if finding.sets:
        return f"{len(finding.sets) - rows} more sets in the JSON" if len(finding.sets) > rows else ""
    return _rest(finding.files, shown)


def _rest(names: Sequence[str], shown: int) -> str:
    return f"{len(names) - shown} more pictures in the JSON" if len(names) > shown else ""

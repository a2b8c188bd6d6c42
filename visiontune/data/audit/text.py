"""The audit as text for a terminal: the most harmful first, some sixty lines at most."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from visiontune.data.audit.finding import HARMS, Finding
from visiontune.data.problems import shown

if TYPE_CHECKING:
    from visiontune.data.audit.auditor import Audit

WIDTH = 110
ROOM = 58  # lines
NAMED = 3  # files under a finding
HEADINGS = {"serious": "SERIOUS", "check": "TO CHECK", "note": "TO KNOW"}


def report(audit: Audit) -> str:
    """The whole report. Findings that no longer fit are counted; JSON has them all."""
    data = audit.dataset
    head = [*wrap(f"{data.root}: {data.layout}", WIDTH)]
    counts = {harm: sum(f.harm == harm for f in audit.findings) for harm in HARMS}
    head.append(f"{counts['serious']} serious, {counts['check']} to check, {counts['note']} to know")
    tail = [line for left in audit.left_out for line in _left(f"not looked into: {left.what}: {left.why}")]
    room = ROOM - len(head) - len(tail)
    for detail in (2, 1, 0):  # files and advice where there is room, then advice, then titles alone
        body = _body(audit.findings, detail)
        if len(body) <= room:
            break
    if len(body) > room:
        body = [*body[: room - 1], f"... {len(body) - room + 1} more lines: see --json"]
    return "\n".join([*head, *body, *(["", *tail] if tail else [])])


def _body(findings: tuple[Finding, ...], detail: int) -> list[str]:
    lines: list[str] = []
    last = ""
    for rank, finding in enumerate(findings, 1):
        if finding.harm != last:
            lines += ["", HEADINGS[finding.harm]]
            last = finding.harm
        lines += _hung(f"{rank:2}. ", shown(finding.title))
        if detail > 1 and finding.files:
            lines.append(f"    {_files(finding)}")
        if detail > 0 and finding.advice:
            lines += _hung("    -> ", finding.advice)
    return lines


def _files(finding: Finding) -> str:
    names = [shown(name) for name in finding.files[:NAMED]]
    more = len(finding.files) - len(names)
    text = ", ".join(names) + (f" and {more} more" if more else "")
    return text if len(text) <= WIDTH - 4 else f"{text[: WIDTH - 7]}..."


def _hung(mark: str, text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=mark, subsequent_indent=" " * len(mark))


def _left(text: str) -> list[str]:
    return _hung("", text)

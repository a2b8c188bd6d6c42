"""Findings on files: pictures that cannot be decoded, and what is wrong in the source that lists them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, counted
from visiontune.data.problems import SAYINGS, Problem

# Problems of `read` that have a finding of their own; all others become "source".
CODES = {
    "mask-size": "mask-size",
    "mask-missing": "mask-missing",
    "box-outside": "box-outside",
    "box-empty": "box-empty",
    "box-tiny": "box-tiny",
}


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Unreadable pictures and the problems of the source, one finding a kind."""
    yield from _unreadable(evidence)
    kinds: dict[str, list[Problem]] = defaultdict(list)
    for problem in evidence.dataset.problems:
        kinds[problem.kind].append(problem)
    kinds.pop("unreadable", None)
    for kind, problems in kinds.items():
        what, cure = SAYINGS[kind]
        names = tuple(dict.fromkeys(problem.path for problem in problems))
        yield Finding(
            code=CODES.get(kind, "source"),
            harm="serious" if kind not in ("box-outside", "box-empty", "box-tiny") else "check",
            title=f"{what}: {len(problems)}",
            count=len(problems),
            unit="box" if kind.startswith("box-") else "entry",
            files=names,
            numbers={"kind": kind, "pictures": len(names)},
            details=_details(problems),
            advice=f"{cure}; reading for training stops at them",
        )


def _unreadable(evidence: Evidence) -> Iterator[Finding]:
    found = {
        sample.id: facts.error
        for sample, facts in zip(evidence.samples, evidence.looks.facts, strict=True)
        if facts.error is not None
    }
    masks = {sample.mask for sample in evidence.samples}
    for problem in evidence.dataset.problems:  # what the reader left out for its header
        if problem.kind == "unreadable" and evidence.dataset.root / problem.path not in masks:
            found.setdefault(problem.path, problem.detail)
    if found:
        total = len(evidence.samples)
        yield Finding(
            code="unreadable",
            harm="serious",
            title=f"cannot be decoded: {len(found)} of {counted(total, 'picture')}; damaged, cut off, or no plain picture",
            count=len(found),
            files=tuple(found),
            numbers={"pictures": total, "share": len(found) / total},
            details=found,
            advice="take them again or leave them out; training stops at the first of them",
        )


def _details(problems: list[Problem]) -> dict[str, str]:
    said: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        if problem.detail:
            said[problem.path].append(problem.detail)
    return {path: "; ".join(details) for path, details in said.items()}

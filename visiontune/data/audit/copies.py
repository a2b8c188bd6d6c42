"""Findings on copies: files of the same bytes, pictures that are practically the same, and copies with two labels."""

from __future__ import annotations

from collections.abc import Iterator

from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, counted

Sets = tuple[tuple[int, ...], ...]


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Copies that agree in their label, and those that do not."""
    torn = tuple(
        places
        for places in dict.fromkeys((*evidence.copies, *evidence.near_copies))
        if len(evidence.labels(places)) > 1
    )
    if torn:
        yield _finding(
            evidence,
            torn,
            code="copies-disagree",
            title=f"{counted(len(torn), 'picture')} in two or more copies that bear different labels",
            advice="look at them and keep one label; a network cannot learn both, and one of them is counted as an error",
        )
    if evidence.copies:
        spare = sum(len(places) - 1 for places in evidence.copies)
        yield _finding(
            evidence,
            evidence.copies,
            code="copies",
            title=f"{counted(spare, 'spare copy', 'spare copies')}, byte for byte, of {counted(len(evidence.copies), 'picture')}",
            advice="keep one of each: copies weigh twice in training, and across splits they leak",
        )
    if evidence.near_copies:
        spare = sum(len(places) - 1 for places in evidence.near_copies)
        yield _finding(
            evidence,
            evidence.near_copies,
            code="near-copies",
            title=f"{counted(spare, 'picture')} practically the same as another: saved again, or taken in the same moment",
            advice="keep one of each, or see to it that they share a group",
        )


def _finding(evidence: Evidence, sets: Sets, *, code: str, title: str, advice: str) -> Finding:
    concerned = sorted({i for places in sets for i in places})
    return Finding(
        code=code,
        harm="serious" if code == "copies-disagree" and set(sets) & set(evidence.copies) else "check",
        title=title,
        count=len(concerned),
        files=evidence.ids(concerned),
        sets=tuple(evidence.ids(places) for places in sets),
        numbers={"sets": len(sets), "spare": sum(len(places) - 1 for places in sets)},
        details={evidence.samples[i].id: str(evidence.samples[i].label) for i in concerned},
        advice=advice,
    )

"""Findings on parts: how many there are and how often each was taken, and parts whose pictures bear different labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from statistics import median

from visiontune.data.audit.clusters import members
from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, counted
from visiontune.data.audit.leaks import random_leak


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Exposures of one part, and labels that differ among them."""
    yield from _exposures(evidence)
    yield from _labels(evidence)


def _exposures(evidence: Evidence) -> Iterator[Finding]:
    sets = sorted((p for p in members(evidence.seen).values() if len(p) > 1), key=len, reverse=True)
    if (
        not sets or evidence.links.blind is not None
    ):  # then only copies were looked for, which have findings of their own
        return
    total = len(evidence.readable)
    parts = len({evidence.seen[i] for i in evidence.readable})
    taken = sum(map(len, sets))
    each = median(map(len, sets))
    yield Finding(
        code="exposures",
        harm="note" if evidence.grouped else "check",
        title=f"{taken} of {total} pictures show a part that another picture shows too: about {counted(parts, 'part')}, "
        f"{each:g} exposures of each that was taken more than once (median)",
        count=len(sets),
        unit="part",
        files=evidence.ids(i for places in sets for i in places),
        sets=tuple(evidence.ids(places) for places in sets),
        numbers={
            "pictures": total,
            "with_twin": taken,
            "parts": parts,
            "exposures_per_part": total / parts,
            "median_exposures": each,
            "parts_by_exposures": {str(n): k for n, k in sorted(Counter(map(len, sets)).items())},
            "random_split_leak": random_leak(evidence.seen),
            "correlation_needed": evidence.links.needed,
            "shared_texture": evidence.links.shared,
        },
        advice="parts, not pictures, are what counts: keep the exposures of one part in one group",
    )


def _labels(evidence: Evidence) -> Iterator[Finding]:
    good = evidence.dataset.good
    sets = [p for p in members(evidence.parts).values() if len(evidence.labels(p)) > 1]
    if not sets:
        return
    mixed = sorted(
        sets, key=lambda p: good not in evidence.labels(p)
    )  # those that let a defect pass in front
    concerned = [i for places in mixed for i in places]
    kinds = Counter(" / ".join(sorted(evidence.labels(p))) for p in sets)
    doubted = sum(good in evidence.labels(p) for p in sets)
    of = len(set(evidence.parts))
    said = f", {doubted} of them good in one picture and defective in another" if good and doubted else ""
    yield Finding(
        code="labels-differ",
        harm="check",
        title=f"{len(sets)} of {counted(of, 'part')} with different labels in different pictures{said}",
        count=len(sets),
        unit="part",
        files=evidence.ids(concerned),
        sets=tuple(evidence.ids(places) for places in mixed),
        numbers={"parts": of, "good_and_defective": doubted, "labels": dict(kinds.most_common())},
        details={evidence.samples[i].id: str(evidence.samples[i].label) for i in concerned},
        advice="look at each: a wrong label, a defect that only some light shows, or two parts in one group",
    )

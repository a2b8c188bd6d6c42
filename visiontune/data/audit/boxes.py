"""Findings on boxes: kinds that contradict the picture's label, objects boxed twice. Boxes that cannot be the reader reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, counted
from visiontune.data.samples import Box
from visiontune.runtime.box_overlap import overlaps

SAME = 0.9  # IoU from which two boxes of a picture mean one object


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Both sorts."""
    yield from _contradictions(evidence)
    yield from _doubles(evidence)


def _doubles(evidence: Evidence) -> Iterator[Finding]:
    """Pictures where two boxes, whatever their kinds, lie on one another."""
    found = {i: said for i, sample in enumerate(evidence.samples) if (said := _pairs(sample.boxes or ()))}
    if not found:
        return
    pairs = sum(map(len, found.values()))
    yield Finding(
        code="box-twice",
        harm="check",
        title=f"objects boxed twice: {counted(pairs, 'pair')} of boxes overlap by {SAME:.0%} or more (IoU)",
        count=len(found),
        files=evidence.ids(found),
        numbers={"pairs": pairs},
        details={evidence.samples[i].id: "; ".join(said) for i, said in found.items()},
        advice="take one of each pair out: a box too many is one that no model can find",
    )


def _pairs(boxes: Sequence[Box]) -> list[str]:
    real = [box for box in boxes if not box.ignore]
    if len(real) < 2:
        return []
    corners = np.array([(box.x0, box.y0, box.x1, box.y1) for box in real])
    rows, columns = np.nonzero(np.triu(overlaps(corners, corners) >= SAME, 1))
    return [
        f"{real[a].kind} and {real[b].kind} at {corners[a][0]:g} {corners[a][1]:g}"
        for a, b in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


def _contradictions(evidence: Evidence) -> Iterator[Finding]:
    """Pictures with a box of another kind than their label; a good one with any box, a defective one without."""
    other: dict[int, str] = {}
    pairs: Counter[str] = Counter()
    good = evidence.dataset.good
    refused = {problem.path for problem in evidence.dataset.problems if problem.kind.startswith("box-")}
    for i, sample in enumerate(evidence.samples):
        if sample.boxes is None or sample.label is None:
            continue
        kinds = sorted({box.kind for box in sample.boxes} - {sample.label})
        if kinds:
            other[i] = f"label {sample.label}, boxes of {', '.join(kinds)}"
        elif not sample.boxes and good not in (None, sample.label) and sample.id not in refused:
            other[i] = f"label {sample.label}, no box"
            kinds = ["none"]
        pairs.update(f"{sample.label} / {kind}" for kind in kinds)
    if not other:
        return
    of = sum(sample.boxes is not None for sample in evidence.samples)
    commonest = ", ".join(f"{pair} {n}" for pair, n in pairs.most_common(3))
    yield Finding(
        code="box-kind",
        harm="check",
        title=f"boxes that do not fit the label: {len(other)} of {counted(of, 'picture')} with boxes (label / box: {commonest})",
        count=len(other),
        files=evidence.ids(other),
        numbers={"pictures": of, "label / box": dict(pairs.most_common())},
        details={evidence.samples[i].id: said for i, said in other.items()},
        advice="two defects in one picture are no fault; else correct the label or the box",
    )

"""Findings on boxes: kinds that contradict the picture's label. Boxes outside or without area the reader itself reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, counted


def findings(evidence: Evidence) -> Iterator[Finding]:
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

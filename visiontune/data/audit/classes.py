"""Findings on classes: too few parts to learn or to certify anything, one class far more frequent than another, no label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, counted
from visiontune.data.thin import THIN
from visiontune.runtime.binomial import parts_needed, smallest_certifiable_rate

RATES = (0.05, 0.02, 0.01)
CONFIDENCE = 0.95
LEARNABLE = 20  # parts below which a class is seldom learned
HELD_OUT = 0.15  # share of the parts that the val split gets
IMBALANCE = 20.0  # pictures of the largest class for one of the smallest


def findings(evidence: Evidence) -> Iterator[Finding]:
    """Counts of parts by class against what they are needed for."""
    parts: dict[str, set[int]] = {name: set() for name in evidence.dataset.classes}
    pictures: Counter[str] = Counter()
    for i in evidence.readable:
        label = evidence.samples[i].label
        if label is not None:
            parts[label].add(evidence.parts[i])
            pictures[label] += 1
    counts = {name: len(found) for name, found in parts.items()}
    yield from _thin(counts, pictures)
    yield from _certifiable(evidence, parts)
    yield from _imbalance(pictures)
    yield from _unlabelled(evidence)


def _thin(counts: dict[str, int], pictures: Counter[str]) -> Iterator[Finding]:
    thin = {name: n for name, n in counts.items() if n < LEARNABLE}
    if thin:
        named = ", ".join(f"{name} {n}" for name, n in sorted(thin.items(), key=lambda item: item[1])[:8])
        lost = [name for name, n in thin.items() if n < THIN]
        tail = f"; {len(lost)} cannot even stand in train, val and test" if lost else ""
        yield Finding(
            code="too-few-parts",
            harm="serious" if lost else "check",
            title=f"{len(thin)} of {len(counts)} classes have fewer than {LEARNABLE} parts ({named}){tail}",
            count=len(thin),
            unit="class",
            numbers={"parts": thin, "pictures": {name: pictures[name] for name in thin}, "needed": LEARNABLE},
            advice="take more parts of these classes, or join them with another; more pictures of the same parts do not help",
        )


def _certifiable(evidence: Evidence, parts: dict[str, set[int]]) -> Iterator[Finding]:
    """What the held-out share could certify if nothing were missed: for all defects together and for each kind."""
    good = evidence.dataset.good
    kinds = {name: found for name, found in parts.items() if name != good}
    if not kinds:
        return
    needed = {f"{rate:g}": parts_needed(rate, confidence=CONFIDENCE) for rate in RATES}
    together = len(set().union(*kinds.values()))

    def row(n: int) -> dict[str, object]:
        held = round(HELD_OUT * n)
        return {
            "parts": n,
            "held_out": held,
            "certifiable_rate": smallest_certifiable_rate(held, confidence=CONFIDENCE),
            "missing": {rate: max(0, round(k / HELD_OUT) - n) for rate, k in needed.items()},
        }

    whole = row(together)
    word = "defective part" if good is not None else "part"
    rate = float(str(whole["certifiable_rate"]))
    yield Finding(
        code="certifiable",
        harm="note",
        title=f"{counted(together, word)}, {whole['held_out']} of them held out, can certify a miss rate of {rate:.1%} at best; "
        f"5 / 2 / 1 % need {' / '.join(map(str, needed.values()))} held out",
        count=together,
        unit="part",
        numbers={
            "confidence": CONFIDENCE,
            "held_out_parts_needed": needed,
            "held_out_share": HELD_OUT,
            "all": whole,
            "classes": {name: row(len(found)) for name, found in kinds.items()},
        },
        advice="that is what no miss among the held-out parts certifies at 95 %; only more defective parts certify less",
    )


def _imbalance(pictures: Counter[str]) -> Iterator[Finding]:
    if len(pictures) < 2:
        return
    (most, n), *_, (least, k) = pictures.most_common()
    if n >= IMBALANCE * k:
        yield Finding(
            code="imbalance",
            harm="note",
            title=f"{n / k:.0f} pictures of {most} for one of {least}",
            count=len(pictures),
            unit="class",
            numbers={"pictures": dict(pictures.most_common()), "ratio": n / k},
            advice="judge by the recall of each class, never by accuracy; weigh the classes in training",
        )


def _unlabelled(evidence: Evidence) -> Iterator[Finding]:
    bare = [i for i, sample in enumerate(evidence.samples) if sample.label is None]
    if bare:
        yield Finding(
            code="unlabelled",
            harm="check",
            title=f"no label: {len(bare)} of {counted(len(evidence.samples), 'picture')}",
            count=len(bare),
            files=evidence.ids(bare),
            numbers={"pictures": len(evidence.samples)},
            advice="label them or leave them out",
        )

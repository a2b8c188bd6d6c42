"""The numbers behind the page's tables: escapes, overkill, review, recall, each with its exact bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.report.findings import Findings
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bootstrap import Totals, group_totals, percentile_interval, replicates
from visiontune.runtime.rate import Rate, exact_rate

CONFIDENCE = 0.95
SAMPLES = 1000  # bootstrap samples


@dataclass(frozen=True)
class Line:
    """One row of the table of rates. `unit` is what was counted: parts (all exposures of one together) or pictures."""

    name: str
    meaning: str
    unit: str
    rate: Rate


@dataclass(frozen=True)
class ClassLine:
    """One class on val. `recall` is None where val has none of it; `escapes` are parts, only of defective classes with bands."""

    name: str
    pictures: int
    parts: int
    recall: Rate | None
    escapes: Rate | None


def rate(hits: int, of: int) -> Rate:
    """`hits` of `of` with exact (Clopper-Pearson) bounds at 95 %."""
    return exact_rate(hits, of, CONFIDENCE)


def decisions(findings: Findings) -> NDArray[np.int64] | None:
    """Index into DECISIONS of every picture, int64 (n,); None without bands."""
    return None if findings.bands is None else findings.bands.decisions(findings.severity)


def part_rate(groups: Sequence[str], chosen: NDArray[np.bool_], event: NDArray[np.bool_]) -> Rate:
    """Of the parts with a chosen picture, how many have one among these with the event: the unit of the calibration."""
    parts = {groups[index] for index in np.flatnonzero(chosen).tolist()}
    hit = {groups[index] for index in np.flatnonzero(chosen & event).tolist()}
    return rate(len(hit), len(parts))


def lines(findings: Findings) -> list[Line]:
    """The table of rates: what the line cares for first."""
    decided, risky, groups = decisions(findings), findings.at_risk, findings.groups
    found = []
    if decided is not None and findings.good is not None:
        escapes = part_rate(groups, risky, decided == 0)
        overkill = part_rate(groups, ~risky, decided == 2)
        found.append(Line("Escapes", "defective parts passed, in any of their pictures", "parts", escapes))
        found.append(Line("Overkill", "good parts rejected, in any of their pictures", "parts", overkill))
    if decided is not None and findings.good is None:
        passed = decided == 0
        wrong = rate(int((passed & risky).sum()), int(passed.sum()))
        found.append(Line("Wrong kind", "passed pictures whose kind is named wrongly", "pictures", wrong))
    if decided is not None:
        review = rate(int((decided == 1).sum()), len(decided))
        found.append(Line("Review", "pictures that a person must look at", "pictures", review))
    right = findings.named == findings.labels
    found.append(
        Line(
            "Accuracy", "pictures whose kind is named rightly", "pictures", rate(int(right.sum()), len(right))
        )
    )
    return found


def fates(findings: Findings) -> list[tuple[str, list[int]]]:
    """How many pictures of each side were passed, reviewed, rejected; empty without bands."""
    decided, risky = decisions(findings), findings.at_risk
    if decided is None:
        return []
    names = (
        ("good", "defective") if findings.good is not None else ("kind named rightly", "kind named wrongly")
    )
    return [
        (name, np.bincount(decided[side], minlength=len(DECISIONS)).tolist())
        for name, side in zip(names, (~risky, risky), strict=True)
    ]


def class_lines(findings: Findings) -> list[ClassLine]:
    """Recall of every class, and of the defective ones how many parts escape."""
    decided, groups, labels = decisions(findings), findings.groups, findings.labels
    right = findings.named == labels
    found = []
    for index, name in enumerate(findings.classes):
        mine = labels == index
        n = int(mine.sum())
        escapes = None
        if decided is not None and findings.good is not None and index and n:
            escapes = part_rate(groups, mine, decided == 0)
        found.append(
            ClassLine(
                name=name,
                pictures=n,
                parts=len({groups[i] for i in np.flatnonzero(mine).tolist()}),
                recall=rate(int((mine & right).sum()), n) if n else None,
                escapes=escapes,
            )
        )
    return found


def balanced(findings: Findings) -> tuple[float, tuple[float, float] | None]:
    """Mean recall over the classes present, and its 95 % interval when whole parts are drawn anew; None for one part."""
    member = np.eye(len(findings.classes), dtype=np.int64)[findings.labels]
    right = (findings.named == findings.labels)[:, np.newaxis]
    totals = group_totals(list(findings.groups), np.column_stack([member, member * right]))
    value = float(mean_recall(totals.sum(axis=0, keepdims=True))[0])
    if len(totals) < 2:
        return value, None
    return value, percentile_interval(replicates(totals, count=SAMPLES), mean_recall, confidence=CONFIDENCE)


def mean_recall(totals: Totals) -> Totals:
    """Balanced accuracy of each row of [pictures per class, of them named rightly]: the mean over the classes present."""
    pictures, hits = np.hsplit(totals, 2)
    present = pictures > 0
    recalls = np.divide(hits, pictures, out=np.zeros_like(hits), where=present)
    mean: Totals = recalls.sum(axis=1) / present.sum(axis=1)
    return mean


def commonest_confusions(findings: Findings, count: int = 10) -> list[tuple[int, str, str]]:
    """The most frequent mistakes: (pictures, true class, named kind), the commonest first."""
    size = len(findings.classes)
    wrong = findings.named != findings.labels
    pairs = np.bincount(findings.labels[wrong] * size + findings.named[wrong], minlength=size * size)
    order = np.argsort(-pairs, kind="stable")[:count]
    return [
        (int(pairs[at]), findings.classes[at // size], findings.classes[at % size])
        for at in order.tolist()
        if pairs[at]
    ]

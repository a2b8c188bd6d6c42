"""Writes the report: findings in, one HTML file out that needs nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visiontune.report import plots, rates, words
from visiontune.report.embed import Picture, figure, thumbnail
from visiontune.report.findings import Findings
from visiontune.report.findings import worst as places
from visiontune.report.promise import headline
from visiontune.report.template import filled, put
from visiontune.report.where import where
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bands import Bands


@dataclass(frozen=True)
class Shown:
    """One of the pictures judged worst. `decision` and `mishap` ("escape", "overkill") are "" where there is none."""

    folder: str
    name: str
    picture: Picture | None
    label: str
    named: str
    given: float  # probability of the true kind
    believed: float  # probability of the named kind
    severity: float
    decision: str
    mishap: str


def write(path: str | Path, findings: Findings) -> Path:
    """Writes the page to `path`, at once or not at all; makes its folder where there is none. Gives the path."""
    return put(path, render(findings))


def render(findings: Findings) -> str:
    """The page as text. The same findings give the same page."""
    return filled(
        "page.html",
        f=findings,
        headline=headline(findings),
        confidence=words.asked(rates.CONFIDENCE),
        parts=len(set(findings.groups)),
        lines=rates.lines(findings),
        balanced=rates.balanced(findings),
        fates=rates.fates(findings),
        decisions=DECISIONS,
        classes=worst_first(rates.class_lines(findings)),
        confusions=rates.commonest_confusions(findings),
        worst=worst(findings),
        marked=bool(findings.masks) and not findings.places,
        hot=bool(findings.heatmaps),
        counts=counts(findings),
        splits=list(findings.data.get("counts", {})),
        provenance=provenance(findings),
        recipe=words.flattened(findings.recipe),
        thresholds=thresholds(findings.bands),
        **figures(findings),
    )


def figures(findings: Findings) -> dict[str, Picture]:
    """The figures by their names in the template."""
    risky, inspects = findings.at_risk, findings.good is not None
    names = ("good", "defective") if inspects else ("kind named rightly", "kind named wrongly")
    return {
        "severities": figure(plots.severities(findings.severity, risky, findings.bands, names=names)),
        "confusion": figure(plots.confusion(findings.labels, findings.named, findings.classes)),
        "curves": figure(plots.curves(findings.history, findings.best)),
        "reliability": figure(
            plots.reliability(findings.severity, risky, name="defective" if inspects else "named wrongly")
        ),
    }


def worst_first(lines: list[rates.ClassLine]) -> list[rates.ClassLine]:
    """Lowest recall on top; classes that val lacks at the end."""
    return sorted(lines, key=lambda line: 2.0 if line.recall is None else line.recall.rate or 0.0)


def worst(findings: Findings) -> list[Shown]:
    """The pictures whose true kind got the least probability, worst first."""
    given = findings.kinds[np.arange(len(findings.labels)), findings.labels]
    decided = rates.decisions(findings)
    found = []
    for index in places(findings.kinds, findings.labels):
        label, named, path = int(findings.labels[index]), int(findings.named[index]), findings.paths[index]
        decision = "" if decided is None else DECISIONS[decided[index]]
        found.append(
            Shown(
                folder=words.printable(path.parent.name),
                name=words.printable(path.name),
                picture=thumbnail(path, where(findings, index), window=findings.window),
                label=findings.classes[label],
                named=findings.classes[named],
                given=float(given[index]),
                believed=float(findings.kinds[index, named]),
                severity=float(findings.severity[index]),
                decision=decision,
                mishap=mishap(decision, label) if findings.good is not None else "",
            )
        )
    return found


def mishap(decision: str, label: int) -> str:
    """What the trade calls this decision on a part of this class, class 0 being good."""
    return (
        "escape" if decision == "pass" and label else "overkill" if decision == "reject" and not label else ""
    )


def counts(findings: Findings) -> list[tuple[str, list[int], bool]]:
    """Pictures by class (rows) and split (columns), then their sum, then parts where they are known; True marks a sum."""
    table = findings.data.get("counts", {})
    names = dict.fromkeys([*findings.classes, *(name for row in table.values() for name in row)])
    rows = [(name, [int(row.get(name, 0)) for row in table.values()], False) for name in names]
    rows.append(("all pictures", [sum(row.values()) for row in table.values()], True))
    if groups := findings.data.get("groups"):
        rows.append(("parts (groups)", [int(groups.get(split, 0)) for split in table], False))
    return rows


def provenance(findings: Findings) -> list[tuple[str, str]]:
    """The rest of what is known of the data: the rule of the split, for instance."""
    shown_elsewhere = ("counts", "groups", "notes", "layout", "digest")
    return words.flattened(
        {name: value for name, value in findings.data.items() if name not in shown_elsewhere}
    )


def thresholds(bands: Bands | None) -> list[tuple[str, str]]:
    """The bands as (decision, rule)."""
    if bands is None:
        return []
    review, reject = (
        f"severity from {cut:.6g}" if cut <= 1 else "never" for cut in (bands.review_from, bands.reject_from)
    )
    if bands.reject_from == bands.review_from:
        review = "never"
    return [("review", review), ("reject", reject)]

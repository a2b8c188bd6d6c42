"""The page of an attribute study: appraisers and model beside AIAG's table, agreement, flips."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visiontune.report import study_page
from visiontune.report.study_page import Page, Table
from visiontune.report.words import percent, printable

AIAG = (
    "AIAG, 4th edition",
    "at least 90 %, marginal from 80 %",
    "at most 2 %, marginal to 5 %",
    "at most 5 %, marginal to 10 %",
    "",
)
STATEMENT = (
    "These rates hold for the parts of a study, of which a third were chosen because they are hard, not for the line. Bounds "
    "count parts, because trials on one part are alike."
)


def write(path: str | Path, found: Mapping[str, Any]) -> Path:
    """Writes the page; `found` is what `msa analyse --json` prints."""
    return study_page.write(path, page(found))


def page(found: Mapping[str, Any]) -> Page:
    """What the page says."""
    judges = [*found["appraisers"], *([found["model"]] if found["model"] else [])]
    grades = [one["grades"]["overall"] for one in found["appraisers"]]
    accepted = sum(grade == "acceptable" for grade in grades)
    people = Table(
        "Against the reference",
        ("", "effectiveness", "misses", "false alarms", "by AIAG's table"),
        [
            *(
                (
                    printable(one["name"]),
                    *(_rate(one[name]) for name in ("effectiveness", "misses", "false_alarms")),
                    one["grades"]["overall"] or "-",
                )
                for one in judges
            ),
            AIAG,
        ],
    )
    agreement = Table(
        "Agreement",
        ("", "kappa with the reference", "kappa of own trials", "parts judged alike", "kind named rightly"),
        [
            (
                printable(one["name"]),
                _kappa(one["against"]),
                _kappa(one["repeats"]),
                _rate(one["within"]),
                _rate(one["kinds"]),
            )
            for one in judges
        ],
    )
    together = [
        ("all people agree in all trials", _rate(found["between"])),
        ("all people are right in all trials", _rate(found["all_right"])),
        ("Fleiss' kappa over all ratings", _kappa(found["everyone"])),
        ("Fleiss' kappa with the kinds that were named", _kappa(found["naming"])),
        *((printable(f"{one} with {other}"), _kappa(value)) for one, other, value in found["pairs"]),
    ]
    return Page(
        eyebrow="Attribute agreement study",
        model=found["model_name"],
        basis=f"{found['parts']} parts ({found['good']} good, {found['defective']} defective), "
        f"{len(grades)} appraisers x {found['trials']} trials.",
        headline=f"{accepted} of {len(grades)} appraisers acceptable by AIAG's table"
        + (f", the model {found['model']['grades']['overall']}" if found["model"] else ""),
        kept=accepted == len(grades),
        statement=STATEMENT,
        tables=[
            people,
            agreement,
            Table("Together", ("", f"{100 * found['confidence']:.0f} % bounds"), together),
            *_flips(found),
        ],
        notes=[
            f"The model judged one picture of each part once, people had to be right in all {found['trials']} trials; its review "
            f"counts as held ({found['reviews']} parts).",
            "AIAG's table grades the rates as they were measured; their bounds say how far so few parts can be trusted.",
        ],
    )


def _flips(found: Mapping[str, Any]) -> list[Table]:
    turned = found["flips"]
    if turned is None:
        return []
    title = f"The model over {turned['pictures']} pictures of {turned['parts']} parts seen more than once"
    rows = [
        ("parts passed once and held once", _rate(turned["crossed"])),
        ("parts with any change of decision", _rate(turned["changed"])),
        ("two pictures of one part differ", percent(turned["pairs"])),
    ]
    return [Table(title, ("a group must be one part", "share"), rows)]


def _rate(rate: Mapping[str, Any] | None) -> str:
    if rate is None or rate["rate"] is None:
        return "-"
    return f"{percent(rate['rate'])} ({percent(rate['low'])} to {percent(rate['high'])})"


def _kappa(kappa: Mapping[str, Any] | None) -> str:
    if kappa is None or kappa["value"] is None:
        return "-"
    if kappa["low"] is None:
        return f"{kappa['value']:.2f}"
    return f"{kappa['value']:.2f} ({kappa['low']:.2f} to {kappa['high']:.2f})"

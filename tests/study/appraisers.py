"""A small study, and people who fill its sheets in."""

import csv
import io

from visiontune.study import sheet
from visiontune.study.key import Part, Study


def a_study(**changes):
    parts = tuple(
        Part(f"P{i:02}.png", f"x/{i}.png", f"g{i}", label, "borderline", 0.5, "review", "crack")
        for i, label in enumerate(["good", "crack", "scratch", "good"], 1)
    )
    fields = {
        "model": "tiny",
        "sha256": "0" * 64,
        "made_by": "visiontune 0",
        "seed": 0,
        "good": "good",
        "classes": ("good", "crack", "scratch"),
        "appraisers": ("anna", "ben"),
        "trials": 2,
        "parts": parts,
        "reimaged": (("g1", "pass"), ("g1", "review")),
    }
    return Study(**{**fields, **changes})


RIGHT = {
    "P01.png": ("pass", ""),
    "P02.png": ("reject", "crack"),
    "P03.png": ("reject", "scratch"),
    "P04.png": ("pass", ""),
}


def fill(folder, study, answers=RIGHT, *, mark=",", encoding="utf-8", end="\n"):
    """Fills every sheet in, as a person would: row by row, in the sheet's order."""
    for name in study.appraisers:
        for trial in range(1, study.trials + 1):
            path = folder / sheet.path_of(name, trial)
            rows = list(csv.reader(io.StringIO(path.read_text("utf-8"))))
            done = [rows[0]] + [
                [order, picture, *answers[picture][: len(rows[0]) - 2]] for order, picture, *_ in rows[1:]
            ]
            path.write_text(end.join(mark.join(row) for row in done) + end, encoding=encoding)


def answer(study, wrong=()):
    """What an appraiser who knows the truth writes, but for the pictures in `wrong`."""
    found = {}
    for part in study.parts:
        bad = (part.label != study.good) != (part.picture in wrong)
        found[part.picture] = (
            ("reject", part.label if part.label != study.good else "crack") if bad else ("pass", "")
        )
    return found

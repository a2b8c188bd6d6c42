"""The sheets that appraisers fill in, one a trial, and what comes back on them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from visiontune.data.problems import few, shown
from visiontune.runtime.errors import BadData, one_line
from visiontune.runtime.whole import whole
from visiontune.study.agreement import HELD, PASSED, Ruling
from visiontune.study.key import Study

FOLDER = "sheets"
VERDICTS = {"pass": PASSED, "reject": HELD}
DELIMITERS = ",;\t"
MOST = 5  # problems that one message names


def path_of(appraiser: str, trial: int) -> str:
    """Where the sheet of an appraiser (by name) for a trial (from 1) lies in a study's folder."""
    return f"{FOLDER}/{appraiser}-trial-{trial}.csv"


def columns(study: Study) -> list[str]:
    """The columns of a sheet; which kind is asked only where there are several."""
    return ["order", "picture", "verdict", *(["kind"] if len(study.kinds) > 1 else [])]


def write(folder: Path, study: Study, orders: Sequence[Sequence[Sequence[int]]]) -> None:
    """Writes the blank sheets, each in its order: orders[appraiser][trial] lists positions of the study's parts."""
    head = columns(study)
    for name, rounds in zip(study.appraisers, orders, strict=True):
        for trial, order in enumerate(rounds, 1):
            text = io.StringIO()
            table = csv.writer(text, lineterminator="\n")
            table.writerow(head)
            for place, part in enumerate(order, 1):
                table.writerow([place, study.parts[part].picture, *[""] * (len(head) - 2)])
            with whole(folder / path_of(name, trial)) as draft:
                draft.write_text(text.getvalue(), encoding="utf-8")


def read(folder: Path, study: Study) -> dict[str, Ruling]:
    """What every appraiser said, parts in the study's order.

    Cells may be divided by comma, semicolon or tab; case and blanks do not count. Raises one BadData that names what is wrong
    over all sheets: missing or blank ones, unknown words, rows that are missing, twice, or of no picture of the study.
    """
    problems: list[str] = []
    found: dict[str, Ruling] = {}
    for name in study.appraisers:
        held = np.zeros((len(study.parts), study.trials), np.int64)
        kinds = np.full(held.shape, "", dtype="<U256")
        for trial in range(1, study.trials + 1):
            sheet = _Sheet(folder, path_of(name, trial), study)
            held[:, trial - 1], kinds[:, trial - 1] = sheet.read()
            problems += sheet.problems
        found[name] = Ruling(held, kinds if len(study.kinds) > 1 else None)
    if problems:
        more = f"; and {len(problems) - MOST} more" if len(problems) > MOST else ""
        raise BadData(f"{folder}: {'; '.join(problems[:MOST])}{more}. Correct the sheets and analyse again")
    return found


class _Sheet:
    """One sheet being read, and what is wrong with it."""

    def __init__(self, folder: Path, name: str, study: Study) -> None:
        self.path, self.name, self.study = folder / name, name, study
        self.problems: list[str] = []

    def read(self) -> tuple[list[int], list[str]]:
        """Verdict and kind of each part; zeros and blanks where there is a problem."""
        said: dict[str, tuple[int, str]] = {}
        blank: list[str] = []
        pictures = [part.picture for part in self.study.parts]
        for line, row in self._rows():
            picture = row.get("picture", "")
            if picture not in pictures:
                self._problem(line, f"expected a picture of the study, found {shown(picture)}")
            elif picture in said or picture in blank:
                self._problem(line, f"expected each picture once, found {picture} again")
            elif not row.get("verdict"):
                blank.append(picture)
            else:
                said[picture] = self._verdict(line, row), self._kind(line, row)
        if not self.problems:
            self._check_whole(pictures, said, blank)
        return [said.get(one, (0, ""))[0] for one in pictures], [
            said.get(one, (0, ""))[1] for one in pictures
        ]

    def _check_whole(
        self, pictures: Sequence[str], said: dict[str, tuple[int, str]], blank: list[str]
    ) -> None:
        missing = [one for one in pictures if one not in said and one not in blank]
        if len(blank) == len(pictures):
            self.problems.append(f"{self.name}: expected verdicts, found a blank sheet")
        elif blank:
            self.problems.append(
                f"{self.name}: expected a verdict for every picture, found none for {few(blank)}"
            )
        if missing:
            self.problems.append(
                f"{self.name}: expected a row for every picture, found none for {few(missing)}"
            )

    def _verdict(self, line: int, row: dict[str, str]) -> int:
        word = row["verdict"].lower()
        if word not in VERDICTS:
            self._problem(
                line, f"expected pass or reject, found {shown(row['verdict'])}{_near(word, VERDICTS)}"
            )
        return VERDICTS.get(word, PASSED)

    def _kind(self, line: int, row: dict[str, str]) -> str:
        word = row.get("kind", "")
        known = {name.lower(): name for name in self.study.kinds}
        if not word or len(known) < 2:
            return ""
        if word.lower() not in known:
            self._problem(
                line,
                f"expected a kind of {', '.join(self.study.kinds)}, found {shown(word)}{_near(word, known)}",
            )
        elif row["verdict"].lower() == "pass":
            self._problem(line, f"expected no kind for a part that passes, found {shown(word)}")
        return known.get(word.lower(), "")

    def _rows(self) -> list[tuple[int, dict[str, str]]]:
        try:
            text = self.path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            self.problems.append(f"{self.name}: expected a filled-in sheet, found no file")
            return []
        except (OSError, UnicodeDecodeError) as error:
            self.problems.append(f"{self.name}: expected CSV in UTF-8, found: {one_line(error, 80)}")
            return []
        first = text.partition("\n")[0]
        mark = max(DELIMITERS, key=first.count)
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mark))
        except csv.Error as error:
            self.problems.append(f"{self.name}: expected CSV, found: {one_line(error, 80)}")
            return []
        head = [cell.strip().lower() for cell in rows[0]] if rows else []
        if missing := [name for name in columns(self.study) if name not in head and name != "order"]:
            self.problems.append(
                f"{self.name}: expected the columns {', '.join(columns(self.study))}, found no {' and no '.join(missing)}"
            )
            return []
        return [
            (line, {name: cell.strip() for name, cell in zip(head, row, strict=False)})
            for line, row in enumerate(rows[1:], 2)
            if any(cell.strip() for cell in row)
        ]

    def _problem(self, line: int, text: str) -> None:
        self.problems.append(f"{self.name}, line {line}: {text}")


def _near(word: str, known: dict[str, int] | dict[str, str]) -> str:
    near = get_close_matches(word.lower(), list(known), 1)
    return f", perhaps {near[0]}" if near else ""

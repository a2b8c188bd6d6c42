"""The manifest layout: a `manifest.csv` that names each picture and says what is known of it."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from visiontune.data.layouts.boxes import label_of, usable
from visiontune.data.layouts.headers import Size, mask_problems, sizes
from visiontune.data.layouts.reading import Reading
from visiontune.data.layouts.tree import Inside, split_named
from visiontune.data.problems import Problem, few, shown
from visiontune.data.samples import Box, Sample
from visiontune.runtime.errors import BadData, one_line

NAME = "manifest"
EXPECTS = "manifest.csv with the columns path and label"
FILE = "manifest.csv"
REQUIRED = ("path", "label")
KNOWN = ("path", "label", "mask", "boxes", "group", "split")
DELIMITERS = ",;\t"
NO_BOXES = "none"
IGNORE = "ignore"
_NO_ATTRIBUTES: Mapping[str, str] = {}  # shared: a million empty dicts would fill 64 MB


def recognise(root: Path) -> str | None:
    """A file called manifest.csv lies in the folder."""
    return FILE if (root / FILE).is_file() else None


def read(root: Path, *, ignore: Set[str] = frozenset()) -> Reading:
    """Reads `manifest.csv`: UTF-8 with or without byte order mark; `,`, `;` or tab between the cells; one picture a row.

    Columns: `path` (inside the folder) and `label` are required. `mask`: a picture of the same size. `group`: what must
    not straddle a split; an empty cell makes the picture its own group. `split`: train, val, test (or their usual
    synonyms), empty for `split` to decide. `boxes`: `KIND X0 Y0 X1 Y1` in pixels, with `ignore` behind it for one to be
    ignored, several divided by `|`; `none` for a picture known to hold none, empty where not known; with boxes the label
    may stay empty and is then taken from them. Every other column is an attribute. Columns named in `ignore` are
    disregarded.

    Raises BadData where the file is no such table; what is wrong with single rows becomes problems.
    """
    table = Table(root / FILE)
    reading = Reading(title=FILE, grouped="group" in table.columns and "group" not in ignore)
    if "split" in table.columns and "split" not in ignore:
        reading.split_by = "the manifest"
    rows = _Rows(root, reading, table.columns, ignore)
    for line, cells in table.rows():
        rows.add(line, cells)
    rows.add_boxes()
    reading.problems += mask_problems(root, reading.samples)
    return reading


class Table:
    """A manifest as columns and rows of stripped cells; the columns that the layout knows are in lower case."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with self._open() as file:
                header = file.readline()
            headers = {mark: next(csv.reader([header], delimiter=mark), []) for mark in DELIMITERS}
        except (csv.Error, UnicodeDecodeError) as error:
            raise self._unreadable(error, 1) from None
        found = {mark: [_column(name) for name in names] for mark, names in headers.items()}
        self._delimiter = max(
            found, key=lambda mark: (len(set(found[mark]) & set(REQUIRED)), len(found[mark]))
        )
        self.columns = found[self._delimiter]
        self._check()

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Line number and cells of each row after the header that is not blank."""
        with self._open() as file:
            reader = csv.reader(file, delimiter=self._delimiter)
            try:
                next(reader, None)
                for cells in reader:
                    stripped = [cell.strip() for cell in cells]
                    if any(stripped):
                        yield reader.line_num, stripped
            except (csv.Error, UnicodeDecodeError) as error:
                raise self._unreadable(error, max(1, reader.line_num)) from None

    def _open(self) -> TextIO:
        return self.path.open(encoding="utf-8-sig", newline="")

    def _check(self) -> None:
        missing = [name for name in REQUIRED if name not in self.columns]
        if missing:
            found = ", ".join(shown(name) for name in self.columns) or "an empty file"
            raise BadData(
                f"{self.path}: expected the columns path and label, found {found}; add {' and '.join(missing)}"
            )
        twice = sorted({name for name in self.columns if name and self.columns.count(name) > 1})
        if twice:
            raise BadData(
                f"{self.path}: expected each column once, found twice: {few(map(shown, twice))}; rename one"
            )

    def _unreadable(self, error: csv.Error | UnicodeDecodeError, line: int) -> BadData:
        return BadData(
            f"{self.path}: expected CSV in UTF-8, found near line {line}: {one_line(error)}; save it as CSV UTF-8"
        )


def _column(name: str) -> str:
    name = name.strip()
    return name.lower() if name.lower() in KNOWN else name


class _Rows:
    """Turns rows into samples and problems."""

    def __init__(self, root: Path, reading: Reading, columns: Sequence[str], ignore: Set[str]) -> None:
        self.root = root
        self.reading = reading
        self.width = len(columns)
        self.at = {name: i for i, name in enumerate(columns) if name and name not in ignore - set(REQUIRED)}
        self.attributes = [(name, i) for name, i in self.at.items() if name not in KNOWN]
        self.inside = Inside(root)
        self.seen: dict[str, int] = {}
        self.boxes: dict[str, str] = {}

    def add(self, line: int, cells: Sequence[str]) -> None:
        """Adds one row."""
        sample = self._sample(line, cells)
        if isinstance(sample, Sample):
            self.reading.samples.append(sample)
        else:
            where = f"line {line}: {sample.detail}" if sample.detail else f"line {line}"
            self.reading.problems.append(Problem(sample.kind, sample.path, where))

    def _sample(self, line: int, cells: Sequence[str]) -> Sample | Problem:
        if len(cells) != self.width:
            return Problem("bad-row", cells[0], f"{len(cells)} cells instead of {self.width}")
        id = self.inside.place(cells[self.at["path"]])
        if isinstance(id, Problem):
            return id
        if id in self.seen:
            return Problem("duplicate", id, f"as in line {self.seen[id]}")
        self.seen[id] = line
        label, boxes, said = cells[self.at["label"]], self._cell(cells, "boxes"), self._cell(cells, "split")
        if not label and not boxes:
            return Problem("no-label", id)
        split = split_named(said)
        if said and split is None:
            return Problem("unknown-split", id, said)
        mask = self._mask(self._cell(cells, "mask"))
        if isinstance(mask, Problem):
            return mask
        if boxes:
            self.boxes[id] = boxes
        return Sample(
            id=id,
            path=self.root / id,
            label=label or None,
            mask=mask,
            group=self._cell(cells, "group") or id,
            split=split,
            attributes={name: cells[i] for name, i in self.attributes} if self.attributes else _NO_ATTRIBUTES,
        )

    def _cell(self, cells: Sequence[str], name: str) -> str:
        return cells[self.at[name]] if name in self.at else ""

    def _mask(self, name: str) -> Path | Problem | None:
        if not name:
            return None
        id = self.inside.place(name)
        if isinstance(id, Problem):
            return Problem("mask-missing", name) if id.kind == "missing-file" else id
        return self.root / id

    def add_boxes(self) -> None:
        """Gives the samples the boxes of their rows; needs the pictures' headers, and so comes last."""
        if not self.boxes:
            return
        known = sizes(self.root / id for id in self.boxes)
        for i, sample in enumerate(self.reading.samples):
            if sample.id in self.boxes:
                self.reading.samples[i] = self._with_boxes(sample, known[sample.path])

    def _with_boxes(self, sample: Sample, size: Size | str) -> Sample:
        if isinstance(size, str):
            self.reading.problems.append(Problem("unreadable", sample.id, size))
            return sample
        text = self.boxes[sample.id]
        texts = [] if text.lower() == NO_BOXES else text.split("|")
        found = [_box(sample.id, text, size) for text in texts]
        self.reading.problems += [box for box in found if isinstance(box, Problem)]
        label = sample.label or label_of(" ".join(_words(text)[0][:-4]) for text in texts)
        return replace(sample, boxes=tuple(box for box in found if isinstance(box, Box)), label=label)


def _words(text: str) -> tuple[list[str], bool]:
    """The words of a box, and whether it is to be ignored."""
    words = text.split()
    ignore = words[-1:] == [IGNORE]
    return words[: len(words) - ignore], ignore


def _box(id: str, text: str, size: Size) -> Box | Problem:
    words, ignore = _words(text)
    *kind, x0, y0, x1, y1 = ["", *words] if len(words) > 4 else [""] * 5
    try:
        corners = (float(x0), float(y0), float(x1), float(y1))
        return usable(id, " ".join(kind).strip(), corners, size, ignore=ignore)
    except ValueError:
        return Problem("box-unclear", id, f"{text.strip()!r}, expected KIND X0 Y0 X1 Y1")

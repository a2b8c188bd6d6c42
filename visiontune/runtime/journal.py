"""The log of a watched folder: one whole line a frame, appended, and read again at the next start.

A kill can leave at most one torn line, the last; opening takes it off, so that its frame is judged and written again.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.claim import claim, release
from visiontune.runtime.errors import BadData, one_line
from visiontune.runtime.landing import Landed

FIELDS = ("time", "path", "decision", "severity", "kind", "ms", "reason", "to", "bytes", "mtime_ns")
HEADER = (",".join(FIELDS) + "\n").encode()
BEGIN = b'{"time": "'


class Journal:
    """An append-only log, CSV with a header where the name ends in .csv, else JSON lines.

    time      when the verdict was there, ISO 8601, UTC
    path      name of the file in the watched folder; what is not printable is written as in Python, \\n
    decision  pass, review or reject; severity 0..1 and kind, empty where the frame could not be judged: reason says why
    reason    also why a Monitor found the frame not inspectable, and the alarms that were raised with it
    ms        of judging, decoding included
    to        where the file goes below the folder of decisions, empty where it stays
    bytes, mtime_ns  of the file: with its name they tell it from a later one of the same name

    Raises BadData if the file cannot be read or written, holds other lines, or another process writes to it.
    """

    def __init__(self, path: Path, names: Collection[str]) -> None:
        self._path = path
        self._csv = path.suffix.lower() == ".csv"
        self._lock = self._descriptor = -1
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
            )
            self._lock = claim(path)
            self._known = self._recover({printable(name) for name in names})
        except OSError as error:
            self.close()
            raise self._refusal(error) from error
        except BadData:
            self.close()
            raise

    def recall(self, landed: Landed) -> dict[str, Any] | None:
        """Path, decision, bytes and mtime_ns of the line of this very file, if the log held one when it was opened.

        Only once: after that a file that looks the same is a new one.
        """
        record = self._known.get(printable(landed.path.name))
        if record is None or (record["bytes"], record["mtime_ns"]) != (landed.size, landed.mtime_ns):
            return None
        return self._known.pop(printable(landed.path.name))

    def append(self, record: Mapping[str, Any], *, safely: bool = False) -> None:
        """Writes one line, at once; `safely` waits until it would survive a power cut too."""
        try:
            self._write(self._line(record))
            if safely:
                os.fsync(self._descriptor)
        except OSError as error:
            raise self._refusal(error) from error

    def close(self) -> None:
        """Ends the writing; may be called again."""
        release(self._descriptor)
        release(self._lock)
        self._descriptor = self._lock = -1

    def _recover(self, names: Collection[str]) -> dict[str, dict[str, Any]]:
        """The latest lines of these files; takes off a torn last line. Memory goes with `names`, not with the log."""
        known: dict[str, dict[str, Any]] = {}
        whole = 0
        with self._path.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith(b"\n"):
                    self._check_torn(line, number)
                    break
                whole += len(line)
                if self._csv and number == 1 and line == HEADER:
                    continue
                record = self._record(line, number)
                if record["path"] in names:
                    known[record["path"]] = record
        if os.fstat(self._descriptor).st_size > whole:
            os.ftruncate(self._descriptor, whole)
        if self._csv and not whole:
            self._write(HEADER)
        return known

    def _record(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            text = line.decode("utf-8")
            found = (
                dict(zip(FIELDS, next(csv.reader([text])), strict=True)) if self._csv else json.loads(text)
            )
            record = {"path": str(found["path"]), "decision": found["decision"]}
            DECISIONS.index(record["decision"])
            return {**record, "bytes": int(found["bytes"]), "mtime_ns": int(found["mtime_ns"])}
        except (ValueError, KeyError, TypeError, StopIteration, csv.Error) as error:
            raise self._foreign(number) from error

    def _check_torn(self, line: bytes, number: int) -> None:
        """Raises BadData if this, all that a file holds, is not the beginning of a line of ours, which may be taken off."""
        start = HEADER if self._csv else BEGIN
        if number == 1 and line[: len(start)] != start[: len(line)]:
            raise self._foreign(number)

    def _foreign(self, number: int) -> BadData:
        wanted = f"expected a log of visiontune watch with {', '.join(FIELDS)}"
        return BadData(f"{self._path}, line {number}: {wanted}, found another; give the new log another name")

    def _line(self, record: Mapping[str, Any]) -> bytes:
        values = {name: record.get(name) for name in FIELDS}
        texts = ("path", "kind", "reason", "to")
        values.update({name: printable(record[name]) for name in texts if record.get(name) is not None})
        if not self._csv:
            return (json.dumps(values) + "\n").encode()
        row = io.StringIO()
        csv.writer(row, lineterminator="\n").writerow("" if v is None else v for v in values.values())
        return row.getvalue().encode()

    def _write(self, data: bytes) -> None:
        written = os.write(self._descriptor, data)  # one call, so that only the system could tear the line
        if written != len(data):
            raise OSError(f"only {written} of {len(data)} bytes could be written")

    def _refusal(self, error: OSError) -> BadData:
        found = one_line(error)
        return BadData(
            f"{self._path}: expected a log that can be written, found {found}; mend that and start again"
        )


def printable(text: str) -> str:
    """The text with what would break a line written as \\n, \\x1b, \\udc80."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text
    )

"""`visiontune watch`: judges picture files as they land in a folder, logs them and sorts them, until it is ended.

Order of writes, for each file, so that a kill at any moment loses nothing and logs nothing twice:

1. judge                    a kill: nothing is written, the next start judges the file again
2. look at the file again   it changed meanwhile: the verdict is thrown away, the file has to settle anew
3. append its line          a kill within tears the line: the next start takes it off and judges again
4. rename the file          a kill before: the next start finds file and line, and does only what is left, by the line's decision

Before the rename the line is on the disk (fsync), so not even a power cut leaves a moved file without its line.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from visiontune.commands.ending import Ended, ending
from visiontune.commands.inspect import line
from visiontune.commands.monitored import Monitored
from visiontune.commands.parser import FAILED, OK, Commands, Given, add_model, command
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.claim import claim, release
from visiontune.runtime.errors import BadData, BadFrame, one_line
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.journal import Journal, printable
from visiontune.runtime.landing import Landed, Landing

SETTLE_S = 0.5
SHORTEST_S, LONGEST_S = 0.05, 1.0  # between two looks; about a tenth of the time goes into looking
MORE = """\
Give --move, --log or both. One line a frame is printed, as inspect does. A picture that cannot be read is never passed: it is
reviewed, with the reason in the log, and the exit status at the end is then 1. Sub-folders, links and hidden files are left
alone. Ctrl-C finishes the frame at hand and says how many there were.

After a crash or a kill start the same command again: no picture is lost, none stands in the log twice. A file of a name that was
there before is another picture. A full or read-only disk ends the watch with the file where it was.

log     .csv, or JSON lines under any other name: time, path, decision, severity, kind, ms, reason, to, bytes, mtime_ns
move    DIR/pass, DIR/review, DIR/reject on the same file system; a name that is taken gets the file's time behind it
monitor what was seen so far, kept in STATE and gone on from at the next start (see docs/drift.md). A frame too dark, too
        bright or too blurred to be inspected is reviewed instead of passed. Drift of scores or pictures and unusual rates
        of review and reject are alarms: a line on stderr, and in the reason of the frame at which they were raised
settle  use 0 only where the camera renames finished files into the folder

examples:
  visiontune watch model.onnx /camera1 --log camera1.csv
  visiontune watch model.onnx /camera1 --move /sorted --log night.jsonl
  visiontune watch model.onnx /camera1 --move /sorted --once
  visiontune watch model.onnx /camera1 --log camera1.csv --monitor camera1.json
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "judge pictures as they land in a folder: sort them into pass, review and reject, or log them"
    added = command(commands, "watch", run, summary, MORE)
    add_model(added)
    added.add_argument("folder", metavar="FOLDER", type=Path, help="where the camera puts its pictures")
    added.add_argument(
        "--move", metavar="DIR", type=Path, help="move each into DIR/pass, DIR/review or DIR/reject"
    )
    added.add_argument("--log", metavar="FILE", type=Path, help="append one line a frame, CSV or JSON lines")
    added.add_argument(
        "--monitor", metavar="STATE", type=Path, help="watch for drift; the file keeps its state"
    )
    added.add_argument("--once", action="store_true", help="judge what lies there whole, and end")
    added.add_argument(
        "--settle",
        metavar="S",
        type=seconds,
        default=SETTLE_S,
        help="seconds a file must stay unchanged to count as whole (default: %(default)s)",
    )


def seconds(text: str) -> float:
    """A number from 0 to an hour."""
    value = float(text)
    if not 0 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to 3600, found {text}")
    return value


def run(given: Given) -> int:
    """Until it is ended, or with --once until all is judged; FAILED if a frame could not be."""
    if given.move is None and given.log is None:
        raise BadData(
            "watch: expected --move DIR, --log FILE or both, found neither; say where the verdicts go"
        )
    landing = Landing(given.folder, settle_s=given.settle)
    landing.look()
    with ExitStack() as held, ending() as ended:
        for path in (given.folder, *_made(given.folder, given.move)):
            held.callback(release, claim(path))
        inspector = Inspector(given.model)
        landing.look()  # again: until the claim another watch may have been at work
        journal = None if given.log is None else Journal(given.log, landing.names())
        if journal is not None:
            held.callback(journal.close)
        monitored = None if given.monitor is None else Monitored(inspector, given.monitor)
        if monitored is not None:
            held.callback(monitored.save)
        sorter = Sorter(monitored or inspector, landing, journal, given.move)
        watch(landing, sorter, ended, once=given.once)
        left = landing.waiting() if given.once else 0
    print(sorter.summary() + (f"; {left} not whole yet" if left else ""), file=sys.stderr)
    return FAILED if sorter.unread else OK


def watch(landing: Landing, sorter: Sorter, ended: Ended, *, once: bool) -> None:
    """Looks and judges in turn until it is ended; with `once` one time, when what lay there has had time to settle."""
    began = time.monotonic()
    while not ended():
        look = time.monotonic()
        found = landing.look()
        took = time.monotonic() - look
        settled = look - began >= landing.settle_s
        for landed in found if settled or not once else ():
            if ended():
                return
            sorter.take(landed)
        if once and settled:
            return
        if once or not found:
            time.sleep(min(max(SHORTEST_S, 10 * took), LONGEST_S))


class Sorter:
    """Takes one whole file after the other through the four steps, and counts."""

    def __init__(
        self, judge: Inspector | Monitored, landing: Landing, journal: Journal | None, move: Path | None
    ) -> None:
        self._judge = judge
        self._landing = landing
        self._journal = journal
        self._move = move
        self._counts: Counter[str] = Counter()
        self.unread = 0

    def take(self, landed: Landed) -> None:
        """Judges, logs, moves; or only moves what was logged before a kill."""
        record = None if self._journal is None else self._journal.recall(landed)
        fresh = record is None
        if record is None:
            record = self._judged(landed)
            if not landed.still():  # taken away, or not whole after all
                return
            if isinstance(self._judge, Monitored) and (news := self._judge.news()):
                record["reason"] = f"{record['reason']}; {news}" if "reason" in record else news
            if self._journal is not None:
                self._journal.append(record, safely=self._move is not None)
        if self._move is None:
            self._landing.done(landed)
        else:
            self._rename(landed, self._target(landed, record["decision"]))
            self._landing.gone(landed)
        if fresh:
            self._counts[record["decision"]] += 1
            self.unread += record["kind"] is None
            print(line(landed.path, record), flush=True)

    def summary(self) -> str:
        """What was judged, in one line."""
        kinds = ", ".join(f"{self._counts[decision]} {decision}" for decision in DECISIONS)
        count = self._counts.total()
        return f"{count} frame{'s' * (count != 1)}: {kinds}"

    def _judged(self, landed: Landed) -> dict[str, Any]:
        """The log's record."""
        begin = time.perf_counter()
        try:
            found = self._judge(landed.path).as_dict()
        except BadFrame as error:
            found = {"decision": DECISIONS[1], "severity": None, "kind": None, "reason": str(error)}
        ms = round(1000 * (time.perf_counter() - begin), 2)
        to = self._move and self._target(landed, found["decision"]).relative_to(self._move).as_posix()
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        mark = {"bytes": landed.size, "mtime_ns": landed.mtime_ns}
        return {"time": now, "path": landed.path.name, **found, "ms": ms, "to": to, **mark}

    def _target(self, landed: Landed, decision: str) -> Path:
        """Where to move it: never onto another picture."""
        assert self._move is not None
        folder, name = self._move / decision, landed.path
        target = folder / name.name
        for number in range(sys.maxsize):
            if not os.path.lexists(target):
                break
            more = f".{number}" if number else ""
            target = folder / f"{name.stem}.{landed.mtime_ns}{more}{name.suffix}"
        return target

    def _rename(self, landed: Landed, target: Path) -> None:
        try:
            landed.path.rename(target)
        except FileNotFoundError as error:
            if not target.parent.is_dir():
                raise BadData(
                    f"{target.parent}: expected the folder, found nothing there; start again"
                ) from error
            print(
                f"visiontune: {printable(str(landed.path))} was taken away before it was moved",
                file=sys.stderr,
            )
        except OSError as error:
            raise BadData(
                f"{landed.path}: expected to move it to {target}, found {one_line(error)}; mend that and start again"
            ) from error


def _made(folder: Path, move: Path | None) -> list[Path]:
    """The folder of decisions with its three folders in it, if one was named. Raises BadData where it cannot serve."""
    if move is None:
        return []
    try:
        for decision in DECISIONS:
            (move / decision).mkdir(parents=True, exist_ok=True)
        alike = move.stat().st_dev == folder.stat().st_dev
        within = folder.resolve() in {(move / decision).resolve() for decision in DECISIONS}
    except OSError as error:
        raise BadData(
            f"{move}: expected a folder to move to, found {one_line(error)}; name another"
        ) from error
    if not alike:
        raise BadData(
            f"{move}: expected the file system of {folder}, found another, where a move is a copy; name a folder beside it"
        )
    if within:
        raise BadData(
            f"{folder}: expected a folder of pictures to judge, found one of judged ones; name another"
        )
    return [] if move.samefile(folder) else [move]

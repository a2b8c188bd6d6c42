"""`visiontune inspect`: judges pictures, one line a frame."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from visiontune.commands.parser import FAILED, OK, Commands, Given, add_model, command
from visiontune.runtime.errors import BadFrame
from visiontune.runtime.frame import is_picture
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.journal import printable

MORE = """\
The columns are separated by tabs. A picture that cannot be read is never passed: its line says review and why, and
the exit status is then 1.

examples:
  visiontune inspect model.onnx part.png
  visiontune inspect model.onnx camera1/ camera2/ > verdicts.tsv
  visiontune inspect model.onnx camera1/ --json | jq 'select(.decision != "pass") | .path'
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "judge pictures: one line a frame with decision, severity, kind and path"
    added = command(commands, "inspect", run, summary, MORE)
    add_model(added)
    added.add_argument(
        "frames", metavar="FRAMES", nargs="+", type=Path, help="pictures, or folders searched for them"
    )
    added.add_argument(
        "--json", action="store_true", help="one JSON object a line, with all kinds and regions"
    )


def run(given: Given) -> int:
    """One line a frame; FAILED if one could not be judged."""
    paths = list(pictures(given.frames))
    inspector = Inspector(given.model)
    status = OK
    for path in paths:
        try:
            found = inspector(path).as_dict()
        except BadFrame as error:
            status = FAILED
            found = {"decision": "review", "severity": None, "kind": None, "reason": str(error)}
        print(json.dumps({"path": str(path), **found}) if given.json else line(path, found))
    return status


def pictures(given: Sequence[Path]) -> Iterator[Path]:
    """The files to judge: what was named, and every picture in the folders that were, sorted.

    Raises BadFrame for a folder without pictures.
    """
    for path in given:
        if not path.is_dir():
            yield path  # whatever it is: its own line will tell
            continue
        found = sorted(inside for inside in path.rglob("*") if is_picture(inside) and not inside.is_dir())
        if not found:
            raise BadFrame(f"{path}: expected a folder with pictures, found none in it; check the path")
        yield from found


def line(path: Path, found: dict[str, Any]) -> str:
    """One line of text for a verdict's dictionary, whatever the path is called."""
    severity = "-" if found["severity"] is None else f"{found['severity']:.4f}"
    columns = [found["decision"], severity, found["kind"] or "-", str(path)]
    columns += [found["reason"]] if "reason" in found else []
    return "\t".join(printable(column) for column in columns)

"""`visiontune inspect`: judges pictures, one line a frame."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from PIL import Image

from visiontune.commands.parser import FAILED, OK, Commands, Given, add_model, command
from visiontune.runtime.draw import drawn
from visiontune.runtime.errors import BadData, BadFrame
from visiontune.runtime.frame import decode, is_picture
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.journal import printable
from visiontune.runtime.whole import whole

MORE = """\
The columns are separated by tabs. A picture that cannot be read is never passed: its line says review and why, and
the exit status is then 1.

examples:
  visiontune inspect model.onnx part.png
  visiontune inspect model.onnx camera1/ camera2/ > verdicts.tsv
  visiontune inspect model.onnx camera1/ --draw drawn/
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
    added.add_argument(
        "--draw", metavar="DIR", type=Path, help="also write each frame there, its regions drawn on it"
    )


def run(given: Given) -> int:
    """One line a frame; FAILED if one could not be judged."""
    paths = list(pictures(given.frames))
    inspector = Inspector(given.model)
    targets = drawings(paths, given.draw) if given.draw else {}
    status = OK
    for path in paths:
        try:
            frame = decode(path, window=inspector.card.input.window)
            verdict = inspector(frame)
            found = verdict.as_dict()
            if given.draw:
                write(drawn(frame, verdict.regions, classes=inspector.card.classes), targets[path])
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


def drawings(paths: Sequence[Path], folder: Path) -> dict[Path, Path]:
    """Where the drawing of each frame goes: `folder`/NAME.png, numbered where several frames bear a name.

    Raises BadData where a drawing would take the place of a frame.
    """
    found: dict[Path, Path] = {}
    taken: set[str] = set()
    for path in dict.fromkeys(paths):
        names = (f"{path.stem}-{number}" if number else path.stem for number in count())
        name = next(name for name in names if name.lower() not in taken)
        taken.add(name.lower())
        found[path] = folder / f"{name}.png"
    frames = {path.resolve() for path in found}
    for target in found.values():
        if target.resolve() in frames:
            raise BadData(
                f"{folder}: expected a folder of its own for drawings, found the frame {target}; name another"
            )
    return found


def write(image: Image.Image, target: Path) -> None:
    """Saves a drawing, at once or not at all. Raises BadData where it cannot be written."""
    try:
        with whole(target) as draft:
            image.save(draft, "PNG")
    except OSError as error:
        raise BadData(
            f"{target}: expected to write it, found: {error.strerror or error}; name another folder"
        ) from error


def line(path: Path, found: dict[str, Any]) -> str:
    """One line of text for a verdict's dictionary, whatever the path is called."""
    severity = "-" if found["severity"] is None else f"{found['severity']:.4f}"
    columns = [found["decision"], severity, found["kind"] or "-", str(path)]
    columns += [found["reason"]] if "reason" in found else []
    return "\t".join(printable(column) for column in columns)

"""`visiontune demo`: the whole path on generated parts, offline."""

from __future__ import annotations

from pathlib import Path

from visiontune.commands.parser import OK, Commands, Given, command

MORE = """\
Paints machined parts with and without defects, fine-tunes a small network, sets the bands, exports one ONNX file and
judges parts that were never seen with that file. A few minutes on two cores; needs no network and no data of yours.

example:
  visiontune demo --out demo
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "the whole path on generated parts, offline, in minutes (needs the lab)"
    added = command(commands, "demo", run, summary, MORE)
    added.add_argument(
        "--out",
        type=Path,
        default=Path("visiontune-demo"),
        metavar="DIR",
        help="where to work (default: visiontune-demo)",
    )


def run(given: Given) -> int:
    """Runs the demo."""
    from visiontune.tune.demo import demo  # the lab: heavy, and perhaps not installed

    demo(given.out)
    return OK

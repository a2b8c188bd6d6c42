"""`visiontune demo`: the whole path on generated parts, offline."""

from __future__ import annotations

from pathlib import Path

from visiontune.commands.parser import OK, Commands, Given, command

MORE = """\
Paints machined parts with and without defects, fine-tunes a small network, sets the bands, exports one ONNX file and
judges parts that were never seen with that file. A few minutes on two cores; needs no network and no data of yours.

With --good-only it learns from good parts alone, as on the first day of a line: it certifies how many good parts are
rejected, says that escapes are unknown, and estimates them on planted defects.

example:
  visiontune demo --out demo
  visiontune demo --good-only --out demo
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
    added.add_argument("--good-only", action="store_true", help="learn from good parts alone")


def run(given: Given) -> int:
    """Runs the demo."""
    from visiontune.tune.demo import demo  # the lab: heavy, and perhaps not installed

    demo(given.out, good_only=given.good_only)
    return OK

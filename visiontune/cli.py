"""The `visiontune` command: picks the subcommand, and turns its errors into one line and an exit status."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from visiontune.commands import (
    audit,
    card,
    compare,
    copy,
    demo,
    doctor,
    inspect,
    measure,
    msa,
    pod,
    verify,
    watch,
)
from visiontune.commands.parser import FAILED, WRONG_USE, Parser, Run
from visiontune.runtime.errors import VisiontuneError
from visiontune.version import __version__

COMMANDS = (
    audit,
    inspect,
    watch,
    measure,
    compare,
    pod,
    msa,
    card,
    verify,
    doctor,
    copy,
    demo,
)  # in the order of the help; a new one is a file in commands/ and a name here
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one subcommand and gives the exit status; results go to stdout, everything else to stderr.

    A VisiontuneError becomes one line and status 2; wrong use ends the program (SystemExit) in the same way.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # no file name may end a night's run
    given = parser().parse_args(arguments)
    run: Run = given.run
    try:
        status = run(given)
        sys.stdout.flush()
        return status
    except VisiontuneError as error:
        print(f"visiontune: {' '.join(str(error).split())}", file=sys.stderr)
        return WRONG_USE
    except BrokenPipeError:  # whoever reads our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED


def parser() -> Parser:
    """The whole command line."""
    whole = Parser(
        prog="visiontune",
        description="Fine-tunes image models for one inspection job, and judges parts with the one file that this gives.",
        epilog="Exit status: 0 done, 1 a frame or check failed or it is a no-go, 2 wrong use or a model that must not be used.",
    )
    whole.add_argument("--version", action="version", version=f"visiontune {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)
    for command in COMMANDS:
        command.add(commands)
    return whole

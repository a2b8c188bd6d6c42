"""The parser that all subcommands share: it complains in one line and shows examples as they are written."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

OK, FAILED, WRONG_USE = 0, 1, 2  # exit status
Given: TypeAlias = argparse.Namespace
Run: TypeAlias = Callable[[Given], int]
Commands: TypeAlias = Any  # what `add_subparsers` gives; argparse keeps its type to itself


class Parser(argparse.ArgumentParser):
    """Complains in one line that says where to read on, instead of argparse's usage block."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Ends the program with the status for wrong use."""
        self.exit(WRONG_USE, f"visiontune: {message}; see {self.prog} --help\n")


def command(commands: Commands, name: str, run: Run, summary: str, more: str) -> argparse.ArgumentParser:
    """A new subcommand: `summary` is its line in the list of commands, `more` the text and examples below its options."""
    added: argparse.ArgumentParser = commands.add_parser(name, help=summary, description=summary, epilog=more)
    added.set_defaults(run=run)
    return added


def add_model(added: argparse.ArgumentParser) -> None:
    """The argument MODEL."""
    added.add_argument("model", metavar="MODEL", help="an .onnx file that visiontune exported")

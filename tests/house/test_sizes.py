"""One idea a file: no file grows long, none is a drawer for odds and ends, and each says what it is for."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "visiontune"
FILES = sorted(PACKAGE.rglob("*.py"))
DRAWERS = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
MOST_LINES = 300


def test_there_are_files():
    assert len(FILES) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_short_named_and_described(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    assert not {path.stem, *path.relative_to(PACKAGE).parts[:-1]} & DRAWERS
    assert ast.get_docstring(ast.parse(text)), "the first line should say what this file is for"

"""The floors of the house: an import may only go down, the line needs three packages, and nothing goes round in circles."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "visiontune"

# What may import what inside visiontune. `tune` may call `report` (run.report()), which knows nothing of it.
ALLOWED = {
    "version": set(),
    "runtime": {"version"},
    "data": {"version", "runtime"},
    "heads": {"version", "runtime"},
    "study": {"version", "runtime", "data"},
    "report": {"version", "runtime", "data"},
    "tune": {"version", "runtime", "data", "heads", "report"},
    "__init__": {"version", "runtime"},  # the front door of the line
    "commands": {"__init__", "version", "runtime", "data", "heads", "report", "tune", "study"},
    "cli": {"__init__", "version", "runtime", "commands"},
}
LINE = {"numpy", "PIL", "onnxruntime"}
BASE_DATA = {"samples", "layouts", "read", "splits"}  # these also run where only the line is installed


def modules():
    """Dotted name -> file, for every module of the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(tree, name, *, package):
    """Dotted names that the code of module `name` imports, relative and by import_module too."""
    base = name.split(".") if package else name.split(".")[:-1]
    for found in ast.walk(tree):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            start = base[: len(base) - found.level + 1] if found.level else []
            whole = ".".join([*start, *([found.module] if found.module else [])])
            yield from (f"{whole}.{alias.name}" for alias in found.names)
        elif isinstance(found, ast.Call) and isinstance(found.args[0] if found.args else None, ast.Constant):
            called = (
                found.func.attr if isinstance(found.func, ast.Attribute) else getattr(found.func, "id", "")
            )
            if called in ("import_module", "__import__"):
                yield str(found.args[0].value)


def imports_of(path, name):
    return set(imported(ast.parse(path.read_text("utf-8")), name, package=path.name == "__init__.py"))


def floor(name):
    """The part of the house that a dotted name lies in; `__init__` for the front door."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ALLOWED else "__init__"


def outside(names):
    """The packages among these names that are neither ours nor of the standard library."""
    roots = {name.partition(".")[0] for name in names}
    return roots - set(sys.stdlib_module_names) - {"visiontune"}


def test_every_part_of_the_package_has_a_floor():
    parts = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()}
    parts -= {"__pycache__", "py", "recipes"}
    assert {part for part in parts if not part.startswith(".")} <= set(ALLOWED)


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_go_down(name):
    here = floor(name)
    ours = {target for target in imports_of(MODULES[name], name) if target.partition(".")[0] == "visiontune"}
    wrong = {target for target in ours if floor(target) != here and floor(target) not in ALLOWED[here]}
    assert not wrong, f"{name} must not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize(
    "name", [name for name in MODULES if floor(name) in ("runtime", "__init__", "version")]
)
def test_the_line_needs_three_packages(name):
    names = imports_of(MODULES[name], name)
    assert outside(names) <= LINE
    assert not {
        found for found in names if found.startswith(("onnxruntime.quantization", "onnxruntime.tools"))
    }


@pytest.mark.parametrize(
    "name",
    [name for name in MODULES if floor(name) == "data" and set(name.split(".")[2:3]) & BASE_DATA],
)
def test_reading_data_needs_no_more_than_the_line(name):
    assert outside(imports_of(MODULES[name], name)) <= LINE


@pytest.mark.parametrize("name", [name for name in MODULES if floor(name) in ("cli", "commands")])
def test_the_command_opens_without_the_lab(name):
    """Whatever a subcommand needs of the lab it imports when it runs, not when the command starts."""
    tree = ast.parse(MODULES[name].read_text("utf-8"))
    at_once = set(imported(ast.Module(top_level(tree.body), []), name, package=False))
    assert outside(at_once) <= LINE
    floors = {floor(target) for target in at_once if target.startswith("visiontune")}
    assert floors <= {"__init__", "version", "runtime", "commands"}


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.py")), ids=lambda path: path.stem)
def test_recipes_stand_on_the_doors_only(path):
    ours = {name for name in imports_of(path, path.stem) if name.startswith("visiontune")}
    doors = ("visiontune.tune.", "visiontune.data.", "visiontune.heads.")
    assert ours
    assert all(name.startswith(doors) or name.count(".") == 1 for name in ours)


def test_nothing_below_imports_a_recipe():
    assert not [
        name for name, path in MODULES.items() for found in imports_of(path, name) if "recipes" in found
    ]


def top_level(body):
    """The statements that run when a module is imported: not inside functions, not for types only."""
    found = []
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if isinstance(statement, ast.If) and "TYPE_CHECKING" in ast.unparse(statement.test):
            found += top_level(statement.orelse)
        elif isinstance(statement, ast.ClassDef):
            found += top_level(statement.body)
        else:
            found.append(statement)
    return found


def test_no_circles():
    """At import time, among the files of the package; that a package's own __init__ runs first is left out."""
    edges = {}
    for name, path in MODULES.items():
        body = ast.Module(top_level(ast.parse(path.read_text("utf-8")).body), [])
        targets = set(imported(body, name, package=path.name == "__init__.py"))
        ours = {target if target in MODULES else target.rpartition(".")[0] for target in targets}
        edges[name] = {target for target in ours if target in MODULES and target != name}
    assert circle(edges) is None


def circle(edges):
    """Some circle in a graph, as a list of names; None if there is none."""
    done = set()

    def walk(name, path):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for target in sorted(edges[name]):
            if found := walk(target, [*path, name]):
                return found
        done.add(name)
        return None

    return next((found for name in sorted(edges) if (found := walk(name, []))), None)


# The guards themselves must be able to fail.


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import visiontune.tune.run", {"visiontune.tune.run"}),
        ("from ..tune import run", {"visiontune.tune.run"}),
        ("from . import card", {"visiontune.runtime.card"}),
        ("def f():\n    import torch", {"torch"}),
        ("import importlib\nimportlib.import_module('torch')", {"importlib", "torch"}),
    ],
)
def test_the_walk_finds_imports_of_every_kind(code, found):
    assert set(imported(ast.parse(code), "visiontune.runtime.card", package=False)) == found


def test_the_search_finds_circles():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None

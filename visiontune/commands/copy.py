"""`visiontune copy`: hands over a recipe, to be edited and owned."""

from __future__ import annotations

import ast
import difflib
import os
from pathlib import Path

import visiontune
from visiontune.commands.parser import OK, Commands, Given, command
from visiontune.runtime.errors import BadRecipe

MORE = """\
A recipe is a plain Python file of about 35 lines that is meant to be copied: change the backbone, the input size or a
verb of `cook`, then run it with `python FILE DATA --out DIR`. Without names, lists the recipes.

examples:
  visiontune copy
  visiontune copy surface_defects my_part.py
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    added = command(commands, "copy", run, "copy a recipe to edit, or list the recipes", MORE)
    added.add_argument("recipe", nargs="?", metavar="RECIPE", help="name of a recipe")
    added.add_argument(
        "file", nargs="?", type=Path, metavar="FILE", help="where to put it (default: ./RECIPE.py)"
    )


def run(given: Given) -> int:
    """Lists the recipes, or copies one."""
    known = recipes()
    if given.recipe is None:
        for name, path in known.items():
            print(f"{name:<18} {headline(path)}")
        return OK
    if given.recipe not in known:
        close = difflib.get_close_matches(given.recipe, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(known)}"
        raise BadRecipe(f"no recipe is called {given.recipe!r}; {hint}")
    target = given.file or Path(f"{given.recipe}.py")
    if target.is_dir():
        target = target / f"{given.recipe}.py"
    write_new(target, known[given.recipe].read_text(encoding="utf-8"))
    print(f"{target}: edit it, then run python {target} DATA --out DIR")
    return OK


def recipes() -> dict[str, Path]:
    """The recipes that came with this installation, by name: inside the package, or beside it in a checkout."""
    package = Path(visiontune.__file__).parent
    for folder in (package / "recipes", package.parent / "recipes"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}
    raise BadRecipe(f"expected recipes in {package / 'recipes'}, found none; install visiontune again")


def headline(path: Path) -> str:
    """The first line of a recipe's docstring."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n", 1)[0]


def write_new(target: Path, text: str) -> None:
    """Writes a file that must not exist yet, so that nobody's edited copy is lost."""
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise BadRecipe(f"{target} exists already; name another file, or remove that one") from None
    except OSError as error:
        raise BadRecipe(
            f"{target}: cannot be written: {error.strerror or os.strerror(error.errno or 0)}"
        ) from error

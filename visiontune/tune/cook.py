"""The command line that every recipe has: DATA --out DIR, with the recipe's docstring as its help."""

from __future__ import annotations

import argparse
import inspect
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from visiontune.runtime.errors import BadRecipe, VisiontuneError
from visiontune.tune.disk import writing
from visiontune.tune.recipe import Recipe, changed
from visiontune.tune.run import Run

Cook = Callable[..., object]


def main(recipe: Recipe, cook: Cook, arguments: list[str] | None = None) -> None:
    """Runs `cook(recipe, data, out, resume)` with what the command line says.

    A user's mistake or a full disk ends in one line and exit code 2, an interrupt in one that says how to continue and 130;
    all by SystemExit. `arguments` are the words of the command line, those of the process if None.
    """
    parser = argparse.ArgumentParser(
        description=inspect.getdoc(sys.modules[cook.__module__]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="fields: " + ", ".join(f"{name}={value!r}" for name, value in shown(recipe).items()),
    )
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="folder of pictures: class folders, manifest.csv, ..."
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the run: model, report, run.json"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        dest="settings",
        help="change a field of the recipe, e.g. --set epochs=3 --set head.smoothing=0.1; may be given again",
    )
    parser.add_argument("--resume", action="store_true", help="continue a run that was cut off")
    parser.add_argument(
        "--learning-curve",
        action="store_true",
        help="also say what twice the pictures may give, class by class",
    )
    given = parser.parse_args(arguments)
    try:
        with writing(given.out):
            run = cook(changed(recipe, given.settings), given.data, given.out, given.resume)
            if given.learning_curve:
                add_learning_curve(run, given.out)
    except VisiontuneError as problem:
        print(f"{Path(sys.argv[0]).name}: {' '.join(str(problem).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"stopped; the same command with --resume continues the run in {given.out}", file=sys.stderr)
        sys.exit(130)
    print(ending(given.out, given.data))


def add_learning_curve(run: object, out: Path) -> None:
    """Prints the learning curve of what `cook` returned and writes run.json and the report anew with it.

    Raises BadRecipe where `cook` returned no run.
    """
    if not isinstance(run, Run):
        raise BadRecipe(
            f"--learning-curve: expected cook to return its run, found {type(run).__name__}; the run in {out} is complete: "
            "end cook with `return run`, then give the same command with --resume"
        )
    run.learning_curve()
    run.report()


def ending(out: Path, data: Path) -> str:
    """What lies in the run's folder now, and what to do with it."""
    made = [name for name in ("model.onnx", "report.html", "run.json") if (out / name).is_file()]
    if "model.onnx" not in made:
        return f"{out}: {', '.join(made)}"
    model, parts = shlex.quote(os.fspath(out / "model.onnx")), shlex.quote(os.fspath(data))
    return f"{out}: {', '.join(made)}\nnext: visiontune measure {model} {parts}"


def shown(recipe: Recipe) -> dict[str, object]:
    """The recipe's plain fields, for the help."""
    return {name: value for name, value in recipe.as_dict().items() if not isinstance(value, dict)}

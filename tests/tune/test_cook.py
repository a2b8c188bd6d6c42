"""The command line of a recipe: what it hands to `cook`, its help, its one-line mistakes, how it ends."""

import json
import sys
from pathlib import Path

import pytest

from visiontune.runtime.errors import BadData
from visiontune.tune import Recipe, finetune, read
from visiontune.tune.cook import main

RECIPE = Recipe(backbone="test_resnet", pretrained=False, size=(64, 64), batch=16)


class Cook:
    """Notes what it was called with; fails or writes a model as told."""

    def __init__(self, problem=None, made=()):
        self.problem, self.made, self.calls = problem, made, []

    def __call__(self, recipe, data, out, resume=False):
        self.calls.append((recipe, data, out, resume))
        if self.problem is not None:
            raise self.problem
        for name in self.made:
            out.mkdir(parents=True, exist_ok=True)
            (out / name).touch()


@pytest.fixture
def cooked_by(monkeypatch):
    """Runs `main` as the recipe my_part.py; gives the exit status, 0 where it just returned."""
    monkeypatch.setattr(sys, "argv", ["somewhere/my_part.py"])

    def run(cook, *words):
        try:
            main(RECIPE, cook, [str(word) for word in words])
        except SystemExit as end:
            return end.code
        return 0

    return run


def test_the_words_reach_cook_with_their_types(cooked_by):
    cook = Cook()
    assert cooked_by(cook, "my parts", "--out", "runs/first") == 0
    assert cook.calls == [(RECIPE, Path("my parts"), Path("runs/first"), False)]


def test_settings_change_the_recipe_in_their_order(cooked_by):
    cook = Cook()
    words = ("--set", "epochs=3", "--set", "head.smoothing=0.1", "--set", "epochs=5", "--resume")
    assert cooked_by(cook, "parts", "--out", "run", *words) == 0
    recipe, _, _, resume = cook.calls[0]
    assert (recipe.epochs, recipe.head.smoothing, resume) == (5, 0.1, True)
    assert RECIPE.epochs is None


def test_a_mistake_is_one_line_that_names_the_recipe(cooked_by, capsys):
    assert (
        cooked_by(Cook(BadData("expected a folder,\n  found [bold]none[/bold] :ok:")), "a", "--out", "b") == 2
    )
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "my_part.py: expected a folder, found [bold]none[/bold] :ok:\n"


def test_a_bad_setting_ends_before_cook(cooked_by, capsys):
    cook = Cook()
    assert cooked_by(cook, "a", "--out", "b", "--set", "epoch=3") == 2
    assert cook.calls == []
    assert "did you mean epochs" in capsys.readouterr().err


def test_an_interrupt_says_how_to_continue(cooked_by, capsys):
    assert cooked_by(Cook(KeyboardInterrupt()), "a", "--out", "runs/first") == 130
    said = capsys.readouterr().err
    assert "--resume" in said and "runs/first" in said and said.count("\n") == 1


def test_a_bug_is_not_dressed_up_as_a_mistake(cooked_by):
    with pytest.raises(ZeroDivisionError):
        cooked_by(Cook(ZeroDivisionError()), "a", "--out", "b")


def test_it_ends_with_what_was_made_and_what_to_do_next(cooked_by, tmp_path, capsys):
    out = tmp_path / "first run"
    assert cooked_by(Cook(made=("run.json", "model.onnx")), "my parts", "--out", out) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{out}: model.onnx, run.json\n")
    assert f"visiontune measure '{out}/model.onnx' 'my parts'" in said


def test_without_a_model_nothing_is_to_be_measured(cooked_by, tmp_path, capsys):
    assert cooked_by(Cook(made=("run.json",)), "parts", "--out", tmp_path / "run") == 0
    assert capsys.readouterr().out == f"{tmp_path / 'run'}: run.json\n"


@pytest.mark.parametrize("words", [[], ["parts"], ["--out", "run"], ["parts", "--out", "run", "--nonsense"]])
def test_wrong_use_ends_with_2(words, cooked_by, capsys):
    cook = Cook()
    assert cooked_by(cook, *words) == 2
    assert cook.calls == [] and "my_part.py" in capsys.readouterr().err


def test_help_is_the_recipes_docstring_and_its_fields(monkeypatch, capsys):
    def cook(recipe, data, out, resume=False):
        raise AssertionError

    monkeypatch.setattr(
        sys.modules[__name__], "__doc__", "Surface of a sheet.\n\nCamera  from above, 100 % sharp."
    )
    with pytest.raises(SystemExit) as end:
        main(RECIPE, cook, ["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "Surface of a sheet.\n\nCamera  from above, 100 % sharp." in text
    assert "backbone='test_resnet'" in text and "epochs=None" in text


def test_a_whole_run_through_the_command_line(cooked_by, parts_folder, tmp_path, capsys):
    def cook(recipe, data, out, resume=False):
        run = finetune(recipe, read(data), out=out, resume=resume)
        run.calibrate(escapes=0.5, overkill=0.5, confidence=0.5)
        run.export()

    out = tmp_path / "run"
    words = [parts_folder, "--out", out, "--set", "epochs=1"]
    assert cooked_by(cook, *words) == 0
    assert json.loads((out / "run.json").read_text())["recipe"]["epochs"] == 1
    capsys.readouterr()
    before = (out / "model.onnx").read_bytes()
    assert cooked_by(cook, *words) == 2
    assert "already holds a run" in capsys.readouterr().err
    assert (out / "model.onnx").read_bytes() == before


def test_the_learning_curve_needs_the_run_and_says_how_to_come_by_it(cooked_by, capsys):
    cook = Cook()
    assert cooked_by(cook, "parts", "--out", "runs/first", "--learning-curve") == 2
    said = capsys.readouterr().err
    assert "return run" in said and "--resume" in said and said.count("\n") == 1


def test_the_learning_curve_is_added_to_run_and_report(cooked_by, parts_folder, tmp_path, capsys):
    def forgetful(recipe, data, out, resume=False):
        run = finetune(recipe, read(data), out=out, resume=resume)
        run.calibrate(escapes=0.5, overkill=0.5, confidence=0.5)
        run.report()
        return None

    def cook(*words):
        made.append(finetune(words[0], read(words[1]), out=words[2], resume=words[3]))
        return made[-1]

    made = []
    out = tmp_path / "run"
    words = [parts_folder, "--out", out, "--set", "epochs=1", "--learning-curve"]
    assert cooked_by(forgetful, *words) == 2
    assert "learning_curve" not in json.loads((out / "run.json").read_text())["metrics"]
    # what the message says to do
    capsys.readouterr()
    assert cooked_by(cook, *words, "--resume") == 0
    stored = json.loads((out / "run.json").read_text())["metrics"]["learning_curve"]
    assert stored["balanced"]["says"] in " ".join(capsys.readouterr().err.split())
    assert stored["balanced"]["says"] in (out / "report.html").read_text("utf-8")
    assert len(made) == 1

"""Every recipe cooks: small, on generated parts, through the command line that users type."""

import csv
import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from visiontune import Inspector
from visiontune.cli import main as visiontune

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.py"))
SMALL = [
    "backbone=test_resnet", "pretrained=False", "size=64", "epochs=2", "batch=8", "unfreeze.at=(1,)",
]  # fmt: skip

TILED = ["tile=(32, 8)", "tiles.per_frame=2"]  # before the size, for a tile must fit into the frame


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path, parts_folder):
    """The generated parts, the good class called what every recipe understands."""
    folder = tmp_path / "parts"
    shutil.copytree(parts_folder, folder)
    rows = list(csv.DictReader((folder / "manifest.csv").open()))
    for row in rows:
        row["label"] = "normal" if row["label"] == "good" else row["label"]
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_cooks_to_a_model_a_report_and_a_run(path, data, tmp_path, capsys):
    recipe = loaded(path)
    out = tmp_path / "run"
    small = SMALL if recipe.recipe.tile is None else [*TILED, *SMALL]
    settings = [word for setting in small for word in ("--set", setting)]
    recipe.main(recipe.recipe, recipe.cook, [str(data), "--out", str(out), *settings, "--learning-curve"])
    assert {"model.onnx", "report.html", "run.json", "checkpoints"} <= {item.name for item in out.iterdir()}
    assert not list(out.glob("**/*.tmp"))
    stored = json.loads((out / "run.json").read_text())
    assert stored["metrics"]["proof"]["flips"] == 0
    assert stored["metrics"]["learning_curve"]["balanced"]["says"] in (out / "report.html").read_text("utf-8")
    verdict = Inspector(out / "model.onnx")(next((data / "images").iterdir()))
    assert verdict.decision in ("pass", "review", "reject")
    capsys.readouterr()
    assert visiontune(["measure", str(out / "model.onnx"), str(data), "--split", "test", "--json"]) == 0
    assert 0 <= json.loads(capsys.readouterr().out)["balanced_accuracy"] <= 1


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_it_is_short_and_says_what_to_expect(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 42
    doc = loaded(path).__doc__
    for heading in ("Camera", "Data", "Expect", "Run"):
        assert f"\n{heading} " in doc
    assert "to be measured" not in doc


def test_help_is_the_docstring_and_names_the_fields():
    shown = subprocess.run(
        [sys.executable, RECIPES[0], "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "Camera" in shown and "--resume" in shown and "epochs=" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "--out", "run"], "nowhere"),
        (["DATA", "--out", "run", "--set", "epoch=2"], "did you mean epochs"),
        (["DATA", "--out", "run", "--set", "backbone=resnet19"], "did you mean resnet18"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2_and_leaves_nothing(
    arguments, said, data, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    recipe = loaded(RECIPES[0])
    with pytest.raises(SystemExit) as end:
        recipe.main(recipe.recipe, recipe.cook, [str(data) if word == "DATA" else word for word in arguments])
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert said in error and len(error.splitlines()) == 1 and "Traceback" not in error
    assert not (tmp_path / "run").exists()


def break_picture(folder):
    victim = next((folder / "images").iterdir())
    victim.write_bytes(victim.read_bytes()[:200])
    return victim.name


def test_a_truncated_picture_is_named_and_stops_the_run(data, tmp_path, capsys):
    name = break_picture(data)
    recipe = loaded(RECIPES[0])
    settings = [word for setting in SMALL for word in ("--set", setting)]
    with pytest.raises(SystemExit) as end:
        recipe.main(recipe.recipe, recipe.cook, [str(data), "--out", str(tmp_path / "run"), *settings])
    assert end.value.code == 2
    assert name in capsys.readouterr().err
    assert not (tmp_path / "run" / "model.onnx").exists()

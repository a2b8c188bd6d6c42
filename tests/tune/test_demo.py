"""The demo, shrunk: it says every step, leaves a model that judges, and can be run again."""

import importlib
import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from visiontune import BadData, Inspector

demo = importlib.import_module("visiontune.tune.demo")  # the module; the name in it is the verb


@pytest.fixture(scope="module")
def small():
    """The demo with 40 parts of 64 px and 2 epochs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo, "PARTS", 40)
        patch.setattr(demo, "PIXELS", 64)
        patch.setattr(demo, "RECIPE", replace(demo.RECIPE, size=(64, 64), epochs=2, batch=8))
        patch.setattr(demo, "GOOD_ONLY", replace(demo.GOOD_ONLY, size=(64, 64)))
        yield demo


@pytest.fixture(scope="module")
def shown(small, tmp_path_factory):
    """What a first run said, and where it worked."""
    out = tmp_path_factory.mktemp("demo") / "my demo"
    console = Console(file=io.StringIO(), width=80)
    model = small.demo(out, console=console)
    return model, console.file.getvalue(), out


def test_it_says_every_step(shown):
    _, said, _ = shown
    steps = [line for line in said.splitlines() if line[:2] in ("1 ", "2 ", "3 ", "4 ", "5 ")]
    assert [line.split()[1] for line in steps] == ["Paint", "Fine-tune", "Calibrate", "Export", "Judge"]
    assert "has seen painted pictures only" in " ".join(said.split())


def test_it_ends_with_verdicts_the_paths_and_how_to_embed(shown):
    model, said, out = shown
    assert "Verdicts on parts of the test share" in said
    assert any(word in said for word in ("pass", "review", "reject"))
    for path in (model, out / "run" / "report.html", out / "run" / "run.json"):
        assert path.is_file() and str(path) in said
    code = [line[4:] for line in said.splitlines() if line.startswith("    ")]
    code = "\n".join(line for line in code if line.startswith(("from ", "inspector ", "verdict ")))
    space = {}
    frame = next((out / "parts" / "images").iterdir())
    exec(code.replace('"frame.png"', repr(str(frame))), space)
    assert space["verdict"].decision in ("pass", "review", "reject")


def test_the_lines_of_the_measurement_are_not_broken(shown):
    _, said, _ = shown
    escapes = next(line for line in said.splitlines() if line.startswith("escapes"))
    assert escapes.endswith("one-sided")


def test_the_file_was_proved_on_val(shown):
    model, _, out = shown
    stored = json.loads((out / "run" / "run.json").read_text())
    assert stored["metrics"]["proof"]["flips"] == 0
    assert stored["metrics"]["proof"]["frames"] == len(stored["splits"]["val"])
    assert Inspector(model).card.good == "good"


def test_run_again_it_paints_and_trains_nothing_anew(small, shown, monkeypatch):
    model, _, out = shown
    before, history = Inspector(model), json.loads((out / "run" / "run.json").read_text())["history"]
    monkeypatch.setattr("visiontune.data.painter.folder.paint_part", None)
    assert small.demo(out, console=Console(file=io.StringIO(), width=80)) == model
    assert json.loads((out / "run" / "run.json").read_text())["history"] == history
    frame = next((out / "parts" / "images").iterdir())
    assert Inspector(model)(frame) == before(frame)


def test_other_parts_in_the_folder_are_left_alone(small, tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "mine.txt").write_text("mine")
    with pytest.raises(BadData, match="expected an empty folder"):
        small.demo(tmp_path, console=Console(file=io.StringIO()))
    assert [path.name for path in tmp_path.rglob("*")] == ["parts", "mine.txt"]


def test_the_command_passes_its_folder_on(monkeypatch, tmp_path):
    from visiontune.cli import main

    asked = []
    monkeypatch.setattr(demo, "demo", lambda out, good_only: asked.append((out, good_only)))
    assert main(["demo", "--out", str(tmp_path / "here")]) == 0
    assert main(["demo", "--good-only", "--out", str(tmp_path / "here")]) == 0
    assert asked == [(tmp_path / "here", False), (tmp_path / "here", True)]


def test_from_good_parts_alone_it_says_what_is_certified_and_what_is_not_known(small, shown):
    """In the folder of the other demo, with its parts."""
    _, _, out = shown
    console = Console(file=io.StringIO(), width=200)
    model = small.demo(out, good_only=True, console=console)
    said = console.file.getvalue()
    steps = [line.split()[1] for line in said.splitlines() if line[:2] in ("1 ", "2 ", "3 ", "4 ", "5 ")]
    assert steps == ["Paint", "Remember", "Calibrate", "Export", "Judge"]
    assert "escapes: unknown" in said and "planted defects, an estimate" in said
    assert "visiontune copy good_parts_only" in said
    card = Inspector(model).card
    assert card.task == "anomaly" and card.bands.evidence["overkill"]["parts"] > 0
    counts = card.data["counts"]
    assert not counts["train"]["defective"] and not counts["val"]["defective"] and counts["test"]["defective"]

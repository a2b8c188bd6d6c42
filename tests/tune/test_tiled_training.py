"""A run on tiles of large frames: cached or not the same bits, learned from both heads, one file that judges frames."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from tests.edited_parts import edited
from visiontune import Inspector
from visiontune.cli import main
from visiontune.heads import Segment
from visiontune.runtime.errors import BadData, ExportRefused, PrecisionRefused
from visiontune.tune import Tiles, Unfreeze, finetune, read


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    return replace(
        tiny_recipe,
        head=Segment(width=8),
        unfreeze=Unfreeze(at=(1,)),
        size=(64, 96),
        tile=(32, 8),
        tiles=Tiles(per_frame=3, around=0.5),
        epochs=2,
        views=2,
        lr=2e-3,
    )


def tuned(recipe, data, out, **options):
    said = io.StringIO()
    data = data if not hasattr(data, "joinpath") else read(data)
    run = finetune(recipe, data, out=out, console=Console(file=said, width=200), **options)
    return run, said.getvalue()


@pytest.fixture(scope="module")
def cached(recipe, parts_folder, tmp_path_factory):
    return tuned(recipe, parts_folder, tmp_path_factory.mktemp("cached"))


def test_the_cache_of_tiles_changes_no_bit(cached, recipe, parts_folder, tmp_path):
    run, said = cached
    assert "closed stages are computed once" in said and "tiles of train" in said and "tiles of val" in said
    plain, said = tuned(replace(recipe, cache_gb=0), parts_folder, tmp_path / "plain")
    assert "computed once" not in said
    differ = [
        n for n, value in plain.net.state_dict().items() if not torch.equal(value, run.net.state_dict()[n])
    ]
    assert differ in ([], ["head.temperature"])
    assert [e.val_loss for e in plain.history] == [e.val_loss for e in run.history]


@pytest.fixture(scope="module")
def exported(cached):
    run, _ = cached
    run.calibrate(escapes=0.2, overkill=0.2, confidence=0.8)
    run.export()
    return run


def test_the_file_judges_frames_as_the_network_does(exported):
    """The file has proved it on val; here on test, with its map."""
    run = exported
    inspector, judged = Inspector(run.model), run.judge("test")
    frames = run.pictures("test")
    assert len(judged.severity) == len(run.data.share("test"))
    for index, sample in enumerate(run.data.share("test")):
        verdict = inspector(sample.path)
        with torch.inference_mode():
            heatmap = run.net.answers(torch.from_numpy(frames[index : index + 1]))["heatmap"][0].numpy()
        assert verdict.heatmap.shape == (16, 24)
        assert np.abs(verdict.heatmap - heatmap).max() < 1e-3
        assert verdict.severity == pytest.approx(float(judged.severity[index]), abs=1e-4)
        assert verdict.decision == run.bands.decide(float(judged.severity[index]))
    assert inspector.card.recipe["tile"] == [32, 8] and inspector.card.recipe["tiles"]["per_frame"] == 3


def test_the_commands_take_it_as_any_other(exported, capsys):
    data, model = str(exported.data.root), str(exported.model)
    assert main(["verify", model, "--data", data]) == 0
    assert main(["doctor", model, "--engine", "cpu"]) == 0
    assert main(["measure", model, data, "--split", "test"]) == 0
    assert main(["card", model, "--set-bands", "0.3", "0.9", "--note", "tried"]) == 0
    bands = Inspector(model).card.bands
    assert (bands.review_from, bands.reject_from) == (0.3, 0.9)
    capsys.readouterr()


def test_what_tiles_do_not_ship_in(exported, tmp_path):
    with pytest.raises(ExportRefused, match="leave core out"):
        exported.export(tmp_path / "model.onnx", core=True)
    with pytest.raises(PrecisionRefused, match="one of tiles"):
        exported.export(precision="fp16")
    assert list(tmp_path.iterdir()) == []


def test_frames_without_masks_are_left_out_by_number(recipe, parts_folder, tmp_path):
    def change(row):
        if row["exposure"] == "1":
            row["mask"] = ""

    short = replace(recipe, epochs=1, unfreeze=Unfreeze.never())
    run, said = tuned(short, edited(parts_folder, tmp_path / "parts", change), tmp_path / "run")
    assert "defective frames of train give no tiles: no mask says where" in said
    assert np.isfinite(run.history[-1].val_loss)


def test_no_mask_at_all_is_refused(tiny_recipe, parts_folder, tmp_path):
    def change(row):
        row["mask"] = ""

    recipe = replace(tiny_recipe, size=(64, 96), tile=(32, 8))
    with pytest.raises(
        BadData, match=r"expected masks that outline defects in train, for tiles .* leave tile out"
    ):
        tuned(recipe, edited(parts_folder, tmp_path / "parts", change), tmp_path / "run")


def test_a_sorter_has_no_tiles(recipe, parts_folder, tmp_path):
    data = replace(read(parts_folder), good=None)
    with pytest.raises(BadData, match=r"expected a class of good parts.*leave tile out"):
        tuned(recipe, data, tmp_path / "run")

"""A run that learns from masks: cached or not the same bits, one file that says where, and the odd data sets."""

import copy
import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from tests.edited_parts import edited
from visiontune import Inspector
from visiontune.data.fit import Fit
from visiontune.data.frames import Reader
from visiontune.data.masks import load_masks
from visiontune.heads import Segment
from visiontune.runtime.errors import BadData, BadRecipe, CalibrationRefused, ExportRefused
from visiontune.tune import Unfreeze, finetune, policies, read
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.prove_heatmap import prove_heatmap


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    return replace(tiny_recipe, head=Segment(width=16), unfreeze=Unfreeze(at=(1, 2)), epochs=4, views=2)


def tuned(recipe, folder, out, **options):
    said = io.StringIO()
    run = finetune(recipe, read(folder), out=out, console=Console(file=said, width=200), **options)
    return run, said.getvalue()


@pytest.fixture(scope="module")
def cached(recipe, parts_folder, tmp_path_factory):
    run, said = tuned(recipe, parts_folder, tmp_path_factory.mktemp("cached"))
    run.calibrate(escapes=0.2, overkill=0.2, confidence=0.8)
    run.export()
    return run, said


def same(here, there):
    return [name for name, value in here.items() if not torch.equal(value, there[name])]


def test_the_cache_of_maps_changes_no_bit(cached, recipe, parts_folder, tmp_path):
    run, said = cached
    assert "closed stages are computed once" in said and "not cached" not in said and "half" not in said
    plain, said = tuned(replace(recipe, cache_gb=0), parts_folder, tmp_path / "plain")
    assert "computed once" not in said
    head = {name: value for name, value in plain.net.state_dict().items() if "temperature" not in name}
    assert same(head, run.net.state_dict()) == []
    assert [e.val_loss for e in plain.history] == [e.val_loss for e in run.history]


def test_half_precision_stays_near(cached, recipe, parts_folder, tmp_path):
    run, _ = cached
    half, said = tuned(replace(recipe, cache_gb=0.007), parts_folder, tmp_path / "half")
    assert "half precision" in said
    for here, there in zip(half.history, run.history, strict=True):
        assert here.val_loss == pytest.approx(there.val_loss, rel=5e-3)


def test_a_run_that_was_cut_off_ends_in_the_same_bits(cached, recipe, parts_folder, tmp_path):
    from lightning import Callback

    run, _ = cached

    class Off(Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuned(recipe, parts_folder, tmp_path / "off", callbacks=[Off()])
    for file in (tmp_path / "off/cache").glob("*.masks.npy"):
        file.unlink()  # a kill between tensors and masks
        break
    again, _ = tuned(recipe, parts_folder, tmp_path / "off", resume=True)
    weights = {name: value for name, value in again.net.state_dict().items() if "temperature" not in name}
    assert same(weights, run.net.state_dict()) == []


def test_training_heats_the_defects(recipe, parts_folder, tmp_path):
    """Six parts with defects of a few pixels: enough to see that the map learns from its masks."""
    long = replace(recipe, epochs=30, unfreeze=Unfreeze.all(), lr=1e-2, policy=policies.fixed_part())
    run, _ = tuned(long, parts_folder, tmp_path / "run")
    share = run.data.share("train")
    masks, frames = load_masks(share, (64, 64)), run.pictures("train")
    with torch.inference_mode():
        heat = run.net.head.answer(run.net(torch.from_numpy(frames[:])))["heatmap"].numpy()
    marked = masks.reshape(len(masks), 16, 4, 16, 4).max(axis=(2, 4)) == 1
    assert heat[marked].mean() > 1.5 * heat[~marked].mean()


def test_the_file_says_where_as_torch_does(cached):
    run, _ = cached
    inspector = Inspector(run.model)
    judged = run.judge("test")
    fit = Reader(Fit(run.recipe.size))
    for sample, severity in zip(run.data.share("test"), judged.severity, strict=True):
        verdict = inspector(sample.path)
        with torch.inference_mode():
            answer = run.net.head.answer(run.net(torch.from_numpy(fit(sample.path)[None])))
        assert verdict.heatmap.shape == (16, 16) and verdict.heatmap.dtype == np.float32
        assert np.abs(verdict.heatmap - answer["heatmap"][0].numpy()).max() < 1e-3
        assert verdict.severity == pytest.approx(float(severity), abs=1e-4)
        assert verdict.decision == run.bands.decide(float(severity))
    assert inspector.card.task == "segment"


def test_labels_without_masks_take_part(recipe, parts_folder, tmp_path):
    def change(row):
        if row["exposure"] == "1":
            row["mask"] = ""

    folder = edited(parts_folder, tmp_path / "parts", change)
    run, _ = tuned(replace(recipe, epochs=1, unfreeze=Unfreeze.never()), folder, tmp_path / "run")
    assert np.isfinite(run.history[-1].val_loss)


def test_no_mask_at_all_is_refused(recipe, parts_folder, tmp_path):
    def change(row):
        row["mask"] = ""

    with pytest.raises(BadData, match=r"expected masks that outline defects in train, found none.*Classify"):
        tuned(recipe, edited(parts_folder, tmp_path / "parts", change), tmp_path / "run")


def test_no_defect_in_val_trains_and_then_certifies_nothing(recipe, parts_folder, tmp_path):
    data = read(parts_folder)
    parts = sorted({sample.group for sample in data if sample.label == data.good})

    def split(sample):
        if sample.label != data.good:
            return "test" if int(sample.group[-1]) % 4 == 0 else "train"
        return ("train", "val", "test")[parts.index(sample.group) % 3]

    samples = tuple(replace(sample, split=split(sample)) for sample in data)
    run = finetune(
        replace(recipe, epochs=1, unfreeze=Unfreeze.never()),
        replace(data, samples=samples),
        out=tmp_path / "run",
        console=Console(file=io.StringIO()),
    )
    assert np.isfinite(run.history[-1].val_loss)
    with pytest.raises(CalibrationRefused, match="no defective part"):
        run.calibrate()


def test_a_frame_that_is_all_defect(recipe, parts_folder, tmp_path):
    folder = tmp_path / "parts"
    shutil.copytree(parts_folder, folder)
    for mask in (folder / "masks").iterdir():
        Image.fromarray(np.full((64, 64), 255, np.uint8)).save(mask)
    run, _ = tuned(replace(recipe, epochs=1, unfreeze=Unfreeze.never()), folder, tmp_path / "run")
    assert np.isfinite(run.history[-1].train_loss)


def test_an_export_whose_heatmap_differs_is_refused(cached):
    """The file of this network, proved against one whose decoder was changed by a little."""
    run, _ = cached
    model = run.model.read_bytes()
    card = Inspector(run.model).card
    val = run.data.share("val")
    assert prove_heatmap(model, run.net, card, card.golden, val) < 1e-4
    other = copy.deepcopy(run.net)
    other.head.cells.bias.data += 0.1
    with pytest.raises(ExportRefused, match="does not say where as the validated network does"):
        prove_heatmap(model, other, card, card.golden, val)


def test_a_file_without_a_heatmap_needs_no_such_proof(cooked):
    run, net = cooked, copy.deepcopy(cooked.net)
    net.cells = None
    card = Inspector(run.model).card
    model = line_model(core_model(net, run.recipe.size), net, run.bands, roi=None).SerializeToString()
    assert prove_heatmap(model, net, card, card.golden, run.data.share("val")) is None


def test_compilation_is_refused_before_anything_is_written(recipe, parts_folder, tmp_path):
    with pytest.raises(BadRecipe, match="leave compile out"):
        tuned(recipe, parts_folder, tmp_path / "run", compile=True)
    assert not (tmp_path / "run").exists()

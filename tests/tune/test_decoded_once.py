"""A run decodes each picture once, leaves no store behind unless asked to, and ships the window it was trained with."""

from dataclasses import replace

import lightning
import numpy as np
import pytest
import torch
from PIL import Image

from visiontune import Inspector
from visiontune.data import frames as making
from visiontune.data.read import read
from visiontune.runtime.frame import decode
from visiontune.tune import finetune


@pytest.fixture
def decodes(monkeypatch):
    """The paths that the lab decoded."""
    paths = []

    def counted(path, **options):
        paths.append(path)
        return decode(path, **options)

    monkeypatch.setattr(making, "decode", counted)
    return paths


@pytest.fixture(scope="module")
def short(tiny_recipe):
    return replace(tiny_recipe, epochs=2)


@pytest.fixture(scope="module")
def first(tmp_path_factory, parts_folder, short):
    """A run that keeps its store."""
    import io

    from rich.console import Console

    root = tmp_path_factory.mktemp("kept")
    console = Console(file=io.StringIO(), width=200)
    return finetune(short, read(parts_folder), out=root / "first", store=root / "store", console=console)


def test_the_runs_own_store_goes_with_the_training(cooked):
    assert not (cooked.out / "store").exists()
    assert len(cooked.logits("val")) == len(cooked.data.share("val"))


def test_what_it_will_take_is_said(first):
    said = " ".join(first.console.file.getvalue().split())
    assert f"take at most 0.5 MB in {first.store}, which may take" in said, said
    assert "not kept" not in said


def test_another_run_on_the_same_pictures_decodes_none(
    first, tmp_path, parts_folder, short, console, decodes
):
    finetune(
        replace(short, seed=1), read(parts_folder), out=tmp_path / "run", store=first.store, console=console
    )
    assert decodes == []
    assert first.store.is_dir() and not (tmp_path / "run/store").exists()


def test_no_result_depends_on_the_store(first, tmp_path, parts_folder, short, console, decodes):
    none = finetune(replace(short, store_gb=0), read(parts_folder), out=tmp_path / "run", console=console)
    assert len(decodes) > 2 * len(none.data.share("train"))
    for name, value in first.net.state_dict().items():
        assert torch.equal(none.net.state_dict()[name], value), name
    assert np.array_equal(none.logits("test"), first.logits("test"))


def test_a_run_taken_up_again_decodes_none(tmp_path, parts_folder, short, console, decodes):
    class Cut(Exception):
        pass

    class Scissors(lightning.Callback):
        def on_train_epoch_start(self, trainer, module):
            if module.current_epoch == 1:
                raise Cut

    folder = tmp_path / "run"
    with pytest.raises(Cut):
        finetune(short, read(parts_folder), out=folder, console=console, callbacks=[Scissors()])
    assert decodes and (folder / "store").is_dir()
    decodes.clear()
    finetune(replace(short, store_gb=1), read(parts_folder), out=folder, resume=True, console=console)
    assert decodes == []
    assert not (folder / "store").exists()


def test_sixteen_bits_from_file_to_verdict(tmp_path, short, console):
    """A camera of 12 bits: the card keeps the window, and file and array are judged as in the lab."""
    random = np.random.default_rng(0)
    for i in range(24):
        label = "crack" if i % 2 else "good"
        deep = random.integers(1000, 1400, (64, 64), np.uint16)
        if label == "crack":
            deep[20:40] += 1500
        path = tmp_path / "parts" / label / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(deep).save(path)
    run = finetune(
        replace(short, window=(0, 4095)), read(tmp_path / "parts"), out=tmp_path / "run", console=console
    )
    run.calibrate(escapes=0.5, overkill=0.5, confidence=0.5)
    model = run.export()  # proves every val picture from its file
    inspector = Inspector(model)
    assert inspector.card.input.window == (0, 4095)
    assert inspector.card.recipe["window"] == [0, 4095]
    judged = run.judge("test")
    for sample, severity in zip(run.data.share("test"), judged.severity, strict=True):
        array = np.asarray(Image.open(sample.path)).astype(np.uint16)
        for source in (sample.path, sample.path.read_bytes(), array):
            assert inspector(source).severity == pytest.approx(float(severity), abs=1e-5)
        assert inspector(decode(array)).severity != inspector(array).severity  # through another window

"""A run of good parts alone: one fit, one file, bands without a defect; and what is told where there are some."""

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from tests.good_alone import good_alone
from visiontune import Inspector
from visiontune.cli import main as visiontune
from visiontune.data.one_defect import one_defect
from visiontune.data.trainable import check_trainable
from visiontune.runtime.errors import BadData, BadRecipe
from visiontune.runtime.roc import auroc
from visiontune.tune import Anomaly, finetune, policies, read, split

TARGET = {"escapes": 0.2, "overkill": 0.2, "confidence": 0.8}


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    return replace(tiny_recipe, head=Anomaly(memory=200), policy=policies.none(), size=(96, 96))


def tuned(recipe, data, out):
    said = io.StringIO()
    return finetune(recipe, data, out=out, console=Console(file=said, width=200)), said


@pytest.fixture(scope="module")
def unseen(recipe, alike_folder, tmp_path_factory):
    """A run that has seen no defect in train and val."""
    run, _ = tuned(recipe, good_alone(read(alike_folder), {"test"}), tmp_path_factory.mktemp("unseen"))
    run.calibrate(**TARGET)
    run.export()
    run.report()
    return run


def test_it_ranks_parts_with_defects_it_has_never_seen(unseen):
    """A dark spot on the metal of good parts: painted defects are too fine for a backbone that has learned nothing."""
    labels = unseen.judge("test").labels
    good = unseen.pictures("test")[labels == 0]
    spotted = good.copy()
    spotted[:, 43:53, 17:27] = 0
    with torch.inference_mode():
        found = [unseen.net.head.answer(unseen.net(torch.from_numpy(some))) for some in (good, spotted)]
    severity = np.concatenate([one["severity"].numpy() for one in found]).astype(float)
    assert len(good) > 5 and auroc(severity, np.arange(len(severity)) >= len(good)) > 0.75


def test_the_file_judges_and_shows_where_as_torch_does(unseen):
    inspector, judged = Inspector(unseen.model), unseen.judge("test")
    assert unseen.metrics["proof"]["flips"] == 0 and inspector.card.task == "anomaly"
    frames = unseen.pictures("test")
    for row, (sample, severity) in enumerate(zip(unseen.data.share("test"), judged.severity, strict=True)):
        verdict = inspector(sample.path)
        with torch.inference_mode():
            answer = unseen.net.head.answer(unseen.net(torch.from_numpy(frames[row : row + 1])))
        assert verdict.severity == pytest.approx(float(severity), abs=1e-4)
        assert verdict.decision == unseen.bands.decide(float(severity))
        assert np.abs(verdict.heatmap - answer["heatmap"][0].numpy()).max() < 1e-3


def test_scores_are_never_clamped(unseen):
    severity = unseen.judge("test").severity
    assert len(np.unique(severity)) == len(severity) and severity.min() > 0 and severity.max() < 1


def test_without_a_defect_escapes_are_unknown_and_nothing_else(unseen):
    evidence = unseen.bands.evidence
    assert evidence["escapes"] == "unknown: val holds no defective part"
    assert evidence["overkill"]["certified"] <= 0.2 or evidence["overkill"]["missing_parts"] > 0
    assert 0 < unseen.bands.review_from <= unseen.bands.reject_from
    page = (unseen.out / "report.html").read_text("utf-8")
    assert "Escapes unknown" in page and "is not known: val holds none" in page
    assert unseen.data.classes[1] == "defective" and unseen.data.counts()["val"]["defective"] == 0


def test_the_same_again_gives_the_same_bits(unseen, recipe, alike_folder, tmp_path):
    again, _ = tuned(recipe, good_alone(read(alike_folder), {"test"}), tmp_path)
    again.calibrate(**TARGET)
    state = again.net.state_dict()
    kept = {name: value for name, value in unseen.net.state_dict().items() if "head" in name}
    assert [name for name, value in kept.items() if not torch.equal(value, state[name])] == []


def test_with_defects_in_val_escapes_are_certified(recipe, alike_folder, tmp_path):
    run, _ = tuned(recipe, read(alike_folder), tmp_path)
    bands = run.calibrate(**TARGET)
    assert bands.evidence["escapes"]["parts"] > 0
    kept = {sample.attributes["defect"] for sample in run.data if sample.label == "defective"}
    assert kept == set(read(alike_folder).classes) - {"good"} and len(kept) > 1


def test_a_folder_of_good_parts_alone(recipe, alike_folder, tmp_path):
    good = tmp_path / "parts" / "good"
    good.mkdir(parents=True)
    for sample in read(alike_folder):
        if sample.label == "good":
            shutil.copy(sample.path, good / sample.path.name)
    run, _ = tuned(recipe, read(good.parent), tmp_path / "run")
    run.calibrate(**TARGET)
    assert Inspector(run.export()).card.classes == ("good", "defective")


def test_the_layout_of_mvtec_with_kinds_that_train_never_shows(recipe, alike_folder, tmp_path, capsys):
    root = tmp_path / "parts"
    for number, sample in enumerate(read(alike_folder)):
        good = sample.label == "good"
        share = "train" if good and int(sample.group[-1]) % 3 else "test"
        target = root / share / sample.label / f"{number:03}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sample.path, target)
        if not good:
            truth = root / "ground_truth" / sample.label / f"{number:03}_mask.png"
            truth.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sample.mask, truth)
    run, _ = tuned(recipe, read(root), tmp_path / "run")
    assert run.data.counts()["val"]["defective"] == 0
    model = run.export()
    assert visiontune(["measure", str(model), str(root), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["data"]["same"] and told["data"]["share"] == "test"
    assert told["auroc"] > 0.5


def test_no_good_class_is_refused(recipe, alike_folder, tmp_path):
    with pytest.raises(BadData, match="expected a good class"):
        tuned(recipe, read(alike_folder, good=None), tmp_path)
    with pytest.raises(BadData, match="expected a good class"):
        one_defect(read(alike_folder, good=None))
    data = one_defect(read(alike_folder))
    assert one_defect(data) is data
    check_trainable(split(data), one_class=True)


@pytest.mark.parametrize("wrong", [{"memory": 0}, {"memory": 2.0}, {"width": 2}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(BadRecipe, match=f"Anomaly.{next(iter(wrong))}"):
        Anomaly(**wrong)

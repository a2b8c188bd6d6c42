"""A run of the trained anomaly head: from good parts alone, with some masks and labels, its file, and the memory beside it."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from rich.console import Console

from tests.good_alone import good_alone
from visiontune import Bands, Inspector
from visiontune.data.masks import DEFECT, PLANTED, UNKNOWN, load_masks
from visiontune.runtime.errors import BadRecipe
from visiontune.runtime.roc import auroc
from visiontune.tune import (
    STARTER,
    Anomaly,
    Classify,
    Segment,
    TrainedAnomaly,
    Unfreeze,
    finetune,
    policies,
    read,
    split,
)
from visiontune.tune.beside_memory import beside, lowest_gain
from visiontune.tune.feeds import Share
from visiontune.tune.good_shares import MOST, often, with_planted
from visiontune.tune.planted_escapes import with_estimate
from visiontune.tune.promise import ESTIMATE
from visiontune.tune.verdicts import in_sentences
from visiontune.tune.weigh import WEIGHTS

TARGET = {"escapes": 0.2, "overkill": 0.2, "confidence": 0.8}


@pytest.fixture(scope="module")
def parts(alike_folder):
    return split(read(alike_folder))


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    return replace(
        tiny_recipe,
        backbone=STARTER,  # features of random weights hardly tell a defect, planted or real
        pretrained=True,
        head=TrainedAnomaly(memory=100, hidden=8),
        policy=policies.planted(policies.fixed_part()),
        unfreeze=Unfreeze.never(),
        size=(96, 96),
        epochs=2,
        views=2,
    )


def tuned(recipe, data, out, **options):
    said = io.StringIO()
    return finetune(recipe, data, out=out, console=Console(file=said, width=300), **options), said.getvalue()


def share_of(data, name):
    part = data.share(name)
    frames = np.random.default_rng(0).integers(90, 110, (len(part), 48, 48, 1), np.uint8).repeat(3, axis=3)
    return Share(data=part, frames=frames, masks=load_masks(part, (48, 48)))


@pytest.fixture(scope="module")
def alone(recipe, parts, tmp_path_factory):
    """A run that has seen no defect in train and val, and what it said."""
    run, said = tuned(recipe, good_alone(parts, {"test"}), tmp_path_factory.mktemp("alone"))
    run.calibrate(**TARGET)
    run.export()
    return run, said


def test_from_good_parts_alone_it_ranks_defects_that_it_has_never_seen(alone):
    run, _ = alone
    judged = run.judge("test")
    assert auroc(judged.severity.astype(float), judged.labels != 0) > 0.6
    assert run.net.head.taught is None
    assert run.bands.evidence["escapes"].startswith("unknown")
    assert float(run.net.head.weight) == 1
    assert len(np.unique(judged.severity)) == len(judged.severity)


def test_where_escapes_are_unknown_planted_defects_estimate_them_and_promise_nothing(alone):
    run, _ = alone
    evidence = Inspector(run.model).card.bands.evidence
    found = evidence[ESTIMATE]
    assert 0 <= found["passed"] <= found["pictures"] and found["pictures"] > 3 and len(found) == 2
    assert isinstance(evidence["escapes"], str)
    said = f"{found['passed']} of {found['pictures']} pass; real ones may do otherwise"
    assert said in "\n".join(in_sentences(run.bands))
    page = " ".join(run.report().read_text("utf-8").split())
    assert f"An estimate, no promise: of {found['pictures']} defects planted on good parts of val" in page
    never = Bands(review_from=2.0, reject_from=2.0, evidence=evidence)
    assert with_estimate(run, never).evidence[ESTIMATE]["passed"] == found["pictures"]
    by_hand = Bands(review_from=0.5, reject_from=0.5)
    assert with_estimate(run, by_hand) is by_hand


def test_it_is_judged_beside_its_memory_on_planted_defects(alone):
    run, said = alone
    found = run.metrics["beside_memory"]
    assert found["on"] == "planted defects in val" and found["defective"] > 0.8 * found["good"]
    assert 0.5 < found["memory"] <= 1 and found["gain"] == pytest.approx(found["trained"] - found["memory"])
    assert "of the memory alone" in said
    assert ("not better" in said) == (not found["better"])
    assert json.loads((run.out / "run.json").read_text())["metrics"]["beside_memory"] == found


def test_the_memory_beside_it_is_the_baseline(alone, recipe, parts, tmp_path):
    run, _ = alone
    plain = replace(recipe, head=Anomaly(memory=100), policy=policies.none())
    baseline, _ = tuned(plain, good_alone(parts, {"test"}), tmp_path)
    frames = torch.from_numpy(np.asarray(run.pictures("test")))
    with torch.inference_mode():
        features = run.net.features(run.net.normalised(frames))
        assert torch.allclose(run.net.head.memory(features)[0], baseline.net(frames)[0], rtol=1e-5)


def test_the_file_judges_and_shows_where_as_torch_does(alone):
    run, _ = alone
    inspector, judged = Inspector(run.model), run.judge("test")
    assert run.metrics["proof"]["flips"] == 0 and inspector.card.task == "anomaly"
    frames = run.pictures("test")
    for row, (sample, severity) in enumerate(zip(run.data.share("test"), judged.severity, strict=True)):
        verdict = inspector(sample.path)
        with torch.inference_mode():
            answer = run.net.head.answer(run.net(torch.from_numpy(frames[row : row + 1])))
        assert verdict.severity == pytest.approx(float(severity), abs=1e-4)
        assert np.abs(verdict.heatmap - answer["heatmap"][0].numpy()).max() < 2e-3


def test_masks_and_labels_and_an_open_stage_in_one_run(recipe, parts, tmp_path):
    """Half of the defects have a mask, half a label alone. The top stage opens; a cut-off run goes on to the same bits."""
    few = tuple(
        replace(one, mask=None) if one.label != parts.good and at % 2 else one for at, one in enumerate(parts)
    )
    data = replace(parts, samples=few)
    opening = replace(recipe, unfreeze=Unfreeze(at=(1,)), epochs=2)
    run, said = tuned(opening, data, tmp_path / "whole")
    assert float(run.net.head.taught.bound) > 1 and run.phases[-1].open == 1
    judged, tried = run.judge("val"), []
    for weight in WEIGHTS:
        with torch.inference_mode():
            features = run.net.features(run.net.normalised(torch.from_numpy(np.asarray(run.pictures("val")))))
            found = run.net.head.weighed(features, (weight,))[:, 0].double().numpy()
        tried.append(auroc(found, judged.labels != 0))
    assert float(run.net.head.weight) == WEIGHTS[int(np.argmax(tried))] and "counts by" in said
    assert run.metrics["beside_memory"]["on"] == "defects of val" and "defects of val" in said
    assert "The trained head beside the memory it stands on" in run.report().read_text("utf-8")
    assert run.calibrate(**TARGET).evidence["escapes"]["parts"] > 0

    class Stopped(Exception):
        pass

    import lightning

    class Stop(lightning.Callback):
        def on_train_epoch_start(self, trainer, module):
            if trainer.current_epoch == 1:
                raise Stopped

    with pytest.raises(Stopped):
        tuned(opening, data, tmp_path / "cut", callbacks=[Stop()])
    again, _ = tuned(opening, data, tmp_path / "cut", resume=True)
    state = again.net.state_dict()
    differing = [n for n, value in run.net.state_dict().items() if not torch.equal(value, state[n])]
    assert [name for name in differing if "slope" not in name and "shift" not in name] == []


def test_policies_that_plant_are_for_this_head(recipe):
    for head in (Classify(), Segment(), Anomaly()):
        with pytest.raises(BadRecipe, match="must plant no defects"):
            replace(recipe, head=head)


def test_few_defects_are_shown_often_and_each_time_by_another_name(parts):
    data = parts.share("train")
    bad = [one for one in data if one.label != parts.good][:2]
    few = replace(data, samples=(*(one for one in data if one.label == parts.good), *bad))
    train = share_of(few, "train")
    shown = often(train)
    assert (
        len(shown.data) == len(shown.frames) == len(shown.masks) == len(few) + 5 * 2
    )  # a fifth of 46 good ones
    ids = [one.id for one in shown.data]
    assert len(set(ids)) == len(ids)
    for row, one in enumerate(shown.data):
        source = next(at for at, known in enumerate(few) if known.id == one.id.partition("#")[0])
        assert (shown.frames[row] == train.frames[source]).all()
        assert (shown.masks[row] == train.masks[source]).all()
    assert (np.asarray(shown.frames[3:6]) == train.frames[3:6]).all()
    assert (
        often(share_of(good_alone(parts), "train")).data.samples == good_alone(parts).share("train").samples
    )


def test_val_gets_planted_defects_only_where_it_has_none_and_the_same_for_one_seed(parts):
    policy = policies.planted(policies.flat_sheet(), share=0.1, strength=(0.3, 0.5))
    given = share_of(parts, "val")
    assert with_planted(given, policy, seed=0) is given
    val = share_of(good_alone(parts), "val")
    one, again, other = (with_planted(val, policy, seed=seed) for seed in (0, 0, 1))
    n = len(val.data)
    assert len(one.data) > 1.8 * n and len(one.data) <= n + MOST
    assert (one.frames == again.frames).all() and (one.masks == again.masks).all()
    assert (one.frames[:n] == val.frames).all() and not one.masks[:n].any()
    assert other.frames.shape != one.frames.shape or (other.frames != one.frames).any()
    for sample, mask in zip(one.data.samples[n:], one.masks[n:], strict=True):
        assert sample.label == parts.classes[1] and set(np.unique(mask)) == {0, PLANTED}
        assert sample.group in {part.group for part in val.data}
    views = one.views(0, policy=None)
    assert [views[row]["label"] for row in range(len(one.data))] == [0] * n + [1] * (len(one.data) - n)
    assert DEFECT not in one.masks and UNKNOWN not in one.masks


def test_a_gain_within_noise_is_not_called_better(parts):
    rng = np.random.default_rng(0)
    bad = np.arange(120) % 2 == 0
    groups = [str(at // 2) for at in range(120)]
    weak = bad + rng.normal(0, 1.0, 120)
    strong = bad + rng.normal(0, 0.3, 120)
    assert lowest_gain(strong, weak, bad, groups, seed=0) > 0.05
    assert lowest_gain(weak, strong, bad, groups, seed=0) < -0.05
    assert lowest_gain(weak + 1e-3 * rng.normal(0, 1, 120), weak, bad, groups, seed=0) <= 0
    assert lowest_gain(strong, weak, bad, ["one"] * 120, seed=0) == -1
    val = share_of(parts, "val")
    flat = np.zeros(len(val.data))
    found = beside(flat, flat, val, planted=False, seed=0)
    assert found is not None and not found.better and "it is not better beyond noise" in str(found)
    good = share_of(good_alone(parts), "val")
    assert beside(flat[: len(good.data)], flat[: len(good.data)], good, planted=False, seed=0) is None

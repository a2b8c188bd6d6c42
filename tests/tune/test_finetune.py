"""A whole fine-tuning on generated parts: it learns, it can be taken up again, it refuses what cannot work."""

import json

import pytest
import torch

from visiontune.runtime.errors import BadData, BadRecipe
from visiontune.tune import Unfreeze, finetune, read
from visiontune.tune.checkpoints import LAST
from visiontune.tune.frozen import fingerprint
from visiontune.tune.keeper import tempered_losses
from visiontune.tune.learner import parameter_groups
from visiontune.tune.recipe import changed


def test_the_history_has_an_entry_per_epoch_with_its_open_stages(cooked):
    assert [epoch.epoch for epoch in cooked.history] == [0, 1, 2]
    assert [epoch.open for epoch in cooked.history] == [0, 1, 2]
    assert [result.open for result in cooked.phases] == [0, 1, 2]


def test_what_is_kept_is_the_best_of_the_phases_on_val(cooked):
    kept = [result for result in cooked.phases if result.kept]
    assert kept[0] is cooked.phases[0]
    losses = [result.val_loss for result in kept]
    assert losses == sorted(losses, reverse=True)
    assert cooked.best == kept[-1].start + kept[-1].epochs - 1
    logits = torch.from_numpy(cooked.logits("val"))
    labels = torch.from_numpy(cooked.judge("val").labels)
    loss = float(tempered_losses(cooked.net.eval().head, logits, labels).mean())
    assert loss == pytest.approx(losses[-1], rel=1e-5)


def test_no_phase_ends_worse_on_val_than_its_best_epoch(cooked):
    for result in cooked.phases:
        epochs = cooked.history[result.start : result.start + result.epochs]
        assert result.val_loss <= min(epoch.val_tempered for epoch in epochs) * (1 + 1e-5)


def test_closed_stages_end_where_they_began(cooked, tiny_recipe):
    import timm

    torch.manual_seed(tiny_recipe.seed)
    start = timm.create_model("test_resnet", num_classes=0).state_dict()
    cooked.net.open_top(2)
    closed = cooked.net.frozen_tensors()
    assert len(closed) > 10
    assert fingerprint(closed) == fingerprint({name: start[name] for name in closed})
    moved = [
        name
        for name, value in cooked.net.backbone.state_dict().items()
        if not torch.equal(value, start[name])
    ]
    assert not set(moved) & set(closed)


def test_every_parameter_is_in_the_one_optimizer_with_its_own_rate(cooked, tiny_recipe):
    groups = parameter_groups(cooked.net, tiny_recipe, cooked.rates)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(held) == sorted(id(parameter) for parameter in cooked.net.parameters())
    rates = list(dict.fromkeys(group["lr"] for group in groups))
    assert rates == sorted(rates) and rates[-1] == cooked.rates.head
    assert rates[-2] == pytest.approx(cooked.rates.stages * tiny_recipe.unfreeze.decay)
    assert all(group["weight_decay"] == 0 for group in groups if group["params"][0].ndim <= 1)


def test_run_json_holds_what_made_the_run(cooked):
    stored = json.loads((cooked.out / "run.json").read_text())
    assert stored["recipe"]["backbone"] == "test_resnet"
    assert stored["data"]["digest"] == cooked.data.digest()
    assert sum(len(ids) for ids in stored["splits"].values()) == len(cooked.data)
    assert len(stored["history"]) == 3
    assert stored["metrics"]["proof"]["flips"] == 0


def test_no_group_is_in_two_splits(cooked):
    homes = {}
    for sample in cooked.data:
        homes.setdefault(sample.group, set()).add(sample.split)
    assert all(len(splits) == 1 for splits in homes.values())


def test_a_run_cut_off_and_resumed_is_bit_equal_to_one_that_was_not(
    tmp_path, parts_folder, tiny_recipe, cooked, console
):
    class Cut(Exception):
        pass

    import lightning

    class Scissors(lightning.Callback):
        def on_train_batch_start(self, trainer, module, batch, index):
            if module.current_epoch == 1 and index == 1:
                raise Cut

    data = read(parts_folder)
    folder = tmp_path / "run"
    with pytest.raises(Cut):
        finetune(tiny_recipe, data, out=folder, console=console, callbacks=[Scissors()])
    assert (folder / "checkpoints" / LAST).is_file()
    resumed = finetune(tiny_recipe, data, out=folder, resume=True, console=console)
    assert [vars(e)["train_loss"] for e in resumed.history] == [vars(e)["train_loss"] for e in cooked.history]
    assert [e.val_loss for e in resumed.history] == [e.val_loss for e in cooked.history]
    own = resumed.net.state_dict()
    for name, value in cooked.net.state_dict().items():
        if name != "head.temperature":
            assert torch.equal(own[name], value), name


def test_a_folder_that_holds_a_run_is_not_overwritten(cooked, parts_folder, tiny_recipe, console):
    with pytest.raises(BadData, match="already holds a run"):
        finetune(tiny_recipe, read(parts_folder), out=cooked.out, console=console)


def test_resuming_with_another_recipe_is_refused_by_field(cooked, parts_folder, tiny_recipe, console):
    other = changed(tiny_recipe, ["lr=0.01"])
    with pytest.raises(BadRecipe, match="differs from the stored one in lr"):
        finetune(other, read(parts_folder), out=cooked.out, resume=True, console=console)


def test_it_learns_to_tell_two_kinds_of_surface_apart(tmp_path, console):
    from PIL import Image

    from visiontune.data.painter import paint_part
    from visiontune.tune import Recipe, policies

    for style in ("turned", "brushed"):
        (tmp_path / "parts" / style).mkdir(parents=True)
        for seed in range(50):
            shot = paint_part(seed, "good", exposures=1, size=(48, 48), style=style)[0]
            Image.fromarray(shot.image).save(tmp_path / "parts" / style / f"{seed}.png")
    recipe = Recipe(
        backbone="test_resnet", pretrained=False, policy=policies.none(), unfreeze=Unfreeze.all(),
        size=(48, 48), epochs=30, batch=16, lr=3e-3, good=None,
    )  # fmt: skip
    run = finetune(recipe, read(tmp_path / "parts", good=None), out=tmp_path / "run", console=console)
    assert run.history[-1].train_loss < 0.2
    right = [run.judge(name).kinds.argmax(1) == run.judge(name).labels for name in ("val", "test")]
    assert sum(map(sum, right)) >= 0.8 * sum(map(len, right))

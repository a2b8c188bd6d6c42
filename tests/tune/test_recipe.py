"""Recipes: checked at birth, changed from the command line, with errors that name the field and the nearest right word."""

import json

import lightning
import pytest

from visiontune.runtime.errors import BadRecipe
from visiontune.tune import Anomaly, Classify, Recipe, policies
from visiontune.tune.recipe import changed

RECIPE = Recipe(
    backbone="test_resnet", pretrained=False, policy=policies.xray(), head=Classify(smoothing=0.1)
)


@pytest.mark.parametrize(
    ("setting", "field", "value"),
    [
        ("epochs=3", "epochs", 3),
        ("lr=1", "lr", 1.0),
        ("size=96", "size", (96, 96)),
        ("size=(96, 64)", "size", (96, 64)),
        ("size=[96,64]", "size", (96, 64)),
        ("backbone=resnet18", "backbone", "resnet18"),
        ("good=None", "good", None),
        ("group=^(.*)_", "group", "^(.*)_"),
        ("roi=(0, 0, 0.5, 1)", "roi", (0, 0, 0.5, 1)),
        ("window=(0, 4095)", "window", (0, 4095)),
        ("window=[0, 4095]", "window", (0, 4095)),
    ],
)
def test_a_setting_takes_the_kind_of_its_field(setting, field, value):
    found = getattr(changed(RECIPE, [setting]), field)
    assert found == value and type(found) is type(value)


def test_a_setting_reaches_inside_head_and_unfreeze():
    recipe = changed(RECIPE, ["head.smoothing=0.2", "unfreeze.at=(1, 2)", "unfreeze.decay=1"])
    assert recipe.head == Classify(smoothing=0.2)
    assert recipe.unfreeze.at == (1, 2) and recipe.unfreeze.decay == 1.0
    assert RECIPE.head == Classify(smoothing=0.1)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("epoch=3", "no field 'epoch'; did you mean epochs"),
        ("zzz=3", "no field 'zzz'; it has backbone"),
        ("epochs", "expects FIELD=VALUE"),
        ("epochs=many", "Recipe.epochs must be a whole number"),
        ("epochs=0", "Recipe.epochs must be a whole number"),
        ("pretrained=3", "Recipe.pretrained is bool"),
        ("batch=1", "batch norm needs company"),
        ("size=5", "whole pixels from 16"),
        ("roi=(0.5,0,0.4,1)", "fractions of the frame"),
        ("window=(9, 9)", "0 <= low < high <= 65535"),
        ("window=4095", "Recipe.window must be"),
        ("window=(0, 4095.5)", "whole grey values"),
        ("store_gb=-1", "Recipe.store_gb must be 0 or more"),
        ("head=Classify", "set one of head.smoothing"),
        ("head.smooth=1", "did you mean smoothing"),
        ("epochs.x=1", "has no fields of its own"),
        ("unfreeze.at=(7, 4)", "rising epochs"),
        ("backbone=resnet19", "did you mean resnet18"),
        ("backbone=resnet18.b1_in1k", "has no weights 'b1_in1k'"),
        ("backbone=local-dir:/nowhere", "there is no folder /nowhere"),
    ],
)
def test_a_bad_setting_is_refused_in_one_line_that_helps(setting, said):
    with pytest.raises(BadRecipe) as problem:
        changed(RECIPE, [setting])
    assert said in str(problem.value)
    assert "\n" not in str(problem.value)


def test_random_weights_have_to_be_said():
    with pytest.raises(BadRecipe, match="say pretrained=False"):
        Recipe(backbone="vit_base_patch16_18x2_224")


def test_weights_that_cannot_be_reached_name_the_ways_round(monkeypatch):
    from visiontune.tune.backbone import make_backbone

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", "/nonexistent/cache")
    with pytest.raises(BadRecipe) as problem:
        make_backbone("hf-hub:nobody/nothing", pretrained=True)
    for way in ("local-dir:", "cached file", "pretrained=False"):
        assert way in str(problem.value)
    assert "\n" not in str(problem.value)


def test_a_recipe_is_json_able_and_says_everything():
    plain = json.loads(json.dumps(RECIPE.as_dict()))
    assert plain["head"] == {
        "type": "Classify",
        "smoothing": 0.1,
        "dropout": 0.0,
        "adjust": "auto",
        "heatmap": "auto",
    }
    assert plain["policy"]["name"] == "xray"
    assert set(plain) == set(RECIPE.__dataclass_fields__)


@pytest.mark.parametrize("text", ["precision=bf16-true", "accumulate=0", "accumulate=1.5"])
def test_precision_and_accumulation_are_checked_at_birth(tiny_recipe, text):
    with pytest.raises(BadRecipe, match=text.partition("=")[0]):
        changed(tiny_recipe, [text])


def test_precision_and_accumulation_of_a_recipe_reach_training(tiny_recipe, parts_folder, tmp_path):
    import io

    from rich.console import Console

    from visiontune.tune import finetune, read
    from visiontune.tune.learner import Learner

    seen = {}

    class Look(lightning.Callback):
        def on_train_epoch_end(self, trainer, pl_module):
            assert isinstance(pl_module, Learner)
            seen.update(
                precision=trainer.precision, steps=trainer.global_step, batches=trainer.num_training_batches
            )

    recipe = changed(tiny_recipe, ["epochs=1", "precision=bf16-mixed", "accumulate=2"])
    finetune(
        recipe,
        read(parts_folder),
        out=tmp_path / "run",
        callbacks=[Look()],
        console=Console(file=io.StringIO()),
    )
    assert seen["precision"] == "bf16-mixed"
    assert seen["steps"] == -(-seen["batches"] // 2) < seen["batches"]


def test_a_memory_of_places_takes_no_tiles():
    with pytest.raises(BadRecipe, match="head Anomaly, which knows each place of the whole frame"):
        Recipe(backbone="test_resnet", pretrained=False, head=Anomaly(), size=(64, 64), tile=(32, 8))

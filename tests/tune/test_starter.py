"""The backbone that ships inside: small, described, there without a network, better than random weights; and how it is made."""

import argparse
import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.progress import Progress
from safetensors import safe_open
from sklearn.linear_model import RidgeClassifierCV
from sklearn.preprocessing import StandardScaler

from visiontune.tune import STARTER, Recipe
from visiontune.tune.backbone import SHIPPED, make_backbone, normalisation

SCRIPTS = Path(__file__).parents[2] / "scripts"
CLASSES = argparse.Namespace(textures=6, figures=5)


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    def refuse(*_):
        raise OSError("no network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_it_is_a_recipes_backbone_by_name():
    recipe = Recipe(backbone=STARTER)
    assert recipe.as_dict()["backbone"] == "starter"  # no path of the machine that cooked


def test_it_is_small_and_in_half_precision():
    file = SHIPPED / "model.safetensors"
    assert file.stat().st_size < 3e6
    with safe_open(file, "pt") as kept:
        assert {kept.get_tensor(name).dtype for name in kept.keys()} == {torch.float16}  # noqa: SIM118


def test_it_gives_finite_features_and_says_its_normalisation():
    backbone = make_backbone(STARTER, pretrained=True).eval()
    with torch.inference_mode():
        features = backbone(torch.zeros(2, 3, 96, 96))
    assert features.dtype == torch.float32 and features.shape == (2, 1280) and features.isfinite().all()
    assert normalisation(backbone) == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    random = make_backbone(STARTER, pretrained=False).eval()
    assert not torch.equal(random.conv_stem.weight, backbone.conv_stem.weight)


def test_its_card_says_what_it_is_and_is_not():
    card = (SHIPPED / "README.md").read_text("utf-8")
    for word in (
        "pretrain_starter.py",
        "measure_starter: begin",
        "ImageNet",
        "No photograph",
        "Apache-2.0",
    ):
        assert word.lower() in card.lower(), word
    architecture = json.loads((SHIPPED / "config.json").read_text("utf-8"))["architecture"]
    assert architecture in card


def told(pretrained, frames, labels):
    """Balanced accuracy of a ridge classifier on frozen features, learned from two thirds of the pictures."""
    torch.manual_seed(0)
    backbone = make_backbone(STARTER, pretrained=pretrained).eval()
    with torch.inference_mode():
        seen = torch.from_numpy(frames).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        features = torch.cat([backbone(some) for some in seen.split(64)]).numpy()
    test = np.arange(len(labels)) % 3 == 0
    features = StandardScaler().fit(features[~test]).transform(features)
    ridge = RidgeClassifierCV(10.0 ** np.arange(0, 6), class_weight="balanced").fit(
        features[~test], labels[~test]
    )
    right = ridge.predict(features[test]) == labels[test]
    return np.mean([right[labels[test] == kind].mean() for kind in np.unique(labels)])


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import pretrain_starter

    return pretrain_starter


@pytest.fixture(scope="module")
def banks(tmp_path_factory):
    """Textures and figures of a few classes, painted in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPTS))
        import starter_pictures
        from starter_figures import figure
        from starter_textures import texture

        rows = [
            np.stack([starter_pictures.drawn(paint, 0, 2, n) for n in range(count)])
            for paint, count in ((texture, CLASSES.textures), (figure, CLASSES.figures))
        ]
        return starter_pictures.Banks(*rows)


def test_its_features_tell_classes_that_it_never_saw_better_than_random_ones(script, banks):
    """`banks` holds the first classes; these come after all of those that were learned."""
    import starter_pictures
    from starter_textures import texture

    rows = np.stack([starter_pictures.drawn(texture, 0, 2, 900 + n) for n in range(12)])
    unseen = starter_pictures.Banks(rows, banks.figures)
    pictures = [script.picture(np.random.default_rng([7, n]), unseen, 96, 0.5) for n in range(480)]
    frames, labels = np.stack([one[0] for one in pictures]), np.array([one[1] for one in pictures])
    assert told(True, frames, labels) > told(False, frames, labels) + 0.1


@pytest.mark.parametrize("hard", [0.0, 1.0])
def test_a_picture_is_the_same_whenever_it_is_painted(script, banks, hard):
    for number in range(20):
        (one, kind, figure), (again, *_) = (
            script.picture(np.random.default_rng(number), banks, 48, hard) for _ in range(2)
        )
        assert one.shape == (48, 48, 3) and one.dtype == np.uint8 and np.array_equal(one, again)
        assert 0 <= kind < CLASSES.textures and -1 <= figure < CLASSES.figures
        assert one.std() > 0


def test_no_two_pictures_are_alike(script, banks):
    pictures = [script.picture(np.random.default_rng(n), banks, 32)[0].tobytes() for n in range(200)]
    assert len(set(pictures)) == 200


@pytest.mark.slow
def test_pretraining_that_was_cut_off_ends_in_the_same_weights(script, banks, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "painted", lambda given, bar: banks)
    monkeypatch.setattr(script, "EVERY", 0)
    learn = script.Pretraining.learn

    def cut(run, *batch):
        if run.step == 2:
            raise KeyboardInterrupt
        return learn(run, *batch)

    def trained(name):
        (tmp_path / name).mkdir(exist_ok=True)
        given = argparse.Namespace(
            out=tmp_path / name, pictures=32, arch="mobilenetv2_035", batch=8, lr=1e-3, workers=0, threads=1,
            seed=0, textures=CLASSES.textures, figures=CLASSES.figures,
        )  # fmt: skip
        with Progress(disable=True) as bar:
            script.train(given, bar)
        return (tmp_path / name / "starter" / "model.safetensors").read_bytes()

    whole = trained("whole")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(script.Pretraining, "learn", cut)
        trained("cut")
    assert not (tmp_path / "cut" / "starter").exists()
    assert trained("cut") == whole
    backbone = make_backbone(f"local-dir:{tmp_path / 'whole' / 'starter'}", pretrained=True)
    assert backbone.num_features and normalisation(backbone)[0] == (0.5, 0.5, 0.5)

"""What many tests share: a small set of generated parts, and a run cooked on it."""

from __future__ import annotations

import io
import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import pytest
from hypothesis import settings

# A machine that does other things too must not fail a test, and a commit is judged by the same examples as the one before it.
# `pytest --hypothesis-profile=explore` looks for new ones; what it finds becomes an @example.
settings.register_profile("shared", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("shared")


@pytest.fixture(scope="session")
def parts_folder(tmp_path_factory):
    """36 painted parts, 2 exposures each, 64 x 64 px, half of them defective."""
    from visiontune.data.painter import paint_folder

    return paint_folder(
        tmp_path_factory.mktemp("painted") / "parts", parts=36, exposures=2, size=(64, 64), seed=3
    )


@pytest.fixture(scope="session")
def alike_folder(tmp_path_factory):
    """60 painted parts that lie alike in the frame, 2 exposures each, 96 x 96 px, a third of them defective."""
    from visiontune.data.painter import paint_folder

    return paint_folder(
        tmp_path_factory.mktemp("alike") / "parts",
        parts=60,
        exposures=2,
        size=(96, 96),
        seed=4,
        difficulty=0.0,
    )


@pytest.fixture(scope="session")
def tiny_recipe():
    """A recipe that cooks in seconds: timm's own test network from random weights."""
    from visiontune.tune import Recipe, Unfreeze, policies

    return Recipe(
        backbone="test_resnet",
        pretrained=False,
        policy=policies.flat_sheet(),
        unfreeze=Unfreeze(at=(1, 2)),
        size=(64, 64),
        epochs=3,
        batch=16,
    )


@pytest.fixture
def console():
    """A console that writes nowhere a test looks."""
    from rich.console import Console

    return Console(file=io.StringIO(), width=120)


@pytest.fixture(scope="session")
def cooked(tmp_path_factory, parts_folder, tiny_recipe):
    """A whole run: fine-tuned, calibrated, exported. Tests read it and change nothing."""
    from rich.console import Console

    from visiontune.tune import finetune, read

    run = finetune(
        tiny_recipe,
        read(parts_folder),
        out=tmp_path_factory.mktemp("run"),
        console=Console(file=io.StringIO()),
    )
    run.calibrate(escapes=0.2, overkill=0.2, confidence=0.8)
    run.export()
    return run

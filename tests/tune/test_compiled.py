"""torch.compile for the part that trains: plain names, close results, resumable; a compiler that fails is said."""

import shutil
from dataclasses import replace

import pytest
import timm
import torch
from safetensors.torch import load_file

from tests.cut_off import KILLED, Moment, cook, differing, left, needs_fork
from visiontune.heads import Classify, Labels
from visiontune.runtime.errors import BadRecipe
from visiontune.tune import Unfreeze, finetune, read
from visiontune.tune.checkpoints import BEST
from visiontune.tune.compiled import Compiled, trained
from visiontune.tune.net import Net

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++", "cl"))), reason="needs a C++ compiler, and there is none"
)


def network(name="test_resnet"):
    torch.manual_seed(0)
    labels = Labels(classes=("good", "bad"), good="good", counts=(1, 1))
    backbone = timm.create_model(name, num_classes=0)
    return Net(
        backbone,
        Classify().build(backbone.num_features, labels),
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        size=(64, 64),
    )


@pytest.fixture
def recipe(tiny_recipe):
    return replace(tiny_recipe, unfreeze=Unfreeze(at=(1,)), epochs=2, lr=2e-3)


@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050", "test_convnext", "test_vit2"])
def test_what_is_compiled_is_what_trains_each_once(name):
    net = network(name)
    for opened in range(len(net.stages) + 1):
        net.open_top(opened)
        chosen = trained(net)
        inside = [id(module) for outer in chosen for module in outer.modules()]
        assert len(inside) == len(set(inside)) and chosen[-1] is net.head
        held = {id(parameter) for module in chosen for parameter in module.parameters()}
        # single layers beside the blocks, such as a stem, are not worth a compilation
        assert held <= {id(parameter) for parameter in net.parameters() if parameter.requires_grad}
    large = sum(p.numel() for m in chosen for p in m.parameters()) / sum(p.numel() for p in net.parameters())
    assert large > 0.4


def test_modules_have_their_own_forward_back_after_a_step_even_a_failed_one():
    net = network()
    compiled = Compiled(net)
    compiled.open()
    names = set(net.state_dict())
    with pytest.raises(ZeroDivisionError), compiled.working():
        assert sum("forward" in vars(module) for module in net.modules()) == len(compiled.ways) > 2
        assert set(net.state_dict()) == names
        raise ZeroDivisionError
    assert all("forward" not in vars(module) for module in net.modules())


def test_a_python_without_compilation_is_said(monkeypatch):
    def refuse(*_arguments, **_options):
        raise RuntimeError("torch.compile is not supported here")

    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.raises(
        BadRecipe, match=r"torch\.compile to work, it failed .*not supported here.*leave compile out"
    ):
        Compiled(network()).open()


@pytest.mark.slow
@needs_compiler
def test_a_compiled_run_keeps_plain_names_exports_and_learns_alike(tmp_path, recipe, parts_folder, console):
    data = read(parts_folder)
    plain = finetune(recipe, data, out=tmp_path / "plain", console=console)
    run = finetune(recipe, data, out=tmp_path / "compiled", console=console, compile=True)
    stored = load_file(run.out / "checkpoints" / BEST)
    assert stored.keys() == plain.net.state_dict().keys()
    for here, there in zip(run.history, plain.history, strict=True):
        assert here.train_loss == pytest.approx(there.train_loss, rel=1e-2)
        assert here.val_loss == pytest.approx(there.val_loss, rel=1e-2)
    run.calibrate(escapes=0.5, overkill=0.5, confidence=0.5)
    assert run.export().is_file()


@pytest.mark.slow
@needs_compiler
@needs_fork
def test_a_compiled_run_resumes_bit_equal(tmp_path, recipe, parts_folder):
    assert cook(recipe, parts_folder, tmp_path / "whole", compile=True)[0] == 0
    moment = Moment("visiontune.tune.learner:Learner.training_step", nth=4)
    assert cook(recipe, parts_folder, tmp_path / "cut", compile=True, moment=moment)[0] == KILLED
    assert cook(recipe, parts_folder, tmp_path / "cut", compile=True, resume=True)[0] == 0
    assert differing(left(tmp_path / "cut"), left(tmp_path / "whole")) == []


@pytest.mark.filterwarnings("ignore:dynamo_pgo force disabled")
def test_a_missing_compiler_is_said(tmp_path, recipe, parts_folder, console):
    from torch._inductor import config

    none = {"cpp.cxx": ("/none/g++",), "force_disable_caches": True}
    with config.patch(none), pytest.raises(BadRecipe, match=r"compile=True.*install a C\+\+ compiler"):
        finetune(
            recipe, read(parts_folder), out=tmp_path / "run", console=console, accelerator="cpu", compile=True
        )

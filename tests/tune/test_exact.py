"""Exactness on a ResNet, a MobileNet, a ConvNeXt and a ViT: the cache changes nothing, frozen is frozen, resume is bit-equal."""

import re
import shutil
from dataclasses import dataclass, replace

import lightning
import pytest
import torch
from torch import nn

from tests.cut_off import differing, left
from visiontune.runtime.errors import BadRecipe
from visiontune.tune import Classify, Recipe, Unfreeze, feeds, finetune, read
from visiontune.tune.finetune import make_net
from visiontune.tune.frozen import fingerprint
from visiontune.tune.run import Run

NETS = {
    "test_resnet": (64, 64),
    "mobilenetv3_small_050": (64, 64),
    "test_convnext": (64, 64),
    "test_vit": (160, 160),
}
MORE = {
    "test_efficientnet": (64, 64),
    "test_byobnet": (64, 64),
    "test_vit2": (64, 64),
    "test_convnext2": (160, 160),
    "resnet18": (64, 64),
    "mobilenetv2_035": (64, 64),
    "convnext_atto": (64, 64),
}
pytestmark = pytest.mark.xdist_group("exact")  # one worker trains each net once
every = pytest.mark.parametrize(
    "backbone", [*NETS, *(pytest.param(name, marks=pytest.mark.slow) for name in MORE)], scope="module"
)


class CopiedEveryEpoch(lightning.Callback):
    """Puts a copy of the checkpoints of each epoch aside: what a run would find that was cut off there."""

    def __init__(self, folder):
        self.folder = folder

    def on_train_epoch_start(self, trainer, module):
        if module.current_epoch:
            checkpoints = self.folder / "checkpoints"
            shutil.copytree(checkpoints, self.folder / f"until-{module.current_epoch}" / "checkpoints")


@dataclass
class Cooked:
    recipe: Recipe
    run: Run
    said: str


@pytest.fixture(scope="module")
def cook(tmp_path_factory, parts_folder):
    """Fine-tunes in a folder of its own, on one thread."""
    import io

    from rich.console import Console

    def cooked(recipe, out=None, **options):
        out = out or tmp_path_factory.mktemp("exact") / "run"
        console = Console(file=io.StringIO(), width=300)
        run = finetune(
            recipe, read(parts_folder), out=out, console=console, accelerator="cpu",
            callbacks=[CopiedEveryEpoch(out)], **options,
        )  # fmt: skip
        return Cooked(recipe, run, console.file.getvalue())

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feeds, "WORTH", 0.0)  # the cut of every phase is cached, however little it saves
        yield cooked
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cached(backbone, cook):
    """A run of three phases in which the cache takes all it can."""
    recipe = Recipe(
        backbone=backbone,
        pretrained=False,
        head=Classify(dropout=0.1),
        unfreeze=Unfreeze(at=(1, 2)),
        size=(NETS | MORE)[backbone],
        epochs=3,
        batch=16,
        views=2,
        lr=2e-3,
    )
    return cook(recipe)


@pytest.fixture(scope="module")
def plain(cached, cook):
    """The same without a cache."""
    return cook(replace(cached.recipe, cache_gb=0))


def same(here, there):
    """Names of the tensors that differ."""
    return [name for name, value in here.items() if not torch.equal(value, there[name])]


@every
def test_the_cache_changes_no_bit(cached, plain):
    """Not the replay, not the memory layout, not the batch in which a picture went through the closed stages."""
    assert "computed once" not in plain.said and "computed once" in cached.said
    assert "not cached" not in cached.said and "half precision" not in cached.said
    assert same(cached.run.net.state_dict(), plain.run.net.state_dict()) == []
    for here, there in zip(cached.run.history, plain.run.history, strict=True):
        assert (here.train_loss, here.val_loss) == (there.train_loss, there.val_loss)


@every
def test_half_precision_is_taken_where_the_disk_is_short_and_rounds(cached, plain, cook):
    """Float16 keeps 11 bits of a map, a relative step of 2^-11 = 5e-4; the errors of many places average out."""
    megabytes = float(re.search(r"([\d.]+) MB on disk", cached.said)[1])
    half = cook(replace(cached.recipe, cache_gb=0.9 * megabytes / 1000))
    assert "half precision" in half.said and "not cached" not in half.said
    for here, there in zip(half.run.history, plain.run.history, strict=True):
        assert here.train_loss == pytest.approx(there.train_loss, rel=2e-3)
        assert here.val_loss == pytest.approx(there.val_loss, rel=2e-3)
    # the head phase stores pooled features, always in float32
    first, its = half.run.history[0], plain.run.history[0]
    assert (first.train_loss, first.val_loss) == (its.train_loss, its.val_loss)


@every
def test_closed_stages_and_their_buffers_end_as_they_began(cached):
    start = make_net(cached.recipe, cached.run.data.share("train"))
    start.open_top(0)
    everything = fingerprint(start.frozen_tensors())
    for opened in range(3):
        for net in (start, cached.run.net):
            net.open_top(opened)
        closed = fingerprint(start.frozen_tensors())
        assert len(closed) < len(everything) or opened == 0
        state = torch.load(
            (cached.run.out / f"until-{opened + 1}" if opened < 2 else cached.run.out)
            / "checkpoints/last.ckpt",
            weights_only=True,
        )["state_dict"]
        found = {name: state[f"net.backbone.{name}"] for name in closed if f"net.backbone.{name}" in state}
        assert fingerprint(found) == {name: closed[name] for name in found}
        assert found.keys() >= {name for name in closed if name in dict(start.backbone.named_parameters())}
        moved = same(
            start.backbone.state_dict(), {k.removeprefix("net.backbone."): v for k, v in state.items()}
        )
        assert bool(moved) == (opened > 0) and not set(moved) & set(closed)


@every
@pytest.mark.parametrize("epoch", [1, 2])
def test_resumed_at_an_epoch_boundary_it_ends_bit_equal(cached, cook, tmp_path, epoch):
    out = tmp_path / "run"
    shutil.copytree(cached.run.out / f"until-{epoch}", out)
    cook(cached.recipe, out, resume=True)
    assert differing(left(out), left(cached.run.out)) == []


class Counting(nn.Module):
    """Passes what it is given, and counts it, in evaluation too: what a frozen stage must not do."""

    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen += len(x)
        return x


@pytest.fixture
def restless(monkeypatch):
    """A backbone whose second stage has a module that counts."""
    from visiontune.tune import backbone

    make = backbone.timm.create_model

    def made(*arguments, **options):
        model = make(*arguments, **options)
        model.layer1.add_module("counting", Counting())
        return model

    monkeypatch.setattr(backbone.timm, "create_model", made)


@pytest.mark.parametrize("cache_gb", [0.0, 4.0])
def test_a_closed_stage_that_moves_fails_the_run_and_is_named(
    restless, tmp_path, tiny_recipe, parts_folder, console, cache_gb
):
    recipe = replace(tiny_recipe, cache_gb=cache_gb)
    with pytest.raises(BadRecipe, match=r"found layer1\.counting\.seen of the backbone changed"):
        finetune(recipe, read(parts_folder), out=tmp_path / "run", console=console)
    assert not list((tmp_path / "run" / "checkpoints").glob("*"))


def test_a_callback_that_moves_a_closed_stage_fails_the_run_before_anything_of_the_epoch_is_kept(
    tmp_path, tiny_recipe, parts_folder, console
):
    class Meddling(lightning.Callback):
        def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
            if module.current_epoch == 1:
                module.net.backbone.bn1.running_mean += 1e-6

    out = tmp_path / "run"
    with pytest.raises(
        BadRecipe, match=r"found bn1\.running_mean of the backbone changed in epoch 1; .*callback"
    ):
        finetune(tiny_recipe, read(parts_folder), out=out, console=console, callbacks=[Meddling()])
    last = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)
    assert len(last["visiontune"]["history"]) == 1
    finetune(tiny_recipe, read(parts_folder), out=out, console=console, resume=True)

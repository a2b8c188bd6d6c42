"""The prefix cache: exact by replay on every family, refused where a model cannot be cut, bounded, and bound to its weights."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from visiontune.heads import Classify, Labels
from visiontune.tune.cut import Cut, Uncuttable, prefixes
from visiontune.tune.frozen import fingerprint
from visiontune.tune.net import Net
from visiontune.tune.prefix import PrefixCache, TooLarge, checked, features_and_gradients, plan
from visiontune.tune.stages import Stage

SMALL = ["test_resnet", "test_convnext", "test_efficientnet", "test_vit", "test_byobnet"]
LARGE = [
    "resnet18",
    "mobilenetv2_035",
    "mobilenetv3_small_100",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "fastvit_t8",
]


def made(name):
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0)
    size = backbone.pretrained_cfg["input_size"][1:]
    head = Classify().build(
        backbone.head_hidden_size, Labels(classes=("good", "bad"), good="good", counts=(1, 1))
    )
    return Net(backbone, head, mean=(0.5,) * 3, std=(0.5,) * 3, size=size), size


def pictures(size, n=2):
    return np.random.default_rng(0).integers(0, 256, (n, *size, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", [*SMALL, *(pytest.param(n, marks=pytest.mark.slow) for n in LARGE)])
def test_features_and_gradients_are_bit_equal_at_every_cut(name):
    net, size = made(name)
    frames = net.normalised(torch.from_numpy(pictures(size)))
    for closed in range(1, len(net.stages) + 1):
        net.open_top(len(net.stages) - closed)
        net.train()
        cut = Cut(net, closed, frames)
        state = {key: value.clone() for key, value in net.state_dict().items()}
        plain = features_and_gradients(net, lambda: net.backbone(frames))
        net.load_state_dict(state)
        kept = prefixes([cut], frames)[0]
        net.load_state_dict(state)
        replayed = features_and_gradients(net, lambda cut=cut, kept=kept: cut.suffix(kept))
        assert plain.keys() == replayed.keys()
        assert all(torch.equal(plain[key], replayed[key]) for key in plain), f"cut {closed}"
        assert len(plain) > 1 or closed == len(net.stages)
        net.load_state_dict(state)


def test_one_pass_fills_all_cuts():
    net, size = made("test_resnet")
    frames = net.normalised(torch.from_numpy(pictures(size)))
    net.eval()
    cuts = [Cut(net, closed, frames) for closed in (1, 3, 5)]
    together = prefixes(cuts, frames)
    for cut, kept in zip(cuts, together, strict=True):
        assert torch.equal(kept, prefixes([cut], frames)[0])
        assert kept.shape[1:] == cut.shape


def test_looking_for_cuts_leaves_the_network_as_it_was():
    net, size = made("test_resnet")
    net.train()
    before = fingerprint(net.state_dict())
    plan(net, range(6), pictures(size), pictures=10, budget=1e9)
    assert fingerprint(net.state_dict()) == before
    assert net.training and all(module.training for module in net.modules())
    assert all("forward" not in vars(module) for module in net.modules())


class Sideways(nn.Module):
    """Its second stage looks back at the first one's input: no boundary between them holds."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(6, 4, 3)

    def forward(self, x):
        return self.second(torch.cat([self.first(x), x], 1)).mean((2, 3))


class Doubled(Sideways):
    """Its first stage gives two tensors."""

    class Pair(nn.Conv2d):
        def forward(self, x):
            return super().forward(x), x

    def __init__(self):
        super().__init__()
        self.first = self.Pair(3, 3, 3, padding=1)

    def forward(self, x):
        return self.second(torch.cat(self.first(x), 1)).mean((2, 3))


@pytest.mark.parametrize(("model", "why"), [(Sideways, "changes the"), (Doubled, "gives tuple")])
def test_a_model_that_cannot_be_cut_is_found_out_with_the_reason(model, why):
    torch.manual_seed(0)
    backbone = model()
    head = Classify().build(4, Labels(classes=("good", "bad"), good="good", counts=(1, 1)))
    net = Net(backbone, head, mean=(0.5,) * 3, std=(0.5,) * 3, size=(16, 16))
    net.stages = tuple(
        Stage(name=name, parameters=(f"{name}.weight", f"{name}.bias"), modules=(name,), size=1)
        for name in ("first", "second")
    )
    with pytest.raises(Uncuttable, match=why):
        checked(net, 1, torch.from_numpy(pictures((16, 16))))
    found = plan(net, [1, 2], pictures((16, 16)), pictures=3, budget=1e9)
    assert 1 not in [cut.closed for cut in found.cuts]
    assert any(why in line for line in found.left_out)


def test_what_does_not_fit_into_the_budget_is_left_out_with_the_size():
    net, size = made("test_resnet")
    whole = plan(net, [1, 3, 5], pictures(size), pictures=1000, budget=1e12)
    assert [cut.closed for cut in whole.cuts] == [5, 3, 1] and whole.exact
    half = plan(net, [1, 3, 5], pictures(size), pictures=1000, budget=whole.bytes_per_picture * 1000 - 1)
    assert [cut.closed for cut in half.cuts] == [5, 3, 1] and not half.exact
    tight = plan(net, [1, 3, 5], pictures(size), pictures=1000, budget=half.bytes_per_picture * 1000 - 1)
    assert [cut.closed for cut in tight.cuts] == [5, 3]
    assert "cache_gb" in tight.left_out[0]


def cache_of(net, cuts, folder, **identity):
    return PrefixCache(net, cuts, folder, identity=identity)


def batches(frames):
    return (torch.from_numpy(frames[start : start + 3]) for start in range(0, len(frames), 3))


def test_the_cache_gives_back_what_the_closed_stages_gave(tmp_path):
    net, size = made("test_resnet")
    frames = pictures(size, 7)
    cuts = plan(net, [3, 5], frames[:2], pictures=7, budget=1e9).cuts
    cache = cache_of(net, cuts, tmp_path / "cache")
    cache.fill("val", batches(frames), 7)
    net.eval()
    for cut in cuts:
        exact = prefixes([cut], net.normalised(torch.from_numpy(frames)))[0].numpy()
        stored = cache.kept("val", cut.closed)
        assert stored.shape == exact.shape
        assert np.abs(stored - exact).max() <= 1e-3 * np.abs(exact).max()  # float16


def test_a_filled_cache_is_used_again_and_a_foreign_one_is_emptied(tmp_path):
    net, size = made("test_resnet")
    frames = pictures(size, 4)
    cuts = plan(net, [5], frames, pictures=4, budget=1e9).cuts
    cache_of(net, cuts, tmp_path / "cache", seed=0).fill("val", batches(frames), 4)
    again = cache_of(net, cuts, tmp_path / "cache", seed=0)
    assert again.filled("val", 5)
    again.fill("val", iter([]), 4)  # would complain if it computed
    assert not cache_of(net, cuts, tmp_path / "cache", seed=1).filled("val", 5)
    with torch.no_grad():
        next(net.backbone.parameters()).add_(1)
    assert not cache_of(net, cuts, tmp_path / "cache", seed=1).filled("other weights", 5)


def test_a_later_fill_computes_nothing_above_its_boundary(tmp_path):
    net, size = made("test_resnet")
    frames = pictures(size, 7)
    cuts = plan(net, [3, 5], frames[:2], pictures=7, budget=1e9).cuts
    whole = cache_of(net, cuts, tmp_path / "whole")
    whole.fill("view 2", batches(frames), 7)
    cache = cache_of(net, cuts, tmp_path / "cache")
    above = []
    modules = dict(net.backbone.named_modules())
    hooks = [modules[n].register_forward_hook(lambda *_: above.append(1)) for n in net.stages[3].modules]
    cache.fill("view 2", batches(frames), 7, closed=3)
    for hook in hooks:
        hook.remove()
    assert not above
    assert cache.filled("view 2", 3) and not cache.filled("view 2", 5)
    assert np.array_equal(cache.kept("view 2", 3), whole.kept("view 2", 3))


def test_a_fill_that_is_cut_off_leaves_no_file_that_looks_whole(tmp_path):
    net, size = made("test_resnet")
    frames = pictures(size, 6)
    cuts = plan(net, [5], frames[:2], pictures=6, budget=1e9).cuts
    cache = cache_of(net, cuts, tmp_path / "cache")

    def broken():
        yield torch.from_numpy(frames[:3])
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        cache.fill("val", broken(), 6)
    assert not cache.filled("val", 5)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["identity"]
    with pytest.raises(ValueError, match="expected 6"):
        cache.fill("val", batches(frames[:3]), 6)


def test_training_with_and_without_the_cache_ends_alike(tmp_path, parts_folder, tiny_recipe, console):
    from visiontune.tune import finetune, read
    from visiontune.tune.recipe import changed

    data = read(parts_folder)
    cached = finetune(tiny_recipe, data, out=tmp_path / "cached", console=console)
    plain = finetune(changed(tiny_recipe, ["cache_gb=0"]), data, out=tmp_path / "plain", console=console)
    for here, there in zip(cached.history, plain.history, strict=True):
        assert here.train_loss == pytest.approx(there.train_loss, rel=1e-4)
        assert here.val_loss == pytest.approx(there.val_loss, rel=1e-4)
    assert not (tmp_path / "cached" / "cache").exists()


def test_what_a_kill_left_half_written_is_taken_away_and_never_read(tmp_path):
    net, size = made("test_resnet")
    frames = pictures(size, 6)
    cuts = plan(net, [5], frames[:2], pictures=6, budget=1e9).cuts
    cache = cache_of(net, cuts, tmp_path / "cache")
    left = tmp_path / "cache" / f".{cache.path('val', 5).name}.4711.tmp"
    left.write_bytes(b"\x93NUMPY")
    again = cache_of(net, cuts, tmp_path / "cache")
    assert not left.exists() and not again.filled("val", 5)
    again.fill("val", batches(frames), 6)
    assert again.filled("val", 5) and len(again.kept("val", 5)) == 6


def test_a_key_of_which_one_cut_is_missing_is_filled_again(tmp_path):
    net, size = made("test_resnet")
    frames = pictures(size, 6)
    cuts = plan(net, [3, 5], frames[:2], pictures=6, budget=1e9).cuts
    cache = cache_of(net, cuts, tmp_path / "cache")
    cache.fill("val", batches(frames), 6)
    before = np.array(cache.kept("val", 3))
    cache.path("val", 3).unlink()
    again = cache_of(net, cuts, tmp_path / "cache")
    assert not again.filled("val", 3)
    again.fill("val", batches(frames), 6)
    assert np.array_equal(again.kept("val", 3), before)


def test_a_mark_that_a_kill_left_half_written_empties_the_folder(tmp_path):
    net, size = made("test_resnet")
    frames = pictures(size, 4)
    cuts = plan(net, [5], frames, pictures=4, budget=1e9).cuts
    cache_of(net, cuts, tmp_path / "cache").fill("val", batches(frames), 4)
    mark = tmp_path / "cache" / "identity"
    mark.write_text(mark.read_text()[:10])
    assert not cache_of(net, cuts, tmp_path / "cache").filled("val", 5)


def test_another_precision_is_another_cache(tmp_path):
    net, size = made("test_resnet")
    frames = pictures(size, 4)
    cuts = plan(net, [3], frames, pictures=4, budget=1e9).cuts
    cache_of(net, cuts, tmp_path / "cache").fill("val", batches(frames), 4)
    exact = PrefixCache(net, cuts, tmp_path / "cache", identity={}, exact=True)
    assert not exact.filled("val", 3)
    exact.fill("val", batches(frames), 4)
    net.eval()
    assert np.array_equal(
        exact.kept("val", 3), prefixes(cuts, net.normalised(torch.from_numpy(frames)))[0].numpy()
    )


def test_what_float16_cannot_hold_is_stored_as_float32_and_not_clipped(tmp_path):
    net, size = made("test_resnet")
    frames = pictures(size, 6)
    frames[3:, :, :, 0] //= 2
    cuts = plan(net, [3, 5], frames[:2], pictures=6, budget=1e9).cuts
    third = cuts[1]
    with torch.no_grad():
        for name, weight in net.backbone.named_parameters():
            if weight.ndim == 1 and name.startswith("layer2") and name.endswith("weight"):
                weight *= 1e6
    cache = cache_of(net, cuts, tmp_path / "cache")
    with pytest.raises(TooLarge):
        cache.fill("val", batches(frames), 6)
    assert not cache.filled("val", 3)
    cache.fill("val", batches(frames), 6)
    net.eval()
    exact = prefixes([third], net.normalised(torch.from_numpy(frames)))[0].numpy()
    stored = cache.kept("val", third.closed)
    assert exact.max() > 7e4 and stored.dtype == np.float32
    assert np.allclose(stored, exact, rtol=1e-6)


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_vit"])
def test_what_comes_out_lies_in_memory_as_the_network_laid_it(tmp_path, name):
    """Convolutions round otherwise in another layout."""
    net, size = made(name)
    net = net.to(memory_format=torch.channels_last)
    frames = pictures(size, 4)
    for cut in plan(net, range(1, len(net.stages)), frames[:2], pictures=4, budget=1e9).cuts:
        cache = cache_of(net, [cut], tmp_path / f"cache-{cut.closed}")
        cache.fill("val", batches(frames), 4)
        net.eval()
        there = prefixes([cut], net.normalised(torch.from_numpy(frames)))[0]
        here = torch.from_numpy(cache.kept("val", cut.closed)[np.array([2, 0, 3, 1])])
        assert here.stride() == there.stride()

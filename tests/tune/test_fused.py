"""Batch normalisations folded into convolutions: the same features and maps, on every family, or the backbone itself."""

from functools import partial

import pytest
import timm
import torch
from torch import nn

from visiontune.tune.fused import fused, put
from visiontune.tune.pyramid import mapped, tapped, taps

PICTURES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def lively(backbone):
    """A backbone whose normalisations are not those of a fresh one."""
    draw = torch.Generator().manual_seed(1)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            for one in (module.running_mean, module.bias.data):
                one.copy_(torch.randn(one.shape, generator=draw) * 0.2)
            for one in (module.running_var, module.weight.data):
                one.copy_(torch.rand(one.shape, generator=draw) + 0.5)
    return backbone.eval()


@pytest.mark.parametrize(
    "name", ["test_efficientnet", "test_resnet", "mobilenetv2_035", "mobilenetv3_small_050"]
)
def test_a_backbone_gives_the_same_without_its_normalisations(name):
    torch.manual_seed(0)
    backbone = lively(timm.create_model(name, num_classes=0))
    before = {word: value.clone() for word, value in backbone.state_dict().items()}
    wanted = taps(backbone, (64, 64))
    twin = fused(backbone, PICTURES[:1], partial(tapped, wanted=wanted))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    assert all(torch.equal(value, before[word]) for word, value in backbone.state_dict().items())
    with torch.no_grad():
        for here, there in zip(
            tapped(twin, PICTURES, wanted), tapped(backbone, PICTURES, wanted), strict=True
        ):
            assert torch.allclose(here, there, rtol=1e-3, atol=1e-3 * float(there.abs().max()))


def pooled(backbone, pictures):
    return (backbone(pictures),)


def test_a_convolution_that_is_read_itself_is_left_alone():
    """Here a map is what a convolution gives, and the next block begins with its normalisation."""
    torch.manual_seed(0)
    backbone = lively(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten()))
    assert fused(backbone, PICTURES, pooled) is not backbone
    assert fused(backbone, PICTURES, lambda which, pictures: (which[0](pictures),)) is backbone


@pytest.mark.slow
def test_a_network_whose_blocks_begin_with_their_normalisation_gives_the_same_maps():
    torch.manual_seed(0)
    backbone = lively(timm.create_model("xception41p", num_classes=0))
    wanted = taps(backbone, (64, 64))
    twin = fused(backbone, PICTURES[:1], partial(mapped, wanted=wanted))
    with torch.no_grad():
        pairs = zip(tapped(twin, PICTURES, wanted), tapped(backbone, PICTURES, wanted), strict=True)
        assert all(torch.allclose(here, there, atol=1e-3 * float(there.abs().max())) for here, there in pairs)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext"])
def test_what_has_no_batch_normalisation_stays(name):
    backbone = timm.create_model(name, num_classes=0).eval()
    size = backbone.default_cfg["input_size"]
    pictures = torch.randn(1, *size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(fused(backbone, pictures, pooled)(pictures), backbone(pictures))


class Forked(nn.Module):
    """A convolution that is read before and after its normalisation."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, pictures):
        found = self.conv(pictures)
        return (found + self.norm(found)).mean(dim=(2, 3))


class Twice(Forked):
    """A convolution that is used with its normalisation and without."""

    def forward(self, pictures):
        return (self.norm(self.conv(pictures)) - self.conv(2 * pictures)).mean(dim=(2, 3))


@pytest.mark.parametrize("kind", [Forked, Twice])
def test_a_convolution_that_is_read_elsewhere_is_left_alone(kind):
    torch.manual_seed(0)
    backbone = lively(kind())
    with torch.no_grad():
        assert torch.allclose(fused(backbone, PICTURES, pooled)(PICTURES), backbone(PICTURES))


class Shared(Forked):
    """A convolution that is used twice with its normalisation, before one that is used once."""

    def __init__(self):
        super().__init__()
        self.last = nn.Sequential(nn.Conv2d(4, 2, 3), nn.BatchNorm2d(2))

    def forward(self, pictures):
        return self.last(self.norm(self.conv(pictures)) - self.norm(self.conv(2 * pictures)))


def test_what_is_used_twice_stays_and_the_rest_is_folded():
    torch.manual_seed(0)
    backbone = lively(Shared())
    twin = fused(backbone, PICTURES, pooled)
    assert isinstance(twin.norm, nn.BatchNorm2d) and not isinstance(twin.last[1], nn.BatchNorm2d)


def test_a_normalisation_of_what_a_convolution_did_not_give_stays():
    backbone = lively(
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten())
    )
    twin = fused(backbone, PICTURES, pooled)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in twin.modules()) == 2


def test_a_module_is_put_in_its_place():
    whole = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Sequential(nn.BatchNorm2d(4)))
    put(whole, whole[1][0], nn.ReLU())
    assert isinstance(whole[1][0], nn.ReLU)

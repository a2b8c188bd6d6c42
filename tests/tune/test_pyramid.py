"""The maps of a backbone: those that timm names, bit-equal through every cut of the prefix cache."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

from visiontune import Bands
from visiontune.heads import Labels, Pyramid, Segment
from visiontune.runtime.errors import BadRecipe
from visiontune.runtime.golden import golden_frames
from visiontune.runtime.model import open_session
from visiontune.tune.cut import Cut, prefixes
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.net import Net
from visiontune.tune.packing import Packing
from visiontune.tune.prefix import features_and_gradients
from visiontune.tune.pyramid import mapped, tapped, taps
from visiontune.tune.stages import own_size

SMALL = ["test_resnet", "test_convnext", "test_efficientnet", "test_vit", "test_byobnet"]
LARGE = ["resnet18", "mobilenetv2_035", "mobilenetv3_small_100", "swin_tiny_patch4_window7_224", "fastvit_t8"]
every = pytest.mark.parametrize("name", [*SMALL, *(pytest.param(n, marks=pytest.mark.slow) for n in LARGE)])


def backbone_of(name):
    torch.manual_seed(0)
    return timm.create_model(name, num_classes=0).eval()


@pytest.mark.parametrize(
    "name",
    [
        *(n for n in SMALL if n != "test_vit"),
        *(pytest.param(n, marks=pytest.mark.slow) for n in LARGE if "swin" not in n),
    ],
)
def test_they_are_the_maps_that_timm_gives(name):
    backbone = backbone_of(name)
    size = own_size(backbone)
    found = taps(backbone, size)
    assert [tap.stride for tap in found] == [4, 8, 16, 32]
    reference = timm.create_model(name, features_only=True).eval()
    weights = backbone.state_dict()
    # a sequence of stages stands in the list under one name with an underscore
    listed = {key.replace(".", "_", 1): value for key, value in weights.items()}
    missing, _ = reference.load_state_dict(weights | listed, strict=False)
    assert not missing
    pictures = torch.randn(2, 3, *size)
    with torch.no_grad():
        pooled, *maps = tapped(backbone, pictures, found)
        theirs = [
            m
            for m, stride in zip(reference(pictures), reference.feature_info.reduction(), strict=True)
            if stride >= 4
        ]
        assert torch.equal(pooled, backbone(pictures))
        fewer = mapped(backbone, pictures, found[:3])
        assert len(fewer) == 4 and fewer[0].shape == (2, 0)
        assert all(torch.equal(here, there) for here, there in zip(fewer[1:], maps, strict=False))
        assert not any(module._forward_hooks for module in backbone.modules())
    for here, there, tap in zip(maps, theirs, found, strict=True):
        assert here.shape[1:] == (tap.channels, *tap.grid)
        assert torch.allclose(here, there, atol=1e-5)


def test_a_transformers_cells_lie_where_they_are_in_the_picture():
    backbone = backbone_of("test_vit")
    size = own_size(backbone)
    found = taps(backbone, size)
    assert [(tap.module, tap.form) for tap in found] == [(f"blocks.{i}", "tokens") for i in (1, 3, 5)]
    theirs = backbone.forward_intermediates(
        torch.ones(1, 3, *size), indices=[1, 3, 5], norm=False, intermediates_only=True
    )
    with torch.no_grad():
        _, *maps = tapped(backbone, torch.ones(1, 3, *size), found)
    for here, there in zip(maps, theirs, strict=True):
        assert torch.equal(here, there)


def test_sides_that_no_stride_divides_are_met():
    backbone = backbone_of("test_resnet")
    assert [tap.grid for tap in taps(backbone, (70, 90))] == [(18, 23), (9, 12), (5, 6), (3, 3)]


def test_looking_leaves_the_modes_alone():
    backbone = backbone_of("test_resnet")
    backbone.train()
    backbone.layer2.eval()
    before = {
        name: (module.training, len(module._forward_hooks)) for name, module in backbone.named_modules()
    }
    taps(backbone, (64, 64))
    after = {name: (module.training, len(module._forward_hooks)) for name, module in backbone.named_modules()}
    assert before == after


def test_a_backbone_without_named_maps_is_refused():
    with pytest.raises(BadRecipe, match=r"feature maps that timm names.*found none"):
        taps(nn.Flatten(), (64, 64))


def test_maps_that_are_not_what_timm_says_are_refused():
    backbone = backbone_of("test_resnet")
    backbone.feature_info[2]["num_chs"] += 1
    with pytest.raises(BadRecipe, match=r"expected 49 channels at stride 8 from layer2.*found \(48, 8, 8\)"):
        taps(backbone, (64, 64))


def net_of(name):
    backbone = backbone_of(name)
    size = own_size(backbone)
    found = taps(backbone, size)
    with torch.no_grad():
        pooled = backbone(torch.zeros(1, 3, *size)).shape[1]
    shape = Pyramid(
        pooled=pooled,
        channels=tuple(t.channels for t in found),
        strides=tuple(t.stride for t in found),
        size=size,
    )
    head = Segment().build(shape, Labels(classes=("good", "bad"), good="good", counts=(1, 1)))
    net = Net(backbone, head, mean=(0.5,) * 3, std=(0.5,) * 3, size=size, taps=found)
    return net.to(memory_format=torch.channels_last), size


@every
def test_maps_and_gradients_are_bit_equal_at_every_cut(name):
    net, size = net_of(name)
    frames = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    pictures = net.normalised(torch.from_numpy(frames))
    packed = 0
    for closed in range(1, len(net.stages) + 1):
        net.open_top(len(net.stages) - closed)
        net.train()
        cut = Cut(net, closed, pictures)
        state = {key: value.clone() for key, value in net.state_dict().items()}
        plain = features_and_gradients(net, lambda: net.features(pictures))
        net.load_state_dict(state)
        kept = prefixes([cut], pictures)[0]
        assert kept.shape[1:] == cut.shape
        net.load_state_dict(state)
        replayed = features_and_gradients(net, lambda cut=cut, kept=kept: cut.suffix(kept))
        net.load_state_dict(state)
        assert plain.keys() == replayed.keys()
        assert all(torch.equal(plain[key], replayed[key]) for key in plain), f"cut {closed}"
        packed += cut.packing is not None
    assert packed > 1


def test_one_pass_fills_all_cuts():
    net, size = net_of("test_resnet")
    pictures = net.normalised(torch.zeros(2, *size, 3, dtype=torch.uint8))
    net.eval()
    cuts = [Cut(net, closed, pictures) for closed in (1, 3, 5)]
    for cut, kept in zip(cuts, prefixes(cuts, pictures), strict=True):
        assert torch.equal(kept, prefixes([cut], pictures)[0])


def test_packed_tensors_come_back_in_value_and_layout():
    torch.manual_seed(0)
    tensors = [
        torch.randn(3, 5),
        torch.randn(3, 4, 6, 7).contiguous(memory_format=torch.channels_last),
        torch.randn(3, 4, 6, 7),
        torch.randn(3, 9, 4),
    ]
    packing = Packing.of(tensors)
    rows = packing.pack(tensors)
    assert rows.shape == (3, 5 + 168 + 168 + 36)
    for here, there in zip(packing.unpack(rows), tensors, strict=True):
        assert torch.equal(here, there) and here.stride() == there.stride()


@pytest.mark.parametrize(
    "name", ["test_resnet", "test_vit", pytest.param("test_convnext", marks=pytest.mark.slow)]
)
def test_the_graph_says_where_as_torch_does_for_any_number_of_frames(name):
    net, size = net_of(name)
    nn.init.normal_(net.head.classify.linear.weight, std=0.1)
    nn.init.normal_(net.head.cells.weight, std=0.5)
    net.eval()
    model = line_model(core_model(net, size), net, Bands(0.3, 0.7), roi=None)
    session = open_session(model.SerializeToString())
    for count in (1, 3):
        frames = golden_frames(count, count, size)
        heatmap, severity = session.run(["heatmap", "severity"], {"frames": frames})
        with torch.inference_mode():
            answer = net.head.answer(net(torch.from_numpy(frames)))
        assert heatmap.shape == (count, *net.taps[0].grid) and np.ptp(heatmap) > 0.01
        assert np.abs(heatmap - answer["heatmap"].numpy()).max() < 1e-4
        assert np.abs(severity - answer["severity"].numpy()).max() < 1e-4

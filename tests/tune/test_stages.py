"""Stages of backbones of every family: total, disjoint, in order of execution; closed means still."""

from itertools import pairwise

import pytest
import timm
import torch

from visiontune.heads import Classify, Labels
from visiontune.tune.frozen import fingerprint
from visiontune.tune.net import Net
from visiontune.tune.stages import own_size, stages, traced

FAMILIES = [
    "test_resnet",
    "test_convnext",
    "test_efficientnet",
    "test_vit",
    "test_mambaout",
    "test_nfnet",
    "test_byobnet",
]
MORE = [
    "resnet18",
    "mobilenetv2_035",
    "mobilenetv3_small_100",
    "vit_tiny_patch16_224",
    "swin_tiny_patch4_window7_224",
]


@pytest.mark.parametrize("name", [*FAMILIES, *(pytest.param(n, marks=pytest.mark.slow) for n in MORE)])
def test_stages_are_total_disjoint_and_in_order_of_execution(name):
    backbone = timm.create_model(name, num_classes=0)
    found = stages(backbone)
    assert len({stage.name for stage in found}) == len(found)
    assert in_order(backbone, found)


def in_order(backbone, found):
    """Whether stages own every parameter once, and none begins before the one below it has ended."""
    owned = [parameter for stage in found for parameter in stage.parameters]
    assert sorted(owned) == sorted(parameter for parameter, _ in backbone.named_parameters())
    run = traced(backbone, own_size(backbone))
    spans = []
    for stage in found:
        modules = [parameter.rpartition(".")[0] for parameter in stage.parameters]
        when = [
            run.order[module] for module in modules if module and module in run.order
        ]  # the root runs all along
        if when:
            spans.append((min(when), max(when)))
    return all(last < first for (_, last), (first, _) in pairwise(spans))


# one of almost every family that timm has, the smaller ones
SWEEP = """
resnet18 resnet10t resnet26d resnext26ts seresnet18 ecaresnet26t skresnet18 res2net50_14w_8s resnest14d
gcresnext26ts lambda_resnet26t botnet26t_256 halonet26t resnetv2_18 densenet121 dla34 regnety_002
regnetx_002 regnetz_005 mobilenetv2_035 mobilenetv3_small_050 mobilenetv4_conv_small_050 mobilenetv1_100
efficientnet_b0 efficientnetv2_rw_t tf_efficientnetv2_b0 tinynet_e lcnet_035 fbnetc_100 mnasnet_small
ghostnet_050 ghostnetv2_100 hardcorenas_a mixnet_s semnasnet_075 rexnet_100 spnasnet_100 convnext_atto
convnextv2_atto edgenext_xx_small efficientformer_l1 efficientformerv2_s0 efficientvit_b0
efficientvit_m0 repvit_m0_9 repghostnet_050 mobileone_s0 repvgg_a0 hgnet_tiny hgnetv2_b0
vit_tiny_patch16_224 deit_tiny_patch16_224 eva02_tiny_patch14_224 cait_xxs24_224 coatnet_pico_rw_224
levit_128s tiny_vit_5m_224 pvt_v2_b0 poolformer_s12 caformer_s18 davit_tiny gcvit_xxtiny inception_v3
inception_next_atto mambaout_femto starnet_s1 shvit_s1 ghostnetv3_100 rdnet_tiny hrnet_w18_small dpn48b
mixer_s32_224 gmlp_ti16_224 resmlp_12_224 xcit_nano_12_p16_224 visformer_tiny crossvit_tiny_240
twins_svt_small nest_tiny pit_ti_224 fasternet_t0 swiftformer_xs mobilevit_xxs mobilevitv2_050
selecsls42 nf_resnet26 eca_nfnet_l0 cspresnet50 cs3darknet_s darknet17 cspdarknet53 vovnet39a
ese_vovnet19b_dw legacy_seresnet18 convit_tiny
""".split()  # noqa: SIM905


@pytest.mark.slow
def test_nearly_every_family_is_cut_in_order():
    assert len(SWEEP) >= 60
    for name in SWEEP:
        backbone = timm.create_model(name, num_classes=0)
        found = stages(backbone)
        assert in_order(backbone, found), name
        assert 2 <= len(found) <= 16, name


def test_many_equal_blocks_become_four_spans():
    found = stages(timm.create_model("vit_tiny_patch16_224", num_classes=0))
    assert [stage.name for stage in found][1:] == [
        "blocks.0 .. blocks.2",
        "blocks.3 .. blocks.5",
        "blocks.6 .. blocks.8",
        "blocks.9 .. norm",
    ]


def test_what_runs_after_pooling_is_a_stage_of_its_own():
    assert stages(timm.create_model("mobilenetv3_small_100", num_classes=0))[-1].name == "conv_head"


def small_net(name):
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0)
    labels = Labels(classes=("good", "bad"), good="good", counts=(4, 4))
    head = Classify().build(backbone.head_hidden_size, labels)
    return Net(backbone, head, mean=(0.5,) * 3, std=(0.5,) * 3, size=(64, 64))


@pytest.mark.parametrize("name", ["test_resnet", "test_convnext", "test_efficientnet"])
@pytest.mark.parametrize("open_", [0, 1, 2])
def test_a_closed_stage_keeps_every_bit_through_training(name, open_):
    net = small_net(name)
    torch.nn.init.normal_(net.head.linear.weight)  # a zero head would send no gradient down
    net.open_top(open_)
    net.train()
    before = fingerprint(net.frozen_tensors())
    everything = fingerprint(dict(net.backbone.state_dict()))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
    for _ in range(2):
        frames = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8)
        net.head.loss(net(frames), {"label": torch.tensor([0, 1, 0, 1])}).backward()
        optimizer.step()
        optimizer.zero_grad()
        net.train()  # what a training loop does at every epoch
    assert fingerprint(net.frozen_tensors()) == before
    assert (fingerprint(dict(net.backbone.state_dict())) == everything) == (open_ == 0)


def test_frozen_tensors_hold_the_statistics_of_batch_norm():
    net = small_net("test_resnet")
    net.open_top(0)
    assert any(name.endswith("running_mean") for name in net.frozen_tensors())
    assert len(net.frozen_tensors()) == len(net.backbone.state_dict())


def test_opening_more_stages_than_there_are_is_an_error():
    net = small_net("test_resnet")
    with pytest.raises(ValueError, match="cannot open"):
        net.open_top(len(net.stages) + 1)

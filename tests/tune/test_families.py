"""Backbones of thirteen families go into a clean file that answers as torch does: the exporter's quirks, one by one."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from visiontune import Bands
from visiontune.data.fit import Fit
from visiontune.heads import Classify, Labels
from visiontune.runtime.golden import golden_frames
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.net import Net

BANDS = Bands(0.3, 0.7)

# name, options that make it small without leaving out an operator, side of the input in pixels
FAMILIES = {
    "resnet": ("resnet10t", {}, 64),
    "mobilenetv2": ("mobilenetv2_035", {}, 64),
    "mobilenetv3": ("mobilenetv3_small_050", {}, 64),
    "mobilenetv4": ("mobilenetv4_conv_small_035", {}, 64),
    "efficientnet": ("tinynet_e", {}, 64),
    "convnext": ("convnext_atto", {"depths": (1, 1, 2, 1), "dims": (16, 32, 48, 64)}, 64),
    "regnet": ("regnety_002", {}, 64),
    "vit": ("vit_tiny_patch16_224", {"depth": 2, "embed_dim": 48, "num_heads": 3, "img_size": 64}, 64),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"depths": (2, 2), "num_heads": (2, 4), "embed_dim": 24, "img_size": 56},
        56,
    ),
    "fastvit": ("fastvit_t8", {"layers": (1, 1, 1, 1)}, 64),
    "repvit": ("repvit_m0_9", {"depth": (1, 1, 1, 1)}, 64),
    "edgenext": ("edgenext_xx_small", {"depths": (2, 2, 2, 2)}, 64),
    "hgnetv2": ("hgnetv2_b0", {}, 64),
}
REPARAMETERISABLE = {"fastvit", "repvit"}  # trained with branches that become one convolution


def random_net(name, options, side):
    """A network of random weights whose batch norms and head have seen frames, so that its answers depend on the frame."""
    import timm

    torch.manual_seed(0)
    backbone = timm.create_model(name, pretrained=False, num_classes=0, **options)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    frames = torch.from_numpy(golden_frames(1, 16, (side, side)))
    pictures = frames.permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        backbone.train()(pictures)
        features = backbone.eval()(pictures)
    head = Classify().build(
        features.shape[1], Labels(classes=("good", "a", "b"), good="good", counts=(1, 1, 1))
    )
    head.standardise.running_mean.copy_(features.mean(0))
    head.standardise.running_var.copy_(features.var(0) + 1e-6)
    nn.init.normal_(head.linear.weight, std=features.shape[1] ** -0.5)
    nn.init.normal_(head.linear.bias, std=0.5)
    head.temperature.fill_(1.7)
    return Net(backbone, head, mean=(0.5,) * 3, std=(0.5,) * 3, size=(side, side)).eval()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_exports_cleanly_and_agrees(family):
    name, options, side = FAMILIES[family]
    net = random_net(name, options, side)
    model = line_model(core_model(net, (side, side)), net, BANDS, roi=None)
    clean(model)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    fit, seen = Fit((side, side)), []
    for shape in ((5, side, side), (1, 2 * side + 1, 3 * side - 1), (2, side // 2 + 1, side + 5)):
        frames = golden_frames(2, shape[0], shape[1:])
        severity, kinds, decision = session.run(["severity", "kinds", "decision"], {"frames": frames})
        with torch.no_grad():
            expected = net.head.answer(net(torch.from_numpy(np.stack([fit(frame) for frame in frames]))))
        assert severity.shape == decision.shape == shape[:1]
        assert np.abs(severity - expected["severity"].numpy()).max() < 1e-4
        assert np.abs(kinds - expected["kinds"].numpy()).max() < 1e-4
        assert decision.tolist() == BANDS.decisions(severity).tolist()
        seen += kinds.tolist()
    assert np.ptp(seen, axis=0).min() > 0.01  # the answers depend on the frames
    if family in REPARAMETERISABLE:
        reparameterised(net, model)


def clean(model):
    """Opset 18, IR 8, default domain only, one file, nothing of the exporter's whereabouts, batch norms folded."""
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
    assert model.ir_version == 8 and not model.functions and not model.metadata_props and not model.doc_string
    for node in model.graph.node:
        assert (node.domain, node.doc_string, len(node.metadata_props)) == ("", "", 0)
    assert not any(tensor.external_data or tensor.metadata_props for tensor in model.graph.initializer)
    told = onnx.ModelProto()
    told.CopyFrom(model)
    for tensor in told.graph.initializer:
        tensor.ClearField("raw_data")  # random weights may spell anything
    assert not re.search(rb"/(usr|home|root|tmp|work|Users)/|\.py\b|site-packages", told.SerializeToString())
    assert not {"BatchNormalization", "Dropout"} & {node.op_type for node in model.graph.node}
    names = [tensor.name for tensor in model.graph.initializer]
    for name in ("temperature", "bands.review_from", "bands.reject_from"):
        assert names.count(name) == 1
    dims = model.graph.input[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in dims] == ["n", "height", "width", 3]


def reparameterised(net, model):
    """Fewer convolutions than the network trains with; the network itself keeps its branches, it may train on."""
    convolutions = sum(isinstance(module, nn.Conv2d) for module in net.backbone.modules())
    assert sum(node.op_type == "Conv" for node in model.graph.node) < convolutions
    assert convolutions == sum(isinstance(module, nn.Conv2d) for module in net.backbone.modules())


def test_the_families_are_thirteen():
    assert len(FAMILIES) == 13 and len({name for name, _, _ in FAMILIES.values()}) == 13

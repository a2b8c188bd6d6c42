"""Layers in integers: what onnxruntime computes is plain integer arithmetic, safe on any CPU, and near what float gives."""

import copy
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from visiontune.heads import Classify
from visiontune.heads.head import Labels
from visiontune.runtime.golden import golden_frames
from visiontune.runtime.model import open_session
from visiontune.tune.graph import core_model
from visiontune.tune.layers import layers
from visiontune.tune.net import Net
from visiontune.tune.quantize import Statistics, absorbed, largest_sum, quantised, statistics, steps

RNG = np.random.default_rng(0)
FLOAT = onnx.TensorProto.FLOAT


@cache
def random_core(name, size=64):
    """The bare network of a timm model with random weights, running statistics and head."""
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    features = backbone.eval()(torch.zeros(1, 3, size, size)).shape[1]
    head = Classify().build(features, Labels(classes=("good", "bad"), good="good", counts=(1, 1)))
    torch.nn.init.normal_(head.linear.weight, 0, 0.5)
    net = Net(backbone, head, mean=(0.5,) * 3, std=(0.25,) * 3, size=(size, size))
    return core_model(net.eval(), (size, size))


def painted(count, size=64, seed=0):
    """Normalised pictures float32 (count, 3, size, size)."""
    frames = golden_frames(seed, count, (size, size)).astype(np.float32)
    return np.ascontiguousarray((frames / 255 - 0.5).transpose(0, 3, 1, 2) / 0.25)


@pytest.fixture
def resnet():
    return random_core("test_resnet")


def small(kind, *, relu=False, clip=False, bias=True, shared=False, turned=True):
    """picture -> x = -picture -> one layer (-> Relu) -> y, and a second layer of the same kind, which counts as the head."""
    shapes = {"Conv": (5, 4, 3, 3), "Gemm": (5, 4) if turned else (4, 5), "MatMul": (4, 5)}
    last = {"Conv": (2, 5, 3, 3), "Gemm": (2, 5) if turned else (5, 2), "MatMul": (5, 2)}
    options = {"Conv": {"pads": [1] * 4}, "Gemm": {"transB": int(turned)}, "MatMul": {}}[kind]
    bias = bias and kind != "MatMul"
    tensors = {
        "w": RNG.normal(0, 1, shapes[kind]),
        "v": RNG.normal(0, 1, last[kind]),
        "b": RNG.normal(0, 1, 5),
    }
    tensors |= {"low": np.zeros(()), "high": np.full((), 6.0)}
    after = [helper.make_node("Relu", ["a"], ["y"])] if relu else []
    after = [helper.make_node("Clip", ["a", "low", "high"], ["y"])] if clip else after
    nodes = [
        helper.make_node("Neg", ["picture"], ["x"]),
        helper.make_node(kind, ["x", "w", *(["b"] if bias else [])], ["a" if after else "y"], **options),
        *after,
        helper.make_node(kind, ["y", "v"], ["z"], **options),
    ]
    image = kind == "Conv"
    inputs = [helper.make_tensor_value_info("picture", FLOAT, ["n", 4, 6, 6] if image else ["n", 4])]
    rest = ["n", 5, 6, 6] if image else ["n", 5]
    outputs = [helper.make_tensor_value_info("y", FLOAT, rest)]
    outputs.append(helper.make_tensor_value_info("z", FLOAT, ["n", 2, *rest[2:]]))
    if shared:
        nodes.append(helper.make_node("Neg", ["a"], ["n"]))
        outputs.append(helper.make_tensor_value_info("n", FLOAT, rest))
    used = {name for node in nodes for name in node.input}
    held = [numpy_helper.from_array(v.astype(np.float32), k) for k, v in tensors.items() if k in used]
    graph = helper.make_graph(nodes, "g", inputs, outputs, held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def convolved(x, w):
    """Plain loops: x (n, 4, 6, 6), w (5, 4, 3, 3), zero padding of 1; all int64."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((len(x), len(w), 6, 6), np.int64)
    for n, c, i, j in np.ndindex(out.shape):
        out[n, c, i, j] = (padded[n, :, i : i + 3, j : j + 3] * w[c]).sum()
    return out


def tensor(model, name):
    (found,) = [one for one in model.graph.initializer if one.name == name]
    return numpy_helper.to_array(found)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("Conv", {}),
        ("Conv", {"relu": True}),
        ("Conv", {"clip": True}),
        ("Conv", {"bias": False}),
        ("Gemm", {}),
        ("Gemm", {"relu": True, "turned": False}),
        ("MatMul", {}),
    ],
)
def test_a_layer_is_plain_integer_arithmetic(kind, options):
    core = small(kind, **options)
    x = RNG.normal(0.3, 1, (3, 4, 6, 6) if kind == "Conv" else (3, 4)).astype(np.float32)
    found = statistics(core, [-x])
    (layer,) = layers(core)
    model = quantised(core, found, [layer.name])
    onnx.checker.check_model(model, full_check=True)
    got = open_session(model.SerializeToString()).run(["y"], {"picture": -x})[0]

    scale, zero = steps(*found.ranges["x"])
    levels = np.clip(np.rint(x / scale) + zero, 0, 255).astype(np.int64) - int(zero)
    # after the rounding the node's output has the name of what the integers stand for, and the weights keep the old one
    weights = tensor(model, f"{layer.name}.weights.levels").astype(np.int64)
    of_weights = tensor(model, f"{layer.name}.weights.scale")
    if kind == "Conv":
        sums, shape = convolved(levels, weights), (-1, 1, 1)
    else:
        rows = kind == "Gemm" and options.get("turned", True)
        sums, shape = levels @ (weights.T if rows else weights), (-1,)
    if kind != "MatMul":
        sums = sums + tensor(model, f"{layer.name}.bias.levels").reshape(shape)
    exact = sums * (np.float64(scale) * of_weights).reshape(shape)
    if kind == "MatMul":  # stays as exact as the products
        assert np.allclose(got, exact, rtol=1e-5, atol=1e-6)
        return
    step, middle = steps(*found.ranges["y"])
    rounded = (np.clip(np.rint(exact / step) + middle, 0, 255) - middle) * step
    assert np.abs(got - rounded).max() <= 1.01 * step  # a tie may fall to either side
    assert (np.abs(got - rounded) < 0.01 * step).mean() > 0.99
    reference = open_session(core.SerializeToString()).run(["y"], {"picture": -x})[0]
    assert np.abs(got - reference).max() < 0.08 * np.ptp(reference)


def test_relu_and_clip_from_zero_go_where_rounding_does_their_work():
    for options in ({"relu": True}, {"clip": True}):
        core = small("Conv", **options)
        model = quantised(core, statistics(core, [RNG.normal(0, 3, (2, 4, 6, 6)).astype(np.float32)]), ["a"])
        assert not {node.op_type for node in model.graph.node} & {"Relu", "Clip"}
    shared = small("Conv", relu=True, shared=True)
    assert absorbed(shared.graph) == {}
    left = quantised(shared, statistics(shared, [np.ones((1, 4, 6, 6), np.float32)]), ["a"])
    assert "Relu" in {node.op_type for node in left.graph.node}


def test_nothing_wanted_changes_nothing(resnet):
    pictures = painted(4)
    model = quantised(resnet, statistics(resnet, [pictures]), [])
    assert [node.op_type for node in model.graph.node] == [node.op_type for node in resnet.graph.node]
    assert model.ByteSize() == resnet.ByteSize()


def test_ranges_are_the_least_and_largest_values_with_zero():
    core = small("Conv", relu=True)
    batches = [RNG.normal(2, 1, (2, 4, 6, 6)).astype(np.float32) for _ in range(3)]
    y = np.concatenate(
        [open_session(core.SerializeToString()).run(["y"], {"picture": -x})[0] for x in batches]
    )
    low, high = statistics(core, [-x for x in batches]).ranges["x"]
    assert (low, high) == (min(0, np.min(batches)), np.max(batches))
    assert statistics(core, [-x for x in batches]).ranges["y"] == (0, pytest.approx(y.max()))


@pytest.mark.slow
def test_depthwise_small_first_and_last_layers_stay_in_float():
    core = random_core("mobilenetv3_small_050")
    tensors = {one.name: one for one in core.graph.initializer}
    makers = {node.output[0]: node for node in core.graph.node}
    chosen = layers(core)
    assert chosen and sum(layer.share for layer in chosen) < 1
    assert all(makers[layer.name].input[0] != "pictures" for layer in chosen)
    for layer in chosen:
        weights = tensors[makers[layer.name].input[1]].dims
        assert layer.share >= 0.002 and (layer.kind != "Conv" or weights[1] > 1)
    gemms = [node.output[0] for node in core.graph.node if node.op_type == "Gemm"]
    assert gemms[-1] not in {layer.name for layer in chosen}


@pytest.mark.parametrize("bias", [True, False])
def test_the_mean_of_a_channel_is_as_in_float(bias):
    """What rounding the weights does to it on average is in the bias; alone it would add up over the places."""
    core = small("Conv", bias=bias)
    x = RNG.uniform(1, 1.1, (20, 4, 6, 6)).astype(
        np.float32
    )  # bright everywhere: errors of the weights do not cancel
    found = statistics(core, [-x])
    assert np.allclose(found.means["x", 1], x.mean(axis=(0, 2, 3)), atol=1e-6)
    blind = Statistics(ranges=found.ranges, means={("x", 1): np.zeros(4)})
    inside = np.s_[:, :, 1:-1, 1:-1]
    y, corrected, plain = (
        open_session(one.SerializeToString()).run(["y"], {"picture": -x})[0][inside].mean(axis=(0, 2, 3))
        for one in (core, quantised(core, found, ["y"]), quantised(core, blind, ["y"]))
    )
    assert np.abs(corrected - y).max() < 0.5 * np.abs(plain - y).max()


def test_each_group_has_means_of_its_own():
    weights = RNG.normal(0, 1, (4, 2, 1, 1)).astype(np.float32)
    x = np.ones((1, 4, 2, 2), np.float32) * np.array([1, 2, 3, 4], np.float32).reshape(1, 4, 1, 1)
    nodes = [
        helper.make_node("Neg", ["p"], ["x"]),
        helper.make_node("Conv", ["x", "w"], ["y"], group=2),
        helper.make_node("Conv", ["y", "w"], ["z"], group=2),
    ]
    infos = [helper.make_tensor_value_info(name, FLOAT, ["n", 4, 2, 2]) for name in "pyz"]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], [numpy_helper.from_array(weights, "w")])
    core = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model = quantised(core, statistics(core, [-x]), ["y"])
    scale = tensor(model, "y.weights.scale").astype(np.float64)
    error = tensor(model, "y.weights.levels")[:, :, 0, 0] * scale[:, None] - weights[:, :, 0, 0]
    shift = [error[c] @ ([1, 2] if c < 2 else [3, 4]) for c in range(4)]
    got = tensor(model, "y.bias.levels") * tensor(model, "y.bias.scale").astype(np.float64)
    assert np.allclose(got, -np.array(shift), atol=1e-2 * scale.max())


def test_shares_are_those_of_the_multiplications():
    core = small("Conv")
    (layer,) = layers(core)
    assert layer.share == pytest.approx(5 * 4 / (5 * 4 + 2 * 5))


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("test_convnext", "test_vit", "mobilenetv3_small_050")
        ),
    ],
)
def test_real_networks_stay_near_float_and_open_everywhere(name):
    core = random_core(name, 96 if "convnext" in name else 160 if "vit" in name else 64)
    size = core.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    pictures = painted(8, size)
    model = quantised(core, statistics(core, [pictures]), [layer.name for layer in layers(core)])
    onnx.checker.check_model(model, full_check=True)
    assert [(item.domain, item.version) for item in model.opset_import] == [
        ("", 18)
    ] and model.ir_version == 8
    assert all(node.domain == "" for node in model.graph.node)
    assert model.ByteSize() < 0.7 * core.ByteSize()
    kinds = [
        open_session(one.SerializeToString()).run(["kinds"], {"pictures": pictures})[0]
        for one in (core, model)
    ]
    logits = [np.log(one[:, 1] / one[:, 0]) for one in kinds]
    assert np.abs(logits[0] - logits[1]).max() < 0.2 * max(np.abs(logits[0]).max(), 0.05)
    assert not np.array_equal(*logits)


def test_integers_are_really_used(resnet, tmp_path):
    """Or the conversions would only cost: onnxruntime must fuse every layer into an integer kernel."""
    model = quantised(resnet, statistics(resnet, [painted(4)]), [layer.name for layer in layers(resnet)])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node]
    assert kinds.count("QLinearConv") == len(layers(resnet)) > 10 and kinds.count("Conv") == 1


def saturating(activations, weights):
    """The dot product as x86 computes it without VNNI: pairs of products are added in 16 bits, which saturate."""
    pairs = (activations.astype(np.int64) * weights).reshape(-1, 2).sum(axis=1)
    return int(np.clip(pairs, -(2**15), 2**15 - 1).sum())


rows = st.lists(st.floats(-10, 10, width=32) | st.sampled_from([-1.0, 1.0]), min_size=4, max_size=4)


@settings(max_examples=200, deadline=None)
@given(rows, st.permutations(range(4)))
def test_no_order_of_the_weights_saturates(row, order):
    core = small("MatMul")
    array = numpy_helper.to_array(core.graph.initializer[0]).copy()
    array[:, 0] = row
    core.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, core.graph.initializer[0].name))
    model = quantised(
        core, Statistics(ranges=dict.fromkeys("xy", (-1.0, 1.0)), means={("x", -1): np.zeros(4)}), ["y"]
    )
    weights = tensor(model, "y.weights.levels")[:, 0].astype(np.int64)[list(order)]
    for signs in (weights > 0, weights < 0, np.ones(4, bool)):
        worst = np.where(signs, 255, 0)
        assert saturating(worst, weights) == int((worst * weights).sum())
    scale = tensor(model, "y.weights.scale")[0]
    assert np.abs(weights * scale - np.array(row, np.float32)[list(order)]).max() <= 0.51 * scale + 1e-12


def test_full_range_weights_would_saturate():
    """The trap is real: this is why the scales are not simply that of the largest weight."""
    weights, bright = np.array([127, 127]), np.array([255, 255])
    assert saturating(bright, weights) != int((bright * weights).sum())
    assert largest_sum(np.array([[1, 1], [1, -1], [-1, -1], [0, 0]], np.float32)).tolist() == [2, 1, 2, 0]


def test_a_channel_of_zeros_and_a_tensor_of_zeros_are_no_trouble():
    core = small("Conv", relu=True)
    weights = numpy_helper.to_array(core.graph.initializer[0]).copy()
    weights[2] = 0
    held = core.graph.initializer[0]
    held.CopyFrom(numpy_helper.from_array(weights, held.name))
    silent = np.zeros((1, 4, 6, 6), np.float32)
    model = quantised(core, statistics(core, [silent]), ["a"])
    assert np.isfinite(open_session(model.SerializeToString()).run(["z"], {"picture": silent})[0]).all()


def test_the_bias_of_a_channel_without_weights_survives():
    """As where a batch norm has learnt to close a channel: in steps of its tiny products the bias would not fit."""
    core = small("Conv")
    for at in (0, 2):  # weights, bias
        held = core.graph.initializer[at]
        array = numpy_helper.to_array(held).copy()
        array[1] = 1e-9 if array.ndim == 4 else array[1]
        if array.ndim == 1:
            array[1] = 0.75
        held.CopyFrom(numpy_helper.from_array(array, held.name))
    x = RNG.normal(0, 1, (2, 4, 6, 6)).astype(np.float32)
    model = quantised(core, statistics(core, [-x]), ["y"])
    got = open_session(model.SerializeToString()).run(["y"], {"picture": -x})[0][:, 1]
    step = tensor(model, "y.scale")
    assert np.abs(got - 0.75).max() <= 0.51 * step


def test_the_core_itself_is_not_touched(resnet):
    before = copy.deepcopy(resnet)
    quantised(resnet, statistics(resnet, [painted(2)]), [layer.name for layer in layers(resnet)])
    assert resnet == before

"""Batch norm folded into the linear layer behind it: the same numbers, and left alone where that would not hold."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from visiontune.tune.fold import fold_into_linear

RNG = np.random.default_rng(0)
F, C = 7, 3
X = RNG.normal(0, 1, (5, F)).astype(np.float32)
FLOAT = onnx.TensorProto.FLOAT


def graph(*, turned=True, bias=True, outputs=("y",), **options):
    """x -> BatchNormalization -> Gemm -> y."""
    tensors = {
        "gain": RNG.uniform(0.5, 2, F),
        "shift": RNG.normal(0, 1, F),
        "mean": RNG.normal(0, 3, F),
        "variance": RNG.uniform(1e-3, 9, F),
        "w": RNG.normal(0, 1, (C, F) if turned else (F, C)),
        "b": RNG.normal(0, 1, C),
    }
    nodes = [
        helper.make_node(
            "BatchNormalization", ["x", "gain", "shift", "mean", "variance"], ["normal"], epsilon=1e-3
        ),
        helper.make_node(
            "Gemm", ["normal", "w", *(["b"] if bias else [])], ["y"], transB=int(turned), **options
        ),
    ]
    shapes = {"y": ["n", C], "normal": ["n", F]}
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, ["n", F])],
        [helper.make_tensor_value_info(name, FLOAT, shapes[name]) for name in outputs],
        [
            numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in tensors.items()
            if bias or name != "b"
        ],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def run(model):
    onnx.checker.check_model(model, full_check=True)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], {"x": X})[0]


def kinds(model):
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_folded_it_says_the_same(turned, bias):
    model = graph(turned=turned, bias=bias)
    expected = run(model)
    assert fold_into_linear(model.graph) == 1
    assert kinds(model) == ["Gemm"] and len(model.graph.initializer) == 2
    assert run(model) == pytest.approx(expected, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("options", [{"alpha": 2.0}, {"beta": 0.5}, {"outputs": ("y", "normal")}])
def test_left_alone_where_it_would_not_hold(options):
    model = graph(**options)
    before = model.SerializeToString()
    assert fold_into_linear(model.graph) == 0
    assert model.SerializeToString() == before


def test_what_others_read_stays():
    """The exporter shares equal constants: the weights of one layer may be those of another."""
    model = graph()
    model.graph.node.append(helper.make_node("Gemm", ["x", "w", "b"], ["z"], transB=1))
    model.graph.output.append(helper.make_tensor_value_info("z", FLOAT, ["n", C]))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    expected = session.run(["y", "z"], {"x": X})
    assert fold_into_linear(model.graph) == 1
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(["y", "z"], {"x": X})
    assert np.array_equal(found[1], expected[1])
    assert found[0] == pytest.approx(expected[0], rel=1e-5, abs=1e-4)


def test_two_readers_keep_it():
    model = graph()
    model.graph.node.append(helper.make_node("Gemm", ["normal", "w", "b"], ["z"], transB=1))
    model.graph.output.append(helper.make_tensor_value_info("z", FLOAT, ["n", C]))
    assert fold_into_linear(model.graph) == 0 and kinds(model) == ["BatchNormalization", "Gemm", "Gemm"]


def test_a_convolution_behind_it_is_not_ours():
    model = graph()
    model.graph.node[1].op_type = "Conv"
    assert fold_into_linear(model.graph) == 0

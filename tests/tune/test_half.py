"""Weights in 16 bits: half the file, the arithmetic of float32, and what does not fit is left."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from visiontune.runtime.model import open_session
from visiontune.tune.half import halved

RNG = np.random.default_rng(0)
FLOAT = onnx.TensorProto.FLOAT


def linear(weights, bias):
    """x (n, K) -> x @ weights + bias."""
    tensors = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(bias, "b")]
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"])]
    x = helper.make_tensor_value_info("x", FLOAT, ["n", weights.shape[0]])
    y = helper.make_tensor_value_info("y", FLOAT, ["n", weights.shape[1]])
    graph = helper.make_graph(nodes, "g", [x], [y], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def answers(model, x):
    return open_session(model.SerializeToString()).run(["y"], {"x": x})[0]


def test_it_computes_as_float32_with_rounded_weights():
    weights, bias = RNG.normal(0, 1, (40, 30)).astype(np.float32), RNG.normal(0, 1, 30).astype(np.float32)
    x = RNG.normal(0, 100, (5, 40)).astype(
        np.float32
    )  # products that float16 could not hold to 1 part in 10^4
    core = linear(weights, bias)
    half = halved(core)
    onnx.checker.check_model(half, full_check=True)
    assert half.ByteSize() < 0.55 * core.ByteSize()
    rounded = linear(weights.astype(np.float16).astype(np.float32), bias)
    assert np.array_equal(answers(half, x), answers(rounded, x))
    assert not np.array_equal(answers(half, x), answers(core, x))
    held = {one.name: one.data_type for one in half.graph.initializer}
    assert held == {"w.half": onnx.TensorProto.FLOAT16, "b": FLOAT}  # 30 values are not worth a node


def test_weights_beyond_float16_stay():
    weights = RNG.normal(0, 1, (40, 30)).astype(np.float32)
    weights[3, 3] = 1e6
    core = linear(weights, np.zeros(30, np.float32))
    assert halved(core) == core


def test_the_core_is_not_touched():
    core = linear(np.ones((40, 30), np.float32), np.zeros(30, np.float32))
    before = core.SerializeToString()
    halved(core)
    assert core.SerializeToString() == before

"""The search gives back to float the layer whose rounding hurts, and no more than it may."""

import time

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from visiontune.tune.layers import layers
from visiontune.tune.quantize import Statistics, statistics
from visiontune.tune.sensitive import from_both_ends, logits, rms, search

RNG = np.random.default_rng(0)
FLOAT = onnx.TensorProto.FLOAT
DEPTH, WIDTH, OUTLIER = 5, 8, 2


def chain():
    """pictures (n, 8) -> five Gemms -> head -> softmax -> kinds. The input of layer 2 has one huge value that nothing uses."""
    nodes, tensors, name = [], [], "pictures"
    for at in range(DEPTH):
        weights = np.linalg.qr(RNG.normal(0, 1, (WIDTH, WIDTH)))[0].astype(np.float32)
        if at == OUTLIER:
            tensors.append(numpy_helper.from_array(np.eye(WIDTH, dtype=np.float32)[0] * 3000, "spike"))
            nodes.append(helper.make_node("Add", [name, "spike"], ["spiked"]))
            name, weights[:, 0] = "spiked", 0
        tensors.append(numpy_helper.from_array(weights, f"w{at}"))
        nodes.append(helper.make_node("Gemm", [name, f"w{at}"], [f"h{at}"], transB=1))
        name = f"h{at}"
    tensors.append(numpy_helper.from_array(RNG.normal(0, 2, (3, WIDTH)).astype(np.float32), "head"))
    nodes.append(helper.make_node("Gemm", [name, "head"], ["logits"], transB=1))
    nodes.append(helper.make_node("Softmax", ["logits"], ["kinds"], axis=1))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("pictures", FLOAT, ["n", WIDTH])],
        [helper.make_tensor_value_info("kinds", FLOAT, ["n", 3])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


CORE = chain()
PICTURES = RNG.normal(0, 1, (40, WIDTH)).astype(np.float32)
FOUND = statistics(CORE, [PICTURES])


def test_the_layer_that_hurts_is_found_and_given_back():
    result = search(CORE, FOUND, PICTURES, goal=0.1)
    assert len(result.layers) == DEPTH
    assert [layer.name for layer in result.kept] == [f"h{OUTLIER}"]
    assert result.after <= 0.1 < 1 < result.before
    assert rms(logits(result.core, PICTURES) - logits(CORE, PICTURES)) == pytest.approx(result.after)
    assert "1 of them kept in float" in str(result)


def test_nothing_is_given_back_where_the_goal_is_met():
    result = search(CORE, FOUND, PICTURES, goal=100.0)
    assert result.kept == () and result.before == result.after and "all in integers" in str(result)


def test_no_more_than_the_share_goes_back():
    assert search(CORE, FOUND, PICTURES, most_float=0.1).kept == ()
    greedy = search(CORE, FOUND, PICTURES, goal=0.0, most_float=0.5)
    assert 1 <= len(greedy.kept) <= 2 and sum(layer.share for layer in greedy.kept) <= 0.5


def test_it_ends_when_its_time_is_over():
    start = time.monotonic()
    result = search(CORE, FOUND, PICTURES, seconds=0)
    assert result.kept == () and result.after > 1 and time.monotonic() - start < 5


def test_a_network_without_layers_comes_back_as_it_is():
    bare = onnx.ModelProto()
    bare.CopyFrom(CORE)
    del bare.graph.node[:]
    bare.graph.node.append(helper.make_node("Softmax", ["pictures"], ["kinds"], axis=1))
    del bare.graph.initializer[:]
    result = search(bare, Statistics(ranges={}, means={}), PICTURES)
    assert result.layers == () and result.core.graph.node == bare.graph.node and result.before == 0


def test_both_ends_come_first():
    order = from_both_ends(tuple(layers(CORE)))
    assert [layer.name for layer in order] == ["h0", "h4", "h1", "h3", "h2"]


def test_the_error_is_that_of_the_logits_and_nan_is_infinite():
    (head,) = [one for one in CORE.graph.initializer if one.name == "head"]
    x = PICTURES.astype(np.float64)
    for at in range(DEPTH):
        (weights,) = [numpy_helper.to_array(one) for one in CORE.graph.initializer if one.name == f"w{at}"]
        x = x @ weights.T  # the spike meets weights of 0
    x = x @ numpy_helper.to_array(head).T
    assert np.allclose(logits(CORE, PICTURES), x - x.mean(axis=1, keepdims=True), atol=1e-3)
    assert rms(np.array([[np.nan]])) == np.inf

"""Folds a batch normalisation into the linear layer behind it; the exporter itself folds only those behind a convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Array = NDArray[np.float64]


def fold_into_linear(graph: onnx.GraphProto) -> int:
    """Folds every BatchNormalization of features (N, F) that only a Gemm reads; how many there were.

    Gemm(s * x + t) with weights W and bias b is Gemm'(x) with W' = W * s and b' = b + W t, computed in float64.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    folded = 0
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        readers = [node for node in graph.node if norm.output[0] in node.input]
        if norm.output[0] in outputs or len(readers) != 1 or not foldable(readers[0], norm, tensors):
            continue
        fold(graph, norm, readers[0], tensors)
        folded += 1
    if folded:
        used = {name for node in graph.node for name in node.input}
        for tensor in [one for one in graph.initializer if one.name not in used]:
            graph.initializer.remove(tensor)
    return folded


def foldable(gemm: onnx.NodeProto, norm: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]) -> bool:
    """Whether the node is a plain Gemm on the normalised features, and all that both take is constant."""
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0}
    options = attributes(gemm)
    return (
        gemm.op_type == "Gemm"
        and gemm.input[0] == norm.output[0]
        and norm.output[0] not in gemm.input[1:]
        and all(options.get(name, value) == value for name, value in plain.items())
        and all(name in tensors for name in [*norm.input[1:], *filter(None, gemm.input[1:])])
    )


def fold(
    graph: onnx.GraphProto, norm: onnx.NodeProto, gemm: onnx.NodeProto, tensors: dict[str, onnx.TensorProto]
) -> None:
    """Replaces the two nodes by one Gemm with weights of its own: others may share the old ones."""

    def value(name: str) -> Array:
        return numpy_helper.to_array(tensors[name]).astype(np.float64)

    gain, shift, mean, variance = (value(name) for name in norm.input[1:5])
    scale = gain / np.sqrt(variance + attributes(norm).get("epsilon", 1e-5))
    shift = shift - mean * scale
    turned = bool(attributes(gemm).get("transB", 0))
    weights = value(gemm.input[1]) if turned else value(gemm.input[1]).T  # (C, F)
    bias = value(gemm.input[2]) if len(gemm.input) > 2 and gemm.input[2] else np.zeros(len(weights))
    names = [f"{gemm.output[0]}.weight", f"{gemm.output[0]}.bias"]
    for name, array in zip(names, (weights * scale, bias + weights @ shift), strict=True):
        graph.initializer.append(numpy_helper.from_array(array.astype(np.float32), name))
    joined = helper.make_node("Gemm", [norm.input[0], *names], [gemm.output[0]], name=gemm.name, transB=1)
    gemm.CopyFrom(joined)
    graph.node.remove(norm)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """The node's attributes by name."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}

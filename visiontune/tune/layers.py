"""Which nodes of the core are worth computing in integers, and what share of the work each does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import shape_inference

from visiontune.tune.fold import attributes

LEAST_SHARE = 0.002  # of all multiplications: what computes less costs more in conversions than it saves


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A node that can be computed in integers: known by its output, with its share 0..1 of the network's multiplications."""

    name: str
    kind: str
    share: float


def layers(core: onnx.ModelProto) -> list[Layer]:
    """The nodes worth quantising, in the order of the graph.

    Conv, Gemm and MatMul with constant weights, but for depthwise convolutions, what computes next to nothing (squeeze
    and excite), those after which none comes, which give the logits of frame and cells, and a convolution that reads the
    picture: with three channels integers gain nothing there.
    """
    tensors, picture = {tensor.name: tensor for tensor in core.graph.initializer}, core.graph.input[0].name
    shapes = inferred_shapes(core)
    found = []
    for node in core.graph.node:
        if node.op_type in ("Conv", "Gemm", "MatMul") and len(node.input) > 1 and node.input[1] in tensors:
            work = float(np.prod(tensors[node.input[1]].dims)) * positions(node, shapes)
            found.append((node, work))
    total = sum(work for _, work in found)
    ends = last_ones(core.graph, {node.output[0] for node, _ in found})
    return [
        Layer(name=node.output[0], kind=node.op_type, share=work / total)
        for node, work in found
        if node.output[0] not in ends
        and work >= LEAST_SHARE * total
        and plain(node, tensors)
        and not reads(node, picture)
    ]


def last_ones(graph: onnx.GraphProto, names: set[str]) -> set[str]:
    """Of these nodes, by output, those from which no way leads to another of them."""
    leading: set[str] = set()  # tensors from which one does
    found = set()
    for node in reversed(graph.node):
        leads = bool(leading & set(node.output))
        if node.output[0] in names and not leads:
            found.add(node.output[0])
        if leads or node.output[0] in names:
            leading.update(node.input)
    return found


def reads(node: onnx.NodeProto, picture: str) -> bool:
    """Whether this is a convolution of the picture itself."""
    return node.op_type == "Conv" and node.input[0] == picture


def plain(node: onnx.NodeProto, tensors: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether the weights have a channel axis that onnxruntime multiplies in integers, and is not depthwise."""
    weights, options = tensors[node.input[1]], attributes(node)
    constant = all(name in tensors for name in node.input[1:] if name)
    if node.op_type == "Conv":
        return constant and weights.dims[1] > 1
    if node.op_type == "Gemm":
        return (
            constant
            and not options.get("transA", 0)
            and {options.get(n, 1.0) for n in ("alpha", "beta")} == {1.0}
        )
    return len(weights.dims) == 2


def inferred_shapes(core: onnx.ModelProto) -> dict[str, list[int]]:
    """Of each tensor that shape inference knows; the batch counts as 1."""
    known = shape_inference.infer_shapes(core).graph
    return {
        value.name: [max(1, dim.dim_value) for dim in value.type.tensor_type.shape.dim]
        for value in [*known.value_info, *known.output]
    }


def positions(node: onnx.NodeProto, shapes: Mapping[str, Sequence[int]]) -> int:
    """At how many places of one picture the weights are applied."""
    shape = list(shapes.get(node.output[0], [1]))
    places = shape[2:] if node.op_type == "Conv" else shape[1:-1]
    return int(np.prod(places))

"""The core network in 8-bit integers: QuantizeLinear and DequantizeLinear around its large Conv, Gemm and MatMul nodes.

Activations are uint8 with one scale a tensor, weights int8 with one scale an output channel, biases int32. x86 CPUs without
VNNI add two products of uint8 and int8 in 16 bits, which saturate without a word; so the scales are chosen such that no two
weights of a channel add up to more than 128 or less than -128: 255 * 128 fits, and old and new machines answer alike. It is
what a range reduced to 7 bits is for, and costs less. (Weights in uint8 are safe too, but twice as slow with VNNI.)
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from visiontune.runtime.model import open_session
from visiontune.tune.fold import attributes
from visiontune.tune.layers import layers

MOST = 127  # of a weight, and of the sum of two of a channel before they are rounded
MOST_BIAS = 2.0**30  # steps of a bias: it and the products must fit into 32 bits
LEAST_SCALE = np.float32(1e-12)  # of a channel whose weights are all 0


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What layers read and write: the least and largest value of each tensor, 0 included, and the mean of each channel read.

    The means are float64 (C,), by tensor and by the axis of its channels: 1 for Conv, -1 for Gemm and MatMul.
    """

    ranges: Mapping[str, tuple[float, float]]
    means: Mapping[tuple[str, int], NDArray[np.float64]]


def statistics(core: onnx.ModelProto, batches: Sequence[NDArray[np.float32]]) -> Statistics:
    """Runs the core on `batches` of normalised pictures float32 (n, 3, h, w) and watches what its layers read and write."""
    wanted, after = {layer.name for layer in layers(core)}, absorbed(core.graph)
    nodes = [node for node in core.graph.node if node.output[0] in wanted]
    axes = {(node.input[0], channels(node)) for node in nodes}
    names = sorted({name for name, _ in axes} | {after.get(name, name) for name in wanted})
    entrance = core.graph.input[0].name
    watched = copy.deepcopy(core)
    del watched.graph.output[:]
    shown = [name for name in names if name != entrance]
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in shown)
    session = open_session(watched.SerializeToString())
    ranges, means = dict.fromkeys(names, (0.0, 0.0)), dict.fromkeys(axes, np.zeros(1))
    total = sum(len(pictures) for pictures in batches)
    for pictures in batches:
        values = dict(zip(shown, session.run(shown, {entrance: pictures}), strict=True)) | {
            entrance: pictures
        }
        for name in names:
            low, high = ranges[name]
            ranges[name] = min(low, float(values[name].min())), max(high, float(values[name].max()))
        for name, axis in axes:
            rows = np.moveaxis(values[name], axis, -1).reshape(-1, values[name].shape[axis])
            means[name, axis] = (
                means[name, axis] + rows.mean(axis=0, dtype=np.float64) * len(pictures) / total
            )
    return Statistics(ranges=ranges, means=means)


def channels(node: onnx.NodeProto) -> int:
    """The axis of the channels in what a layer reads."""
    return 1 if node.op_type == "Conv" else -1


def quantised(core: onnx.ModelProto, found: Statistics, wanted: Iterable[str]) -> onnx.ModelProto:
    """A copy of the core whose `wanted` layers (by name) compute in integers.

    The bias of a Conv or Gemm takes up what the rounding of its weights does to the mean of each output channel (Nagel et
    al. 2019, arXiv 1906.04721, section 4.2).
    """
    model, names = copy.deepcopy(core), set(wanted)
    work = Rewriting(model.graph, found)
    for node in core.graph.node:
        (work.layer if node.output[0] in names else work.other)(node)
    del model.graph.node[:]
    model.graph.node.extend(work.nodes)
    used = {name for node in work.nodes for name in node.input}
    tensors = [*model.graph.initializer, *work.constants]
    del model.graph.initializer[:]
    model.graph.initializer.extend(tensor for tensor in tensors if tensor.name in used)
    return model


def absorbed(graph: onnx.GraphProto) -> dict[str, str]:
    """Of each Conv and Gemm that a Relu or Clip from 0 alone reads: its output, and that of the Relu or Clip.

    Rounding to uint8 from 0 on does what they do.
    """
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    values = {tensor.name: tensor for tensor in graph.initializer}
    makers = {node.output[0]: node.op_type for node in graph.node}
    found = {}
    for node in graph.node:
        low = values.get(node.input[1]) if node.op_type == "Clip" and len(node.input) > 1 else None
        if node.op_type == "Relu" or (low is not None and float(numpy_helper.to_array(low)) == 0):
            source = node.input[0]
            if readers[source] == 1 and makers.get(source) in ("Conv", "Gemm"):
                found[source] = node.output[0]
    return found


class Rewriting:
    """The nodes of the new graph, in order, and the constants that they need beside the old ones."""

    def __init__(self, graph: onnx.GraphProto, found: Statistics) -> None:
        self.found, self.absorbed = found, absorbed(graph)
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.read: dict[str, tuple[str, np.float32]] = {}  # what stands for a tensor in integers, its scale
        self.gone: set[str] = set()  # outputs of nodes whose work the rounding does

    def other(self, node: onnx.NodeProto) -> None:
        """Keeps a node as it is."""
        if node.output[0] not in self.gone:
            self.nodes.append(node)

    def layer(self, node: onnx.NodeProto) -> None:
        """Makes a node compute in integers."""
        made, source, out = copy.deepcopy(node), node.input[0], node.output[0]
        if source not in self.read:
            self.read[source] = (f"{source}.rounded", self.rounded(source, source, f"{source}.rounded"))
        made.input[0], scale = self.read[source]
        if (
            node.op_type == "MatMul"
        ):  # its integers become float at once: what follows is mostly a bias to add
            self.weights(made, source)
            self.nodes.append(made)
            return
        bias = self.given_bias(made)
        of_weights, shift = self.weights(made, source, least=np.abs(bias) / (float(scale) * MOST_BIAS))
        self.bias(made, bias - shift, scale * of_weights)
        target = self.absorbed.get(out, out)
        if target != out:
            self.gone.add(target)
        made.output[0] = f"{target}.exact"
        self.nodes.append(made)
        self.read[target] = (target, self.rounded(target, made.output[0], target))

    def rounded(self, tensor: str, source: str, target: str) -> np.float32:
        """Makes `target` of `source`: rounded to uint8 in the range of `tensor`, and float again. Gives the scale."""
        scale, zero = steps(*self.found.ranges[tensor])
        given = [self.constant(f"{tensor}.scale", scale), self.constant(f"{tensor}.zero", zero)]
        self.nodes.append(helper.make_node("QuantizeLinear", [source, *given], [f"{tensor}.levels"]))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{tensor}.levels", *given], [target]))
        return scale

    def weights(
        self, node: onnx.NodeProto, source: str, least: NDArray[np.float64] | float = 0.0
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Stores the node's weights as int8; gives the scale of each output channel, and by how much its mean moved, (C,).

        `least` is the smallest scale that may be: where the weights of a channel are next to 0 its bias would not fit.
        """
        rows = node.op_type == "Conv" or bool(attributes(node).get("transB", 0))
        array = numpy_helper.to_array(self.tensors[node.input[1]]).astype(np.float32)
        array = array if rows else array.T  # (C, ...)
        flat = array.reshape(len(array), -1)
        scale = np.maximum(np.maximum(largest_sum(flat) / MOST, least), LEAST_SCALE).astype(np.float32)
        levels = np.rint(flat / scale[:, np.newaxis]).astype(np.int8)
        error = (levels * scale[:, np.newaxis].astype(np.float64) - flat).reshape(array.shape)
        mean = self.found.means[source, channels(node)].reshape(-1, array.shape[1])  # a row a group
        group = np.arange(len(array)) * len(mean) // len(array)
        shift = (error.reshape(*array.shape[:2], -1).sum(axis=2) * mean[group]).sum(axis=1)
        levels = levels.reshape(array.shape) if rows else levels.T
        node.input[1] = self.stored(f"{node.output[0]}.weights", levels, scale, axis=0 if rows else 1)
        return scale, shift

    def given_bias(self, node: onnx.NodeProto) -> NDArray[np.float64]:
        """The node's bias, (C,) or (1,); 0 where it has none."""
        if len(node.input) < 3 or not node.input[2]:
            return np.zeros(1)
        return numpy_helper.to_array(self.tensors[node.input[2]]).astype(np.float64).reshape(-1)

    def bias(self, node: onnx.NodeProto, values: NDArray[np.float64], scale: NDArray[np.float32]) -> None:
        """Stores a bias (C,) for the node as int32 in units of the products."""
        levels = np.clip(np.rint(values / scale), -(2**31), 2**31 - 1).astype(np.int32)
        del node.input[2:]
        node.input.append(self.stored(f"{node.output[0]}.bias", levels, scale, axis=0))

    def stored(self, name: str, levels: NDArray[Any], scale: NDArray[np.float32], *, axis: int) -> str:
        """A constant in integers, made float again by a node; gives its name."""
        given = [
            self.constant(f"{name}.levels", levels),
            self.constant(f"{name}.scale", scale),
            self.constant(f"{name}.zero", np.zeros(len(scale), levels.dtype)),
        ]
        self.nodes.append(helper.make_node("DequantizeLinear", given, [name], axis=axis))
        return name

    def constant(self, name: str, value: Any) -> str:
        """Adds a constant; gives its name."""
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name


def largest_sum(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest absolute value of one weight, or of the sum of two, of each channel: float32 (C,) from (C, K)."""
    ends = np.sort(weights, axis=1)
    above, below = ends[:, -2:].clip(min=0).sum(axis=1), -ends[:, :2].clip(max=0).sum(axis=1)
    return np.asarray(np.maximum(above, below))


def steps(low: float, high: float) -> tuple[np.float32, np.uint8]:
    """Scale and zero point of uint8 for values low <= 0 <= high: real = scale * (level - zero)."""
    scale = np.maximum(np.float32((high - low) / 255), LEAST_SCALE)
    return scale, np.uint8(round(-low / float(scale)))

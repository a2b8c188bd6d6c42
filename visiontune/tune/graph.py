"""Builds the graph that ships: frames of any size in, the line's words and the decision out, in plain ONNX operators."""

from __future__ import annotations

import copy
import io
import logging
import warnings
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper
from timm.utils import reparameterize_model
from torch import Tensor, nn

from visiontune.data.fit import IR_VERSION, OPSET, fit_nodes
from visiontune.runtime.bands import Bands
from visiontune.tune.box_graph import add_boxes
from visiontune.tune.cells import RISK, raw_and_answers
from visiontune.tune.fold import fold_into_linear
from visiontune.tune.net import Net

STAND_IN = 0.731  # a division by 1 would be optimised away, and the file have no temperature to move
TEMPERATURES = (
    "head.temperature",
    "temperature",
    "net/temperature",
)  # as exported, as renamed, as merged


class Core(nn.Module):
    """What torch exports: normalised float pictures (N, 3, h, w) in, the head's answers out."""

    def __init__(self, net: Net, words: tuple[str, ...]) -> None:
        super().__init__()
        self.backbone = net.backbone
        self.head = net.head
        self.taps = net.taps
        self.cells = net.cells
        self.words = words

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        """The answers in the order of `words`."""
        raw, found = raw_and_answers(self, pictures, exported=True)
        if RISK in self.words:
            found[RISK] = self.head.risk(self.head.logits(raw))
        return tuple(found[word] for word in self.words)


def core_model(net: Net, size: tuple[int, int]) -> onnx.ModelProto:
    """The network alone: `pictures` float32 (n, 3, h, w), normalised; outputs the head's words. Opset 18, IR 8."""
    twin = copy.deepcopy(net).cpu().eval()
    twin.backbone = reparameterize_model(twin.backbone, inplace=True)
    twin.head.temperature.fill_(STAND_IN)
    example = torch.zeros(2, 3, *size)
    with torch.no_grad():
        words = (*raw_and_answers(twin, example, exported=True)[1], *net.more)
    quiet = io.StringIO()
    with (
        warnings.catch_warnings(),
        redirect_stdout(quiet),
        redirect_stderr(quiet),
        loggers_quiet("torch.onnx", "onnxscript"),
    ):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Core(twin, words).eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=["pictures"],
            output_names=list(words),
            dynamic_shapes={"pictures": {0: torch.export.Dim("n", min=1)}},
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = plain(program.model_proto)
    fold_into_linear(model.graph)
    set_temperature(model.graph, float(net.head.temperature))
    return model


class loggers_quiet:
    """Raises the level of some loggers for a while; the exporter tells much that a user cannot act on."""

    def __init__(self, *names: str) -> None:
        self.loggers = [logging.getLogger(name) for name in names]

    def __enter__(self) -> None:
        self.levels = [logger.level for logger in self.loggers]
        for logger in self.loggers:
            logger.setLevel(logging.ERROR)

    def __exit__(self, *_: object) -> None:
        for logger, level in zip(self.loggers, self.levels, strict=True):
            logger.setLevel(level)


def plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Strips what does not belong in a shipped file: source paths and code in node metadata, doc strings, unused names."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    model.doc_string = model.graph.doc_string = ""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
        tensor.doc_string = ""
    opsets = {item.domain: item.version for item in model.opset_import}
    if opsets.get("") != OPSET or set(opsets) - {""} & {node.domain for node in model.graph.node}:
        raise RuntimeError(f"the exporter wrote opsets {opsets}, expected only the default domain at {OPSET}")
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "visiontune", ""
    return model


def line_model(
    core: onnx.ModelProto, net: Net, bands: Bands, *, roi: tuple[float, float, float, float] | None
) -> onnx.ModelProto:
    """The whole graph: fit, normalise, core, decision. `frames` uint8 (n, height, width, 3) in."""
    size = tuple(dim.dim_value for dim in core.graph.input[0].type.tensor_type.shape.dim[2:])
    before = before_core((size[0], size[1]), roi, net.mean.cpu().numpy(), net.scale.cpu().numpy())
    joined = compose.merge_models(
        before,
        compose.add_prefix(core, "net/", rename_inputs=False, rename_outputs=False),
        io_map=[("normalised", "pictures")],
    )
    add_boxes(joined.graph, net.head, size=(size[0], size[1]), roi=roi)
    add_decision(joined.graph, bands)
    joined.graph.name = "visiontune"
    del joined.opset_import[1:]  # both parts bring the same
    joined.ir_version = IR_VERSION
    joined.producer_name, joined.doc_string = "visiontune", ""
    set_temperature(joined.graph, float(net.head.temperature))
    onnx.checker.check_model(joined, full_check=True)
    return joined


def before_core(
    size: tuple[int, int],
    roi: tuple[float, float, float, float] | None,
    mean: NDArray[np.float32],
    scale: NDArray[np.float32],
) -> onnx.ModelProto:
    """Fit on uint8 NHWC first, transpose after: the other order fails when onnxruntime optimises the layout."""
    nodes, tensors = fit_nodes("frames", "fitted", size=size, roi=roi)
    nodes += [
        helper.make_node("Transpose", ["fitted"], ["upright"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["upright"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["levels", "normalise.mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "normalise.scale"], ["normalised"]),
    ]
    tensors += [
        numpy_helper.from_array(mean, "normalise.mean"),
        numpy_helper.from_array(scale, "normalise.scale"),
    ]
    graph = helper.make_graph(
        nodes,
        "before",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", "height", "width", 3])],
        [helper.make_tensor_value_info("normalised", TensorProto.FLOAT, ["n", 3, *size])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)


def add_decision(graph: onnx.GraphProto, bands: Bands) -> None:
    """decision = not (severity < review_from) + (severity >= reject_from), int64 (n,); so a NaN is reviewed, never passed."""
    for edge in ("review_from", "reject_from"):
        value = np.array(getattr(bands, edge), np.float32)
        graph.initializer.append(numpy_helper.from_array(value, f"bands.{edge}"))
    graph.node.extend(
        [
            helper.make_node("Less", ["severity", "bands.review_from"], ["passes"]),
            helper.make_node("Not", ["passes"], ["held"]),
            helper.make_node("GreaterOrEqual", ["severity", "bands.reject_from"], ["rejected"]),
            helper.make_node("Cast", ["held"], ["held.count"], to=TensorProto.INT64),
            helper.make_node("Cast", ["rejected"], ["rejected.count"], to=TensorProto.INT64),
            helper.make_node("Add", ["held.count", "rejected.count"], ["decision"]),
        ]
    )
    graph.output.append(helper.make_tensor_value_info("decision", TensorProto.INT64, ["n"]))


def set_temperature(graph: onnx.GraphProto, temperature: float) -> None:
    """Gives the temperature its plain name and its value, so that it can be found and moved in the file."""
    # By the whole name, for backbones have temperatures of their own (EdgeNeXt in its attention).
    old = [tensor for tensor in graph.initializer if tensor.name in TEMPERATURES]
    if len(old) != 1:
        raise RuntimeError(f"expected one temperature among the initialisers, found {len(old)}")
    name = old[0].name
    old[0].CopyFrom(numpy_helper.from_array(np.array(temperature, np.float32), "temperature"))
    for node in graph.node:
        for position, source in enumerate(node.input):
            if source == name:
                node.input[position] = "temperature"

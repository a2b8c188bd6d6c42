"""Tiny real models for the tests of the line: sealed ONNX files with a card, built in milliseconds, that the Inspector opens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from visiontune.data.fit import IR_VERSION, OPSET, fit_nodes
from visiontune.runtime import card as cards
from visiontune.runtime import seal
from visiontune.runtime.bands import Bands
from visiontune.runtime.card import InputSpec, ModelCard
from visiontune.runtime.golden import Golden, golden_frames
from visiontune.runtime.look import FEATURES, Look
from visiontune.runtime.model import open_session
from visiontune.runtime.reference import Reference

CLASSES = ("good", "crack", "scratch")
GRID = 4  # the models look at the mean of 4 x 4 cells
FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def a_card(**changes: Any) -> ModelCard:
    """A sound card; `changes` replace fields."""
    sound = ModelCard(
        name="tiny",
        created="2026-01-31T12:00:00+00:00",
        made_by="visiontune 0.1.0",
        task="classify",
        classes=CLASSES,
        good="good",
        input=InputSpec(size=(16, 16), roi=None, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)),
        temperature=1.5,
        bands=Bands(0.3, 0.7, {"method": "by hand"}),
        recipe={"backbone": "none", "size": [16, 16]},
        data={
            "digest": "0" * 64,
            "layout": "class folders",
            "counts": {"train": {"good": 7, "crack": 2}},
            "group_pattern": None,
            "split_seed": 0,
            "fractions": [0.7, 0.15, 0.15],
        },
        versions={"onnx": onnx.__version__},
    )
    return replace(sound, **changes)


def a_reference(**changes: Any) -> Reference:
    """What val looked like to a model that passes good parts; `changes` replace fields. The gate lets any frame through."""
    sound = Reference(
        parts=40,
        frames=80,
        good=tuple(np.linspace(0.001, 0.35, 40).tolist()),
        defective=tuple(np.linspace(0.2, 1, 20).tolist()),
        ranges=dict.fromkeys(Look._fields, (-1000.0, 1000.0)),
        centre=(100.0, 20.0, 200.0, -1.0, 0.0, 0.0),
        covariance=tuple(map(tuple, np.eye(len(FEATURES)).tolist())),
        looks=tuple((0.1, distance) for distance in np.linspace(0.5, 4, 20).tolist()),
    )
    return replace(sound, **changes)


def line_model(
    card: ModelCard | None = None, *, seed: int = 0, heatmap: bool = False, golden: bool = True
) -> bytes:
    """A sealed file: frames -> region of interest, resize, normalise -> mean of cells -> MatMul -> softmax -> words.

    The heatmap, if asked for, is the brightness of the 4 x 4 cells, 0..1.
    """
    card = card or a_card()
    classes, good = len(card.classes), card.good is not None
    cell = [side // GRID for side in card.input.size]
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) * 255 for v in (card.input.mean, card.input.std))
    weights = np.random.default_rng(seed).normal(0, 1, (3 * GRID * GRID, classes))
    nodes, tensors = fit_nodes("frames", "fitted", size=card.input.size, roi=card.input.roi)
    tensors += [
        constant("mean", mean),
        constant("std", std),
        constant("weights", weights.astype(np.float32)),
        constant("temperature", np.float32(card.temperature)),
        constant("channel", np.array([1])),
        constant("end", np.array([2**31])),
        constant("none", np.float32(0)),
        constant("whole", np.float32(1)),
        constant("white", np.float32(255)),
    ]
    nodes += [
        node("Transpose", ["fitted"], "upright", perm=[0, 3, 1, 2]),
        node("Cast", ["upright"], "levels", to=FLOAT),
        node("Sub", ["levels", "mean"], "centred"),
        node("Div", ["centred", "std"], "normalised"),
        node("AveragePool", ["normalised"], "cells", kernel_shape=cell, strides=cell),
        node("Flatten", ["cells"], "features"),
        node("MatMul", ["features", "weights"], "logits"),
        node("Div", ["logits", "temperature"], "scaled"),
        node("Softmax", ["scaled"], "kinds", axis=1),
    ]
    if good:
        nodes.append(node("Slice", ["kinds", "channel", "end", "channel"], "defects"))
        nodes.append(node("ReduceSum", ["defects", "channel"], "risk", keepdims=0))
    else:
        nodes.append(node("ReduceMax", ["kinds", "channel"], "surest", keepdims=0))
        nodes.append(node("Sub", ["whole", "surest"], "risk"))
    nodes.append(node("Clip", ["risk", "none", "whole"], "severity"))
    outputs = [info("severity", FLOAT, ["n"]), info("kinds", FLOAT, ["n", classes])]
    if heatmap:
        nodes += [
            node("AveragePool", ["levels"], "bright", kernel_shape=cell, strides=cell),
            node("ReduceMean", ["bright", "channel"], "grey", keepdims=0),
            node("Div", ["grey", "white"], "heatmap"),
        ]
        outputs.append(info("heatmap", FLOAT, ["n", GRID, GRID]))
    return finished(nodes, tensors, outputs, card, golden=golden)


def table_model(rows: dict[str, Any], card: ModelCard | None = None) -> bytes:
    """A sealed file that looks its answers up: a frame whose first red value is i gets row i of every array in `rows`.

    `rows` maps a word (severity, kinds, heatmap, boxes, ...) to an array of 256 rows; without `kinds` it is sure of the
    first class, without `decision` it applies the card's bands. So a test can put any answer into the graph's mouth.
    """
    card = card or a_card()
    rows = {"kinds": np.tile(np.eye(len(card.classes))[0], (256, 1)), **rows}
    tensors = [
        constant("first", np.zeros(3, np.int64)),
        constant("second", np.ones(3, np.int64)),
        constant("axes", np.array([1, 2, 3])),
        constant("flat", np.array([-1])),
    ]
    nodes = [
        node("Slice", ["frames", "first", "second", "axes"], "corner"),
        node("Cast", ["corner"], "wide", to=INT),
        node("Reshape", ["wide", "flat"], "row"),
    ]
    outputs = []
    for word, found in rows.items():
        kind = INT if word in ("box_kinds", "decision") else FLOAT
        values = np.asarray(found, np.int64 if kind == INT else np.float32)
        tensors.append(constant(f"table.{word}", values))
        nodes.append(node("Gather", [f"table.{word}", "row"], word, axis=0))
        outputs.append(info(word, kind, ["n", *values.shape[1:]]))
    return finished(nodes, tensors, outputs, card, golden=False)


def looping_model(turns: NDArray[np.int64], *, golden: Golden | None = None) -> bytes:
    """A sealed file whose graph goes round turns[i] times, of 256, on a frame whose first red value is i; severity 0."""
    body = helper.make_graph(
        [node("Identity", ["go"], "go.on"), node("Add", ["total", "total.one"], "total.next")],
        "body",
        [info("turn", INT, []), info("go", TensorProto.BOOL, []), info("total", INT, [])],
        [info("go.on", TensorProto.BOOL, []), info("total.next", INT, [])],
        [constant("total.one", np.int64(1))],
    )
    kinds = len(a_card().classes)
    tensors = [
        constant("first", np.zeros(3, np.int64)),
        constant("second", np.ones(3, np.int64)),
        constant("axes", np.array([1, 2, 3])),
        constant("flat", np.array([-1])),
        constant("turns", np.asarray(turns, np.int64)),
        constant("yes", np.bool_(True)),
        constant("start", np.int64(0)),
        constant("nothing", np.int64(0)),
        constant("sure", np.eye(kinds, dtype=np.float32)[:1]),
        constant("last", np.array([kinds])),
    ]
    nodes = [
        node("Slice", ["frames", "first", "second", "axes"], "corner"),
        node("Cast", ["corner"], "wide", to=INT),
        node("Reshape", ["wide", "flat"], "row"),
        node("Gather", ["turns", "row"], "asked", axis=0),
        node("ReduceMax", ["asked"], "most", keepdims=0),
        node("Loop", ["most", "yes", "start"], "total.end", body=body),
        node("Mul", ["total.end", "nothing"], "zero"),  # so that the loop is not left out as useless
        node("Mul", ["row", "zero"], "zeros"),
        node("Cast", ["zeros"], "severity", to=FLOAT),
        node("Shape", ["row"], "n"),
        node("Concat", ["n", "last"], "many", axis=0),
        node("Expand", ["sure", "many"], "kinds"),
    ]
    outputs = [info("severity", FLOAT, ["n"]), info("kinds", FLOAT, ["n", kinds])]
    return finished(nodes, tensors, outputs, a_card(golden=golden), golden=False)


def level(value: int, shape: tuple[int, int] = (2, 2)) -> NDArray[np.uint8]:
    """A frame for `table_model`: it asks for row `value`."""
    return np.full((*shape, 3), value, np.uint8)


def finished(
    nodes: list[Any], tensors: list[Any], outputs: list[Any], card: ModelCard, *, golden: bool
) -> bytes:
    """The sealed file: adds the decision unless it is there, the golden answers and the card."""
    if all(output.name != "decision" for output in outputs):
        nodes += [
            node("Less", ["severity", "bands.review_from"], "passes"),
            node("Not", ["passes"], "held"),
            node("GreaterOrEqual", ["severity", "bands.reject_from"], "rejected"),
            node("Cast", ["held"], "held.count", to=INT),
            node("Cast", ["rejected"], "rejected.count", to=INT),
            node("Add", ["held.count", "rejected.count"], "decision"),
        ]
        tensors += [
            constant(f"bands.{edge}", np.float32(getattr(card.bands, edge)))
            for edge in ("review_from", "reject_from")
        ]
        outputs.append(info("decision", INT, ["n"]))
    frames = info("frames", TensorProto.UINT8, ["n", "height", "width", 3])
    graph = helper.make_graph(nodes, "line", [frames], outputs, tensors)
    model = whole(graph)
    if golden:
        card = replace(card, golden=answered(model.SerializeToString()))
    return sealed(model, card.to_json())


def whole(graph: onnx.GraphProto) -> onnx.ModelProto:
    """The graph as a checked model of the line's opset."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return model


def sealed(model: onnx.ModelProto, card: str | None) -> bytes:
    """The model's bytes with this card's text (None: no card) and a valid seal."""
    texts = {} if card is None else {cards.KEY: card}
    helper.set_model_props(model, {**texts, seal.KEY: seal.PLACEHOLDER})
    return seal.seal(model.SerializeToString())


def resealed(data: bytes, card: str | None) -> bytes:
    """The sealed file `data` with another card, sealed anew."""
    model = onnx.load_from_string(data)
    del model.metadata_props[:]
    return sealed(model, card)


def answered(graph: bytes, *, size: tuple[int, int] = (41, 29)) -> Golden:
    """What the graph says of two painted frames."""
    words = ["severity", "kinds", "decision"]
    severity, kinds, decision = open_session(graph).run(words, {"frames": golden_frames(7, 2, size)})
    return Golden(
        seed=7,
        frames=2,
        size=size,
        severity=tuple(severity.tolist()),
        kinds=tuple(tuple(row) for row in kinds.tolist()),
        decision=tuple(decision.tolist()),
    )


def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    """One node with one output."""
    return helper.make_node(kind, inputs, [output], **attributes)


def constant(name: str, value: Any) -> Any:
    """An initialiser."""
    return numpy_helper.from_array(np.asarray(value), name)


def info(name: str, kind: int, shape: list[Any]) -> Any:
    """The description of an input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def labelled_parts(root, name):
    """Class folders: 40 good (grey 0 to 39) and 40 cracked (180 to 219) parts, each file called `name(label, grey)`."""
    for label, first in (("good", 0), ("crack", 180)):
        (root / label).mkdir(parents=True)
        for grey in range(first, first + 40):
            Image.fromarray(level(grey)).save(root / label / f"{name(label, grey)}.png")
    return root

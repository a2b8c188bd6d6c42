"""The graph of a network that sees large frames by tiles: a loop inside the one file, so that memory does not grow with tiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from visiontune.data.fit import IR_VERSION, OPSET, fit_nodes
from visiontune.heads.suppression import BOX_WORD, SCORE_WORD
from visiontune.runtime.bands import Bands
from visiontune.tune.box_graph import add_boxes
from visiontune.tune.cells import HEATMAP, RISK
from visiontune.tune.graph import add_decision, line_model
from visiontune.tune.net import Net
from visiontune.tune.tiled_net import TiledNet

FLOAT = TensorProto.FLOAT
TEMPERATURE = "temperature"
OWNED = "tiles.owned"  # the cells' scores that count


def whole_model(
    core: onnx.ModelProto, net: Net, bands: Bands, *, roi: tuple[float, float, float, float] | None
) -> onnx.ModelProto:
    """The graph that ships, of a network that sees whole frames or tiles."""
    if isinstance(net, TiledNet):
        return tiled_model(core, net, bands, roi=roi)
    return line_model(core, net, bands, roi=roi)


def tiled_model(
    core: onnx.ModelProto, net: TiledNet, bands: Bands, *, roi: tuple[float, float, float, float] | None
) -> onnx.ModelProto:
    """The whole graph: fit; a loop that cuts a tile, normalises and judges it; the worst one's answer, the map, the decision.

    `core` is the network of one tile. `frames` uint8 (n, height, width, 3) in; tiles run one at a time, whatever n.
    """
    parts = Parts(*fit_nodes("frames", "fitted", size=net.grid.size, roi=roi))
    shapes = {output.name: shape(output)[1:] for output in core.graph.output}
    add_loop(parts, core, net)
    joined = (HEATMAP, RISK, BOX_WORD, SCORE_WORD)
    add_worst(parts, [word for word in shapes if word not in joined], net)
    if BOX_WORD in shapes:
        for word in (BOX_WORD, SCORE_WORD):
            shapes[word] = [len(net.grid) * shapes[word][0], shapes[word][1]]
        add_cells(parts, shapes, net)
    if HEATMAP in shapes:
        down, across = net.grid.blends(shapes[HEATMAP][0])
        add_stitching(parts, down, across, net)
        shapes[HEATMAP] = [len(down), len(across)]
    graph = helper.make_graph(
        parts.nodes,
        "visiontune",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", "height", "width", 3])],
        [helper.make_tensor_value_info(word, FLOAT, ["n", *s]) for word, s in shapes.items() if word != RISK],
        parts.tensors,
    )
    add_boxes(graph, net.head, size=net.grid.size, roi=roi, scores=OWNED)
    add_decision(graph, bands)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    model.producer_name = "visiontune"
    onnx.checker.check_model(model, full_check=True)
    return model


class Parts:
    """Nodes and constants of a graph in the making."""

    def __init__(self, nodes: list[Any], tensors: list[Any]) -> None:
        self.nodes, self.tensors = nodes, tensors

    def constant(self, name: str, value: Any) -> str:
        """Adds a constant once; gives its name."""
        if all(tensor.name != name for tensor in self.tensors):
            self.tensors.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Adds a node of one output; gives the output's name."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output


def add_loop(parts: Parts, core: onnx.ModelProto, net: TiledNet) -> None:
    """Adds `tiles.WORD` (n * tiles, 1, ...) for every word of the core.

    The weights stand inside the body: onnxruntime does not fuse layers with weights from outside, and takes twice as long. What
    people look for in a file, the temperature and the normalisation, stands outside, where it is in other files.
    """
    words = [output.name for output in core.graph.output]
    inner = renamed(core)
    parts.constant(TEMPERATURE, np.array(float(net.head.temperature), np.float32))
    parts.constant("normalise.mean", net.mean.cpu().numpy())
    parts.constant("normalise.scale", net.scale.cpu().numpy())
    grid = net.grid
    count = parts.constant("tiles.count", np.array([len(grid)], np.int64))
    turns = parts.node(
        "Mul", [parts.node("Shape", ["frames"], "tiles.n", start=0, end=1), count], "tiles.all"
    )
    flat = parts.constant("tiles.flat", np.zeros(0, np.int64))
    turns = parts.node("Reshape", [turns, flat], "tiles.turns")
    go = parts.constant("tiles.go", np.array(True))
    parts.constant("tiles.corners", grid.corners)
    parts.constant("tiles.step", np.array([1, grid.tile, grid.tile], np.int64))
    parts.constant("tiles.axes", np.array([0, 1, 2], np.int64))
    parts.nodes.append(
        helper.make_node(
            "Loop", [turns, go], [f"tiles.{word}" for word in words], name="tiles", body=tile_body(inner)
        )
    )


def tile_body(core: onnx.GraphProto) -> onnx.GraphProto:
    """What the loop does with tile number `tiles.turn`: cuts it, normalises it, asks the core."""
    body = Parts([], [])
    body.node("Identity", ["tiles.going"], "tiles.on")
    body.node("Div", ["tiles.turn", "tiles.count"], "tiles.frame")
    body.node("Mod", ["tiles.turn", "tiles.count"], "tiles.tile")
    corner = body.node("Gather", ["tiles.corners", "tiles.tile"], "tiles.corner")
    body.node("Reshape", [corner, body.constant("tiles.pair", np.array([2], np.int64))], "tiles.yx")
    body.node("Concat", ["tiles.frame", "tiles.yx"], "tiles.begin", axis=0)
    body.node("Add", ["tiles.begin", "tiles.step"], "tiles.end")
    body.node("Slice", ["fitted", "tiles.begin", "tiles.end", "tiles.axes"], "tiles.cut")
    body.node("Transpose", ["tiles.cut"], "tiles.upright", perm=[0, 3, 1, 2])
    body.node("Cast", ["tiles.upright"], "tiles.levels", to=FLOAT)
    body.node("Sub", ["tiles.levels", "normalise.mean"], "tiles.centred")
    body.node("Mul", ["tiles.centred", "normalise.scale"], core.input[0].name)
    body.nodes += core.node
    return helper.make_graph(
        body.nodes,
        "tile",
        [
            helper.make_tensor_value_info("tiles.turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("tiles.going", TensorProto.BOOL, []),
        ],
        [
            helper.make_tensor_value_info("tiles.on", TensorProto.BOOL, []),
            *(helper.make_tensor_value_info(one.name, FLOAT, [1, *shape(one)[1:]]) for one in core.output),
        ],
        [*body.tensors, *(tensor for tensor in core.initializer if tensor.name != TEMPERATURE)],
    )


def add_worst(parts: Parts, words: list[str], net: TiledNet) -> None:
    """Adds what the tile with the highest risk says, (n, ...), for each of the words."""
    count = len(net.grid)
    rows = parts.constant("tiles.rows", np.array([-1, count], np.int64))
    risks = parts.node("Reshape", ["tiles.risk", rows], "tiles.risks")
    worst = parts.node("ArgMax", [risks], "tiles.worst", axis=1, keepdims=0)
    zero = parts.constant("tiles.zero", np.int64(0))
    flat = parts.node(
        "Range", [zero, "tiles.turns", parts.constant("tiles.pace", np.int64(count))], "tiles.firsts"
    )
    at = parts.node("Add", [flat, worst], "tiles.at")
    for word in words:
        every = parts.node(
            "Squeeze",
            [f"tiles.{word}", parts.constant("tiles.own", np.array([1], np.int64))],
            f"tiles.{word}.flat",
        )
        parts.node("Gather", [every, at], word, axis=0)


def add_stitching(
    parts: Parts, down: NDArray[np.float32], across: NDArray[np.float32], net: TiledNet
) -> None:
    """Adds the frame's heatmap (n, h, w), blended of those of its tiles."""
    high, wide = len(net.grid.rows), len(net.grid.columns)
    cells = down.shape[1] // high
    by_place = parts.constant("tiles.places", np.array([-1, high, wide, cells, cells], np.int64))
    placed = parts.node("Reshape", ["tiles.heatmap", by_place], "tiles.placed")
    beside = parts.node("Transpose", [placed], "tiles.beside", perm=[0, 1, 3, 2, 4])
    side_by_side = parts.constant("tiles.sides", np.array([-1, high * cells, wide * cells], np.int64))
    blocks = parts.node("Reshape", [beside, side_by_side], "tiles.blocks")
    mixed = parts.node("MatMul", [parts.constant("tiles.down", down), blocks], "tiles.mixed")
    parts.node("MatMul", [mixed, parts.constant("tiles.across", np.ascontiguousarray(across.T))], HEATMAP)


def add_cells(parts: Parts, shapes: dict[str, list[int]], net: TiledNet) -> None:
    """Adds what the cells of all tiles say, boxes in pixels of the fitted frame, and the scores that count: those that tiles own.

    `shapes` are those of the frame's words.
    """
    tiles, corners = len(net.grid), net.grid.corners[:, [1, 0, 1, 0]]
    each = parts.constant("tiles.each", np.array([-1, tiles, shapes[BOX_WORD][0] // tiles, 4], np.int64))
    placed = parts.node("Reshape", [f"tiles.{BOX_WORD}", each], "tiles.boxes")
    origin = parts.constant("tiles.origin", corners[:, None].astype(np.float32))
    placed = parts.node("Add", [placed, origin], "tiles.beside_boxes")
    for source, word in ((placed, BOX_WORD), (f"tiles.{SCORE_WORD}", SCORE_WORD)):
        sides = parts.constant(f"tiles.{word}.sides", np.array([-1, *shapes[word]], np.int64))
        parts.node("Reshape", [source, sides], word)
    first, last, end = (parts.constant(f"tiles.edge{at}", np.array([at], np.int64)) for at in (0, 2, 4))
    wide = parts.constant("tiles.edges", np.array([3], np.int64))
    low = parts.node("Slice", [placed, first, last, wide], "tiles.low")
    high = parts.node("Slice", [placed, last, end, wide], "tiles.high")
    half = parts.constant("tiles.half", np.float32(0.5))
    middle = parts.node("Mul", [parts.node("Add", [low, high], "tiles.sum"), half], "tiles.middle")
    cores = net.grid.cores[:, None]
    begins = parts.constant("tiles.cores.begin", np.ascontiguousarray(cores[..., :2]))
    ends = parts.constant("tiles.cores.end", np.ascontiguousarray(cores[..., 2:]))
    after = parts.node("GreaterOrEqual", [middle, begins], "tiles.after")
    before = parts.node("LessOrEqual", [middle, ends], "tiles.before")
    across = parts.node("And", [after, before], "tiles.within")  # (n, tiles, P, 2)
    flags = parts.node("Cast", [across], "tiles.flags", to=FLOAT)
    least = parts.node("ReduceMin", [flags, wide], "tiles.least", keepdims=0)
    own = parts.node("Greater", [least, parts.constant("tiles.none", np.float32(0))], "tiles.mine")
    rows = parts.constant("tiles.cells", np.array([-1, shapes[BOX_WORD][0], 1], np.int64))
    own = parts.node("Reshape", [own, rows], "tiles.own_cells")
    parts.node("Where", [own, SCORE_WORD, "tiles.none"], OWNED)


def renamed(core: onnx.ModelProto) -> onnx.GraphProto:
    """The core's graph under names of its own, but for the temperature, which is found by its plain one."""
    graph: onnx.GraphProto = compose.add_prefix(core, "net/").graph
    for tensor in graph.initializer:
        if tensor.name == f"net/{TEMPERATURE}":
            tensor.name = TEMPERATURE
    for node in graph.node:
        for position, source in enumerate(node.input):
            if source == f"net/{TEMPERATURE}":
                node.input[position] = TEMPERATURE
    return graph


def shape(value: onnx.ValueInfoProto) -> list[int]:
    """The sides of an output, 0 for one that is not fixed."""
    return [dim.dim_value for dim in value.type.tensor_type.shape.dim]

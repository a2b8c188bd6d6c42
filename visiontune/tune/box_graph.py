"""The boxes of a frame in the graph: suppression, the strongest of what stays, and the way to the frame's pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from visiontune.data.fit import Region, Size
from visiontune.heads import HeadNet
from visiontune.heads.boxes import AGREE, TINY
from visiontune.heads.suppression import BOX_WORD, HEARD, SCORE_WORD, Suppression

FLOAT, INT = TensorProto.FLOAT, TensorProto.INT64


def add_boxes(
    graph: onnx.GraphProto, head: HeadNet, *, size: Size, roi: Region | None, scores: str = SCORE_WORD
) -> None:
    """Puts boxes, box_scores and box_kinds in the place of what all cells say; nothing where the network says no boxes.

    As Suppression.left does: within each kind NonMaxSuppression, then the strongest of all kinds, each where cells agree. Boxes
    (n, most, 4) are in pixels of the frame; `size` (h, w) is the fitted frame, `roi` what it shows of the frame, both as in
    `fit_nodes`. `scores` names what counts as the cells' scores.
    """
    rules = head.suppression
    if rules is None:
        return
    shapes = {one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim] for one in graph.output}
    cells, kinds = shapes[SCORE_WORD][1:]
    parts = Nodes(graph)
    kept = suppressed(parts, rules, scores)
    flat = parts.node("Reshape", [kept, parts.ints("boxes.flat", [0, -1])], "boxes.all")
    most = min(rules.most, cells * kinds)
    parts.nodes.append(
        helper.make_node("TopK", [flat, parts.ints("boxes.most", [most])], ["boxes.top", "boxes.at"], axis=1)
    )
    count = parts.ints("boxes.cells", cells)
    at = parts.node("Mod", ["boxes.at", count], "boxes.cell")
    kind = parts.node("Div", ["boxes.at", count], "boxes.kind")
    real = parts.node("Greater", ["boxes.top", parts.floats("boxes.none", 0.0)], "boxes.real")
    named = parts.node("Gather", [parts.ints("boxes.names", rules.named), kind], "boxes.named")
    named = parts.node("Where", [real, named, parts.ints("boxes.unnamed", 0)], "boxes.known")
    wide = parts.node("Unsqueeze", [at, parts.ints("boxes.last", [-1])], "boxes.column")
    wide = parts.node("Tile", [wide, parts.ints("boxes.edges", [1, 1, 4])], "boxes.corners")
    chosen = parts.node("GatherElements", [BOX_WORD, wide], "boxes.chosen", axis=1)
    chosen = agreed(parts, rules, scores, chosen, kind, cells)
    placed = in_frame(parts, chosen, size=size, roi=roi)
    shown = parts.node("Unsqueeze", [real, "boxes.last"], "boxes.shown")
    placed = parts.node("Where", [shown, placed, "boxes.none"], "boxes.placed")
    empty = rules.most - most
    for source, word, sides in (
        (placed, "boxes", [4]),
        ("boxes.top", "box_scores", []),
        (named, "box_kinds", []),
    ):
        pads = parts.ints(f"boxes.pads{len(sides)}", [0] * (3 + len(sides)) + [empty] + [0] * len(sides))
        parts.node("Pad", [source, pads], word)
    outputs = [one for one in graph.output if one.name not in (BOX_WORD, SCORE_WORD)]
    del graph.output[:]
    graph.output.extend(outputs)
    for word, kind_of, sides in (("boxes", FLOAT, [4]), ("box_scores", FLOAT, []), ("box_kinds", INT, [])):
        graph.output.append(helper.make_tensor_value_info(word, kind_of, ["n", rules.most, *sides]))
    graph.node.extend(parts.nodes)


class Nodes:
    """Nodes in the making; constants go to the graph at once."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.nodes: list[Any] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """Adds a node of one output; gives the output's name."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def ints(self, name: str, value: Any) -> str:
        """Adds int64 numbers once; gives their name."""
        return self._constant(name, np.array(value, np.int64))

    def floats(self, name: str, value: Any) -> str:
        """Adds float32 numbers once; gives their name."""
        return self._constant(name, np.array(value, np.float32))

    def _constant(self, name: str, value: Any) -> str:
        if all(tensor.name != name for tensor in self.graph.initializer):
            self.graph.initializer.append(numpy_helper.from_array(value, name))
        return name


def suppressed(parts: Nodes, rules: Suppression, scores: str) -> str:
    """Scores (n, K, P) of what stays, 0 elsewhere."""
    scores = parts.node("Transpose", [scores], "boxes.scores", perm=[0, 2, 1])
    limits = [
        parts.ints("boxes.limit", rules.most),
        parts.floats("boxes.overlap", rules.overlap),
        parts.floats("boxes.least", rules.least),
    ]
    # the corners' order x, y instead of y, x does not change how far two boxes overlap
    stays = parts.node("NonMaxSuppression", [BOX_WORD, scores, *limits], "boxes.stays")
    values = parts.node("GatherND", [scores, stays], "boxes.values")
    empty = parts.node("Mul", [scores, parts.floats("boxes.none", 0.0)], "boxes.empty")
    return parts.node("ScatterND", [empty, stays, values], "boxes.kept")


def agreed(parts: Nodes, rules: Suppression, scores: str, chosen: str, kind: str, cells: int) -> str:
    """Boxes (n, most, 4) where the strongest cells agree, of `chosen` ones and their kinds' columns: heads.boxes.agreed.

    What becomes of those of score 0 does not matter: they are hidden later.
    """
    heard = min(HEARD * rules.most, cells)
    node, last = parts.node, parts.ints("boxes.last", [-1])
    top = node("ReduceMax", [scores, last], "boxes.loudest", keepdims=0)
    count = parts.ints("boxes.heard", [heard])
    parts.nodes.append(helper.make_node("TopK", [top, count], ["boxes.loud", "boxes.who"], axis=1))
    who = node("Unsqueeze", ["boxes.who", last], "boxes.speaker")
    edges = node("Tile", [who, parts.ints("boxes.edges", [1, 1, 4])], "boxes.speakers")
    theirs = node("GatherElements", [BOX_WORD, edges], "boxes.theirs", axis=1)  # (n, heard, 4)
    said = node("GatherND", [scores, who], "boxes.said", batch_dims=1)  # (n, heard, K)
    said = node("Transpose", [said], "boxes.by_kind", perm=[0, 2, 1])
    said = node(
        "GatherND", [said, node("Unsqueeze", [kind, last], "boxes.row")], "boxes.of_kind", batch_dims=1
    )
    share = overlaps(parts, chosen, theirs)
    above = node("Sub", [share, parts.floats("boxes.agree", AGREE)], "boxes.above")
    above = node("Relu", [above], "boxes.agreeing")
    weight = node("Mul", [said, above], "boxes.say")
    weight = node("Mul", [weight, weight], "boxes.weight")  # (n, most, heard)
    total = node("ReduceSum", [weight, last], "boxes.total", keepdims=1)
    some = node("Greater", [total, parts.floats("boxes.none", 0.0)], "boxes.some")
    whole = node("Where", [some, total, parts.floats("boxes.one", 1.0)], "boxes.whole")
    mean = node("Div", [node("MatMul", [weight, theirs], "boxes.sum"), whole], "boxes.mean")
    down = parts.ints("boxes.down", [1])
    mean = node(
        "Max", [mean, node("ReduceMin", [theirs, down], "boxes.first", keepdims=1)], "boxes.not_below"
    )
    mean = node(
        "Min", [mean, node("ReduceMax", [theirs, down], "boxes.final", keepdims=1)], "boxes.not_above"
    )
    return node("Where", [some, mean, chosen], "boxes.agreed")


def overlaps(parts: Nodes, one: str, other: str) -> str:
    """IoU (n, A, B) of boxes (n, A, 4) and (n, B, 4): heads.boxes.overlaps."""
    node, last = parts.node, parts.ints("boxes.last", [-1])
    pieces = parts.ints("boxes.pieces", [2, 2])
    for source, name, axis in ((one, "one", 2), (other, "other", 1)):
        parts.nodes.append(
            helper.make_node("Split", [source, pieces], [f"boxes.{name}.from", f"boxes.{name}.to"], axis=2)
        )
        side = node("Sub", [f"boxes.{name}.to", f"boxes.{name}.from"], f"boxes.{name}.sides")
        at = parts.ints(f"boxes.{name}.axis", [axis])
        for word in ("from", "to"):
            node("Unsqueeze", [f"boxes.{name}.{word}", at], f"boxes.{name}.{word}.wide")
        side = node("Relu", [side], f"boxes.{name}.open")
        area = node("ReduceProd", [side, last], f"boxes.{name}.area", keepdims=0)
        node("Unsqueeze", [area, at], f"boxes.{name}.wide")
    low = node("Max", ["boxes.one.from.wide", "boxes.other.from.wide"], "boxes.low")
    high = node("Min", ["boxes.one.to.wide", "boxes.other.to.wide"], "boxes.high")
    both = node("Relu", [node("Sub", [high, low], "boxes.within")], "boxes.meeting")
    both = node("ReduceProd", [both, last], "boxes.both", keepdims=0)
    areas = node("Add", ["boxes.one.wide", "boxes.other.wide"], "boxes.areas")
    union = node("Sub", [areas, both], "boxes.union.exact")
    union = node("Add", [union, parts.floats("boxes.tiny", TINY)], "boxes.union")
    return node("Div", [both, union], "boxes.share")


def in_frame(parts: Nodes, boxes: str, *, size: Size, roi: Region | None) -> str:
    """Boxes (n, most, 4) in pixels of the frame, of those in pixels of the network's input."""
    if roi is None:
        shape = parts.node("Shape", ["frames"], "boxes.shape", start=1, end=3)
        extent = parts.node("Cast", [shape], "boxes.extent", to=FLOAT)
    else:  # the whole pixels that were cut out
        cut = parts.node("Sub", ["fit.end", "fit.start"], "boxes.cut")
        extent = parts.node("Cast", [cut], "boxes.extent", to=FLOAT)
    fitted = parts.floats("boxes.fitted", [size[1], size[0], size[1], size[0]])
    order = parts.ints("boxes.order", [1, 0, 1, 0])  # y, x to x, y, x, y
    spans = parts.node("Gather", [extent, order], "boxes.spans")
    scale = parts.node("Div", [spans, fitted], "boxes.scale")
    placed = parts.node("Mul", [boxes, scale], "boxes.scaled")
    if roi is None:
        return placed
    start = parts.node("Cast", ["fit.start"], "boxes.start", to=FLOAT)
    corner = parts.node("Gather", [start, order], "boxes.corner")
    return parts.node("Add", [placed, corner], "boxes.moved")

"""A real model file whose verdict is known beforehand: it rejects a frame that holds enough dark pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto

from tests.line_models import FLOAT, a_card, constant, finished, info, node
from visiontune.runtime.bands import Bands

LEVEL = 100  # grey levels below this are dark
FULL = 400.0  # dark pixels for a severity of 1


def dark_model(pixels: float, *, level: float = LEVEL, **changes: Any) -> bytes:
    """Passes a frame with fewer than `pixels` pixels darker than `level`, else rejects: severity is their number over FULL."""
    edge = pixels / FULL
    card = a_card(**{"bands": Bands(edge, edge), "classes": ("good", "dark"), **changes})
    nodes = [
        node("Cast", ["frames"], "levels", to=FLOAT),
        node("ReduceMean", ["levels", "channels"], "grey", keepdims=0),
        node("Less", ["grey", "level"], "is.dark"),
        node("Cast", ["is.dark"], "dark", to=FLOAT),
        node("ReduceSum", ["dark", "plane"], "area", keepdims=0),
        node("Div", ["area", "full"], "share"),
        node("Min", ["share", "one"], "severity"),
        node("Sub", ["one", "severity"], "soundness"),
        node("Unsqueeze", ["soundness", "last"], "left"),
        node("Unsqueeze", ["severity", "last"], "right"),
        node("Concat", ["left", "right"], "kinds", axis=1),
    ]
    tensors = [
        constant("channels", np.array([3])),
        constant("plane", np.array([1, 2])),
        constant("last", np.array([1])),
        constant("level", np.float32(level)),
        constant("full", np.float32(FULL)),
        constant("one", np.float32(1)),
    ]
    outputs = [info("severity", FLOAT, ["n"]), info("kinds", TensorProto.FLOAT, ["n", 2])]
    return finished(nodes, tensors, outputs, card, golden=False)

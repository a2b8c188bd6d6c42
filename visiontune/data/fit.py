"""Fits a frame to the model's input: region of interest, then the antialiased resize, by the very operator that ships.

The exported graph resizes with ONNX `Resize` (linear, antialias, exclude_outside) on uint8. The lab runs that same operator in
onnxruntime instead of a look-alike, so training, calibration and the line see identical pixels. Pillow's BILINEAR is within one
grey level of it (held by a test), cv2 and `antialias=False` are not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 18  # the oldest opset whose Resize knows antialias
IR_VERSION = 8  # what onnxruntime 1.16 reads

Size = tuple[int, int]
Region = tuple[float, float, float, float]


def fit_nodes(source: str, result: str, *, size: Size, roi: Region | None) -> tuple[list[Any], list[Any]]:
    """ONNX nodes and initialisers that turn `source` uint8 (N, H, W, 3) into `result` uint8 (N, h, w, 3).

    `size` is (h, w) in pixels. `roi` is (x0, y0, x1, y1) as fractions 0..1 of the frame, cut out before the resize; its
    edges are rounded down to whole pixels, so that any H and W work.
    """
    nodes: list[Any] = []
    tensors = [numpy_helper.from_array(np.array(size, np.int64), "fit.size")]
    whole = source
    if roi is not None:
        x0, y0, x1, y1 = roi
        corner = np.array([[y0, x0], [y1, x1]], np.float32)
        tensors += [
            numpy_helper.from_array(corner[0], "fit.roi.start"),
            numpy_helper.from_array(corner[1], "fit.roi.end"),
            numpy_helper.from_array(np.array([1, 2], np.int64), "fit.roi.axes"),
        ]
        nodes.append(helper.make_node("Shape", [source], ["fit.shape"], start=1, end=3))
        nodes.append(helper.make_node("Cast", ["fit.shape"], ["fit.extent"], to=TensorProto.FLOAT))
        for edge in ("start", "end"):
            nodes.append(helper.make_node("Mul", ["fit.extent", f"fit.roi.{edge}"], [f"fit.{edge}.exact"]))
            nodes.append(
                helper.make_node("Cast", [f"fit.{edge}.exact"], [f"fit.{edge}"], to=TensorProto.INT64)
            )
        whole = "fit.cut"
        nodes.append(helper.make_node("Slice", [source, "fit.start", "fit.end", "fit.roi.axes"], [whole]))
    nodes.append(
        helper.make_node(
            "Resize",
            [whole, "", "", "fit.size"],
            [result],
            axes=[1, 2],
            mode="linear",
            antialias=1,
            exclude_outside=1,
            coordinate_transformation_mode="half_pixel",
        )
    )
    return nodes, tensors


class Fit:
    """Callable that fits one frame: uint8 (H, W, 3) RGB of any size -> uint8 (h, w, 3). Safe to share between threads."""

    def __init__(self, size: Size, roi: Region | None = None) -> None:
        self.size = size
        self.roi = roi
        nodes, tensors = fit_nodes("frames", "fitted", size=size, roi=roi)
        graph = helper.make_graph(
            nodes,
            "fit",
            [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", "h", "w", "channels"])],
            [helper.make_tensor_value_info("fitted", TensorProto.UINT8, ["n", *size, "channels"])],
            tensors,
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = (
            False  # it would keep the memory of the largest frame, and saves no time
        )
        options.log_severity_level = 4  # what goes wrong is in the exception
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __reduce__(self) -> tuple[type[Fit], tuple[Size, Region | None]]:
        return Fit, (self.size, self.roi)  # a session does not travel to another process; what made it does

    def __call__(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The fitted frame, uint8 (h, w, 3)."""
        grey = is_grey(frame)  # one channel then does for three: half of the time, the same pixels
        given = np.ascontiguousarray(frame[:, :, :1]) if grey else frame
        fitted: NDArray[np.uint8] = self._session.run(None, {"frames": given[None]})[0][0]
        return np.repeat(fitted, 3, axis=2) if grey else fitted


def is_grey(frame: NDArray[np.uint8]) -> bool:
    """Whether the channels of a frame uint8 (H, W, 3) are the same; of a colourful one the first row tells."""
    first = frame[:, :, 0]
    return all(
        (first[rows] == frame[rows, :, other]).all()
        for rows in (slice(0, 1), slice(1, None))
        for other in (1, 2)
    )

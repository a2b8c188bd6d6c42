"""Part of the proof of an export: the file draws its boxes where the validated network does."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper
from torch import Tensor

from visiontune.data.fit import Fit
from visiontune.data.samples import Dataset
from visiontune.heads.suppression import BOX_WORD, SCORE_WORD
from visiontune.runtime.card import InputSpec
from visiontune.runtime.errors import ExportRefused
from visiontune.runtime.frame import Frame, decode
from visiontune.runtime.golden import Golden
from visiontune.runtime.model import open_session
from visiontune.runtime.regions import roi_pixels
from visiontune.tune.net import Net

PIXELS, SCORE = 0.01, 1e-4  # largest differences of an edge, in pixels of the network's input, and of a score
TIE = 1e-6  # of an overlap, 0..1
WORDS = ("boxes", "box_scores", "box_kinds")


@dataclass(frozen=True, kw_only=True)
class Apart:
    """The largest difference between file and network of an edge, in pixels of the network's input, and of a score."""

    pixels: float
    score: float


def prove_boxes(
    model: onnx.ModelProto, net: Net, spec: InputSpec, frames: Iterable[tuple[str, Frame]]
) -> Apart | None:
    """Compares the file's boxes with torch's on frames and their names; None where the network says no boxes.

    What every cell says must be what torch says, up to rounding. Which of them stay must then be exactly what torch would
    leave of the file's own cells: so a tie that rounding breaks otherwise does not count as a difference. Raises
    ExportRefused, naming the picture, where an edge differs by more than 0.01 pixels or a score by more than 1e-4.
    """
    if net.head.suppression is None:
        return None
    session = open_session(with_cells(model).SerializeToString())
    fit = Fit(spec.size, spec.roi)
    pixels = score = 0.0
    for name, frame in frames:
        found = session.run([*WORDS, BOX_WORD, SCORE_WORD], {"frames": frame[None]})
        *said, boxes, scores = (torch.from_numpy(one) for one in found)
        edge, chance = cells_apart(net, fit(frame), boxes, scores)
        more, most = left_apart(net, said, {BOX_WORD: boxes, SCORE_WORD: scores}, frame, spec)
        edge, chance = float(np.max([edge, more])), float(np.max([chance, most]))  # NaN stays NaN
        if not (edge <= PIXELS and chance <= SCORE):
            raise ExportRefused(
                f"the exported graph does not draw boxes as the validated network does: on {name} edges differ by {edge:.2g} "
                f"pixels and scores by {chance:.2g}, expected at most {PIXELS:g} and {SCORE:g}. No file was written"
            )
        pixels, score = max(pixels, edge), max(score, chance)
    return Apart(pixels=pixels, score=score)


def shown(painted: Golden, val: Dataset, spec: InputSpec) -> Iterator[tuple[str, Frame]]:
    """The frames of an export's proof, painted ones and all of val, and what messages call them."""
    for frame in painted.paint():
        yield "a painted frame", frame
    for sample in val:
        yield sample.id, decode(sample.path, window=spec.window)


def with_cells(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with what all its cells say as further outputs."""
    told = onnx.ModelProto()
    told.CopyFrom(model)
    for word in (BOX_WORD, SCORE_WORD):
        told.graph.output.append(helper.make_tensor_value_info(word, TensorProto.FLOAT, None))
    return told


def cells_apart(net: Net, fitted: NDArray[np.uint8], boxes: Tensor, scores: Tensor) -> tuple[float, float]:
    """How far boxes (1, P, 4) and scores (1, P, K) of the file's cells are from torch's of a fitted frame uint8 (h, w, 3)."""
    with torch.inference_mode():
        there = net.eval().exported(torch.from_numpy(fitted[None]).to(net.mean.device))
    return (
        float((boxes - there[BOX_WORD].cpu()).abs().max()),
        float((scores - there[SCORE_WORD].cpu()).abs().max()),
    )


def left_apart(
    net: Net, said: list[Tensor], cells: dict[str, Tensor], frame: Frame, spec: InputSpec
) -> tuple[float, float]:
    """How far the file's boxes are from what torch leaves of these cells, in pixels of the network's input; inf for other ones.

    Two ways to compute an overlap differ in its last digit, so that of the network's may be a hair more or less.
    """
    assert net.head.suppression is not None
    x0, y0, x1, y1 = roi_pixels(frame.shape[0], frame.shape[1], spec.roi)
    high, wide = spec.size
    corner = torch.tensor([x0, y0, x0, y0])
    scale = torch.tensor([(x1 - x0) / wide, (y1 - y0) / high] * 2)
    placed, strength, kinds = said
    real = strength > 0
    fitted = torch.where(real[..., None], (placed - corner) / scale, placed)
    for tie in (0, -TIE, TIE):
        expected = net.left(cells, net.head.suppression.moved(tie))
        if torch.equal(kinds, expected[2]) and torch.equal(real, expected[1] > 0):
            edge = float((fitted - expected[0]).abs().max())
            chance = float((strength - expected[1]).abs().max())
            if edge <= PIXELS and chance <= SCORE:
                return edge, chance
    return float("inf"), float("inf")

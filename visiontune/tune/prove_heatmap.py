"""Part of the proof of an export: the file says where as the validated network does, and a narrower file where it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from visiontune.data.fit import Fit
from visiontune.data.samples import Dataset
from visiontune.runtime.card import ModelCard
from visiontune.runtime.errors import ExportRefused
from visiontune.runtime.frame import decode
from visiontune.runtime.golden import Golden
from visiontune.runtime.model import open_session
from visiontune.runtime.verdict import Region, Verdict
from visiontune.tune.cells import HEATMAP
from visiontune.tune.net import Net

TOLERANCE = 1e-3  # largest difference of a cell, 0..1
PICTURES = 16  # of val, defective ones first: on good ones there is little to compare


def prove_heatmap(graph: bytes, net: Net, card: ModelCard, painted: Golden, val: Dataset) -> float | None:
    """The largest difference of a cell between graph and torch, on painted frames and some pictures of val.

    None where the graph speaks of no heatmap. Raises ExportRefused, naming the picture, where it is more than 1e-3.
    """
    session = open_session(graph)
    if HEATMAP not in [output.name for output in session.get_outputs()]:
        return None
    fit = Fit(card.input.size, card.input.roi)
    some = sorted(val, key=lambda sample: sample.label == val.good)[:PICTURES]
    frames = [("a painted frame", frame) for frame in painted.paint()]
    frames += [(sample.id, decode(sample.path, window=card.input.window)) for sample in some]
    worst = 0.0
    for name, frame in frames:
        (here,) = session.run([HEATMAP], {"frames": frame[None]})
        found = difference(here, net, fit(frame))
        if not found <= TOLERANCE:
            raise ExportRefused(
                "the exported graph does not say where as the validated network does: its heatmap differs by "
                f"{found:.2e} on {name}, expected at most {TOLERANCE:.0e}. No file was written"
            )
        worst = max(worst, found)
    return worst


def difference(heatmap: NDArray[np.float32], net: Net, fitted: NDArray[np.uint8]) -> float:
    """The largest difference between a heatmap (1, h, w) and torch's of a fitted frame uint8 (H, W, 3); NaN stays NaN."""
    with torch.inference_mode():
        answers = net.eval().answers(torch.from_numpy(fitted[None]).to(net.mean.device))
    there = answers[HEATMAP].cpu().numpy()
    return float(np.abs(heatmap - there).max())


class Places:
    """Judges through an inspector and keeps the regions of every picture, in order."""

    def __init__(self, inspector: Callable[[Path], Verdict]) -> None:
        self._inspector = inspector
        self.found: list[tuple[Region, ...]] = []

    def __call__(self, path: Path) -> Verdict:
        """The verdict on a picture's file."""
        verdict = self._inspector(path)
        self.found.append(verdict.regions)
        return verdict

    def strayed(self, other: Places) -> int:
        """On how many pictures one of the two shows a region whose box meets none of the other's."""
        pairs = zip(self.found, other.found, strict=True)
        return sum(alone(here, there) or alone(there, here) for here, there in pairs)


def alone(some: Sequence[Region], others: Sequence[Region]) -> bool:
    """Whether the box of one of `some` meets the box of none of the `others`."""
    return any(not any(meet(one.box, other.box) for other in others) for one in some)


def meet(one: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes (x0, y0, x1, y1) share an area."""
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])

"""Part of the proof of an export: the file says where as the validated network does."""

from __future__ import annotations

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
from visiontune.tune.cells import HEATMAP, answers
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
        pictures = net.eval().normalised(torch.from_numpy(fitted[None]).to(net.mean.device))
        there = answers(net, pictures)[HEATMAP].cpu().numpy()
    return float(np.abs(heatmap - there).max())

"""What is drawn on a picture judged worst: its boxes, or the outlines of its mask and of the regions of its heatmap."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
from PIL import Image

from visiontune.report.embed import Draw, shrunk
from visiontune.report.findings import Findings
from visiontune.report.outlined import outlined
from visiontune.runtime.draw import drawn
from visiontune.runtime.errors import BadFrame
from visiontune.runtime.frame import Frame
from visiontune.runtime.mask import read_mask
from visiontune.runtime.region_bands import DEFAULT
from visiontune.runtime.regions import peaks, roi_pixels

SIDE = 240  # pixels, of the longer side of a picture with boxes and their names


def where(findings: Findings, index: int) -> Draw | None:
    """How the picture at a place of val is to be drawn; None where nothing is known but the picture."""
    return boxes(findings, index) if findings.places else outlines(findings, index)


def boxes(findings: Findings, index: int) -> Draw:
    """The boxes that the model shows and those that people drew."""
    known = findings.places[index]

    def draw(frame: Frame) -> Image.Image:
        return drawn(frame, known.regions, classes=findings.classes, people=known.people, side=SIDE)

    return draw


def outlines(findings: Findings, index: int) -> Draw | None:
    """The outlines of its mask and of the regions of its heatmap; None where it has neither."""
    marked, heatmap = None, findings.heatmaps.get(index)
    if index in findings.masks:
        with suppress(BadFrame):  # it was there when the run read it; the page shows what is left
            marked = read_mask(findings.masks[index])
    if marked is None and heatmap is None:
        return None
    bands, roi = findings.regions or DEFAULT, findings.roi

    def draw(frame: Frame) -> Image.Image:
        shown = None
        if heatmap is not None:
            span = roi_pixels(frame.shape[0], frame.shape[1], roi)
            shown = peaks(heatmap, span=span, bands=bands)[0] >= np.float32(bands.high)
        return outlined(shrunk(frame), marked=marked, shown=shown, span=roi or (0.0, 0.0, 1.0, 1.0))

    return draw

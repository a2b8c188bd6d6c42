"""Turns a heatmap into regions: connected places that are hot somewhere and warm throughout."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.connected import Runs, connected
from visiontune.runtime.feret import longest, outline
from visiontune.runtime.region_bands import DEFAULT, RegionBands, shown_from
from visiontune.runtime.verdict import Proposals, Region

Span = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the frame


def roi_pixels(height: int, width: int, roi: tuple[float, float, float, float] | None) -> Span:
    """The region of interest in pixels, x0, y0, x1, y1, for a frame of this size; the whole frame for None.

    Float32 products rounded down, as the exported graph computes them.
    """
    if roi is None:
        return 0, 0, width, height
    extent = np.array([width, height, width, height], np.float32)
    x0, y0, x1, y1 = (np.array(roi, np.float32) * extent).astype(np.int64).tolist()
    return x0, y0, x1, y1


@dataclass(frozen=True, slots=True)
class Warm:
    """The connected sets of warm cells of a heatmap: their runs, how many cells each has, and its hottest value."""

    runs: Runs
    cells: NDArray[np.int64]
    peaks: NDArray[np.float32]

    def chosen(self, high: float, least: float) -> NDArray[np.int64]:
        """The sets whose peak is >= high and that have at least so many cells: (k,)."""
        return np.flatnonzero((self.peaks >= high) & (self.cells >= least))


def warm(heatmap: NDArray[np.float32], low: float) -> Warm:
    """The connected sets (8 neighbours) of cells >= low of a heatmap (h, w); NaN cells belong to none."""
    runs = connected(heatmap >= low)
    height, width = heatmap.shape
    # One cell more, for the last run may end behind the last one.
    flat = np.full(height * width + 1, -np.inf, np.float32)
    flat[:-1] = heatmap.ravel()
    peaks = np.full(runs.count, -np.inf, np.float32)
    if runs.count:
        borders = np.stack([runs.rows * width + runs.starts, runs.rows * width + runs.ends], axis=1)
        np.maximum.at(peaks, runs.owner, np.maximum.reduceat(flat, borders.ravel())[::2])
    return Warm(runs, runs.cells(), peaks)


def regions(
    heatmap: NDArray[np.float32], *, kind: str, span: Span, bands: RegionBands = DEFAULT
) -> tuple[Region, ...]:
    """Regions of `heatmap` (h, w), strongest first, named `kind`.

    heatmap  float (h, w), 0..1
    span     the pixels of the frame that the heatmap covers: x0, y0, x1, y1. A cell is a rectangle of them, seldom a whole
             number of pixels wide: boxes, areas and lengths are those of the rectangles, not rounded to cells or pixels
    bands    hysteresis, least area, pixel size

    A region's length is its maximum Feret diameter: the largest distance between two points of its cells. NaN cells belong
    to no region.
    """
    x0, y0, x1, y1 = span
    across, down = (x1 - x0) / heatmap.shape[1], (y1 - y0) / heatmap.shape[0]
    found = warm(heatmap, bands.low)
    chosen = found.chosen(bands.high, _least_cells(bands, across * down))
    if not len(chosen):
        return ()
    runs, boxes = found.runs, found.runs.boxes()
    first = boxes[chosen]
    chosen = chosen[np.lexsort((first[:, 0], first[:, 1], -found.peaks[chosen]))]
    mm = bands.pixel_mm
    made = []
    for index, own in zip(chosen.tolist(), runs.of(chosen), strict=True):
        corners = outline(runs.rows[own], runs.starts[own], runs.ends[own])
        left, top, right, bottom = boxes[index].tolist()
        area = int(found.cells[index]) * across * down
        made.append(
            Region(
                kind=kind,
                score=float(found.peaks[index]),
                box=(x0 + left * across, y0 + top * down, x0 + right * across, y0 + bottom * down),
                area=math.floor(area + 0.5),
                length=longest(corners, across, down),
                area_mm2=None if mm is None else area * mm[0] * mm[1],
                length_mm=None if mm is None else longest(corners, across * mm[0], down * mm[1]),
            )
        )
    return tuple(made)


def peaks(
    heatmap: NDArray[np.float32], *, span: Span, bands: RegionBands = DEFAULT
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The scores of the regions that there would be if the high band were as low as can be: (h, w) and (k,).

    The first says of each cell of `heatmap` (h, w) the score of its region, -inf where there is none; the second has each
    region's once. So `>= bands.high` tells the cells of `regions(...)`, and other high bands can be tried without cutting anew.
    """
    x0, y0, x1, y1 = span
    found = warm(heatmap, bands.low)
    cell = (x1 - x0) / heatmap.shape[1] * ((y1 - y0) / heatmap.shape[0])
    large = found.cells >= _least_cells(bands, cell)
    spread = np.full(heatmap.shape, -np.inf, np.float32)
    spread[heatmap >= bands.low] = found.runs.spread(np.where(large, found.peaks, np.float32(-np.inf)))
    return spread, found.peaks[large]


def boxed(proposed: Proposals, classes: Sequence[str], bands: RegionBands | None) -> tuple[Region, ...]:
    """The regions of a model that gives boxes, strongest first: those of its proposals that the bands let be shown."""
    shown = np.count_nonzero(proposed.scores >= shown_from(bands))
    corners, scores, kinds = (part[:shown].tolist() for part in proposed)
    return tuple(
        Region(classes[kind], score, tuple(box))
        for box, score, kind in zip(corners, scores, kinds, strict=True)
    )


def likeliest_defect(kinds: Mapping[str, float], good: str | None) -> str:
    """The name for a hot place: the most probable class that is not the good one; "" if there is none."""
    named = {name: chance for name, chance in kinds.items() if name != good}
    return max(named, key=named.__getitem__, default="")


def _least_cells(bands: RegionBands, cell: float) -> float:
    """The least area in cells, a hair under it: a region of exactly that area counts, however its area rounds."""
    return bands.min_area / cell * (1 - 1e-9)

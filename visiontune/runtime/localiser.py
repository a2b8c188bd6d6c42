"""Compares heatmaps with masks, one picture at a time, in memory that does not grow with their number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.aupimo import aupimo
from visiontune.runtime.aupro import aupro
from visiontune.runtime.average_precision import average_precision
from visiontune.runtime.card import ModelCard
from visiontune.runtime.errors import BadFrame, BadModel
from visiontune.runtime.froc import found_at
from visiontune.runtime.judging import Part
from visiontune.runtime.localisation import Localisation, events
from visiontune.runtime.marked_cells import Defect, defects
from visiontune.runtime.mask import read_mask
from visiontune.runtime.rate import exact_rate
from visiontune.runtime.region_bands import DEFAULT
from visiontune.runtime.regions import Span, likeliest_defect, peaks, roi_pixels
from visiontune.runtime.score_bins import BINS, bins
from visiontune.runtime.verdict import Verdict

Heatmap = NDArray[np.float32]


class Localiser:
    """Takes verdicts with heatmaps and says how well they show where; see Localisation.

    Scores are kept as counts in bins (see score_bins), some 30 MB however many pictures; a pair of scores of one bin counts as
    a tie. Only the regions of good pictures and the defects are kept one by one, a number each.
    """

    def __init__(self, card: ModelCard) -> None:
        self._good = card.good
        self._roi = card.input.roi
        self._bands = card.regions or DEFAULT
        self._hot_from = float(np.float32(self._bands.high))  # as a heatmap's float32 compares with it
        self._marked, self._unmarked, self._by_defect, self._by_picture, self._by_good = np.zeros((5, BINS))
        self._inside = 0  # defects in the region of interest
        self._masked_inside = 0  # pictures with such a defect
        self._hottest: list[float] = []
        self._outside = 0
        self._false: list[float] = []
        self._false_frames = self._masked = self._goods = self._good_cells = self._without = 0
        self._empty: list[str] = []
        self._marked_good: list[str] = []
        self._shared: dict[str, float] = {}
        self._either: dict[str, float] = {}
        self._shared_any = self._either_any = 0.0

    def add(self, part: Part, frame: tuple[int, int], verdict: Verdict) -> None:
        """Counts one picture; `frame` is its (H, W). A verdict without a heatmap counts for nothing.

        Raises BadFrame for a mask that cannot be read or is not of the frame's shape; BadModel for a heatmap with NaN or
        infinity.
        """
        heatmap = verdict.heatmap
        if heatmap is None or not heatmap.size:
            return
        if not np.isfinite(heatmap).all():
            raise BadModel(
                f"expected a heatmap of numbers, found NaN or infinity for {part.path}; the model must not be used"
            )
        path: Path | None = getattr(part, "mask", None)
        is_good = self._good is not None and part.label == self._good
        if path is None:
            if is_good:
                self._add_good(heatmap, frame, verdict)
            else:
                self._without += 1
            return
        mask = read_mask(path)
        _check_shape(mask.shape, frame, path)
        if mask.any() == is_good:
            (self._marked_good if is_good else self._empty).append(str(part.path))
        elif is_good:
            self._add_good(heatmap, frame, verdict)
        else:
            self._add_defective(heatmap, mask, frame, verdict, part.label or "")

    def _add_good(self, heatmap: Heatmap, frame: tuple[int, int], verdict: Verdict) -> None:
        span, cell = self._span(heatmap, frame)
        where = bins(heatmap).ravel()
        np.add.at(self._unmarked, where, cell)
        np.add.at(self._by_good, where, 1 / where.size)
        self._goods += 1
        self._good_cells += where.size
        spread, scores = peaks(heatmap, span=span, bands=self._bands)
        self._false += scores.tolist()
        hot = spread >= self._hot_from
        self._false_frames += bool(hot.any())
        self._count_overlap(hot, np.zeros(heatmap.shape), cell, verdict, None)

    def _add_defective(
        self, heatmap: Heatmap, mask: NDArray[np.bool_], frame: tuple[int, int], verdict: Verdict, label: str
    ) -> None:
        span, cell = self._span(heatmap, frame)
        where = bins(heatmap)
        spread, _ = peaks(heatmap, span=span, bands=self._bands)
        marked = np.zeros(heatmap.shape)
        for defect in defects(mask, cells=(heatmap.shape[0], heatmap.shape[1]), frame=frame, span=span):
            marked[defect.rows, defect.columns] += defect.areas
            self._add_defect(defect, where, spread)
        inside = marked.sum()
        self._masked += 1
        if inside > 0:
            np.add.at(self._by_picture, where.ravel(), marked.ravel() / inside)
            self._masked_inside += 1
        np.add.at(self._marked, where.ravel(), marked.ravel())
        left = cell - marked
        left[left < 1e-9 * cell] = 0  # what rounding leaves of a cell that is marked all over
        np.add.at(self._unmarked, where.ravel(), left.ravel())
        self._count_overlap(spread >= self._hot_from, marked, cell, verdict, label)

    def _add_defect(self, defect: Defect, where: NDArray[np.int64], spread: Heatmap) -> None:
        inside = defect.inside
        touched = defect.areas > 0
        if not inside > 0:
            self._outside += 1
            self._hottest.append(-np.inf)
            return
        self._inside += 1
        self._hottest.append(float(spread[defect.rows, defect.columns][touched].max()))
        under = where[defect.rows, defect.columns][touched]
        np.add.at(self._by_defect, under, defect.areas[touched] / inside)

    def _count_overlap(
        self,
        hot: NDArray[np.bool_],
        marked: NDArray[np.float64],
        cell: float,
        verdict: Verdict,
        label: str | None,
    ) -> None:
        """Adds a picture's pixels to the overlap of its kind, the one its regions are named, and of any."""
        shown, shared, all_marked = float(hot.sum()) * cell, float(marked[hot].sum()), float(marked.sum())
        self._shared_any += shared
        self._either_any += shown + all_marked - shared
        named = likeliest_defect(verdict.kinds, self._good) or verdict.kind
        if named == label:
            self._shared[named] = self._shared.get(named, 0.0) + shared
            self._either[named] = self._either.get(named, 0.0) + shown + all_marked - shared
            return
        for kind, pixels in ((named, shown), (label, all_marked)):
            if kind is not None:
                self._either[kind] = self._either.get(kind, 0.0) + pixels

    def _span(self, heatmap: Heatmap, frame: tuple[int, int]) -> tuple[Span, float]:
        """The pixels that the heatmap covers, and how many a cell does."""
        x0, y0, x1, y1 = span = roi_pixels(*frame, self._roi)
        return span, (x1 - x0) * (y1 - y0) / heatmap.size

    def result(self, confidence: float) -> Localisation | None:
        """What was found so far; None where no defective picture with a heatmap had a mask."""
        if not (self._masked or self._empty or self._marked_good):
            return None
        hottest, false = np.array(self._hottest), np.array(self._false)
        alarms = int((false >= self._hot_from).sum())
        some = self._goods > 0
        return Localisation(
            masked=self._masked,
            good=self._goods,
            found=exact_rate(int((hottest >= self._hot_from).sum()), len(hottest), confidence),
            outside=self._outside,
            false_regions=events(alarms, self._goods, confidence) if some else None,
            good_with_false=exact_rate(self._false_frames, self._goods, confidence) if some else None,
            found_at=found_at(hottest, false, self._goods, confidence) if some else None,
            iou={
                kind: self._shared.get(kind, 0.0) / either
                for kind, either in sorted(self._either.items())
                if either
            },
            iou_any=self._shared_any / self._either_any if self._either_any else None,
            pixel_ap=average_precision(self._marked, self._unmarked),
            aupro=aupro(self._by_defect / max(self._inside, 1), self._unmarked),
            aupimo=aupimo(self._by_picture / max(self._masked_inside, 1), self._by_good / self._goods)
            if some
            else None,
            good_cells=self._good_cells,
            without_mask=self._without,
            empty_masks=tuple(self._empty),
            marked_good=tuple(self._marked_good),
        )


def _check_shape(mask: tuple[int, ...], frame: tuple[int, int], path: Path) -> None:
    """Raises BadFrame unless the mask could be the frame at another scale, rounded to whole pixels."""
    (high, wide), (height, width) = mask, frame
    off = abs(wide * height / high - width) / max(1, width / wide)
    off = min(off, abs(high * width / wide - height) / max(1, height / high))
    if off > 1:
        raise BadFrame(
            f"{path}: expected a mask of the picture's shape, {width} x {height} pixels or in proportion, found {wide} x {high}; "
            "save it at the size of its picture"
        )

"""Compares the boxes that a model proposes with those that people drew, one picture at a time."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.annotation import Annotation
from visiontune.runtime.box_match import THRESHOLDS, matched
from visiontune.runtime.box_overlap import overlaps
from visiontune.runtime.box_precision import precision_and_recall
from visiontune.runtime.card import ModelCard
from visiontune.runtime.detection import Detection, KindFound
from visiontune.runtime.errors import BadData
from visiontune.runtime.froc import found_at
from visiontune.runtime.judging import Part
from visiontune.runtime.localisation import events
from visiontune.runtime.rate import exact_rate
from visiontune.runtime.region_bands import RegionBands, shown_from
from visiontune.runtime.regions import roi_pixels
from visiontune.runtime.verdict import Proposals

MOST = 100  # boxes of a picture and kind that count, as in COCO
ENOUGH = 0.5  # IoU from which a box and an object belong together
BITS = 1 << np.arange(len(THRESHOLDS), dtype=np.uint16)


@dataclass
class _Kind:
    """Of one kind: how many objects, and of each box of that kind its score and at which thresholds it is right or void."""

    objects: int = 0
    scores: array[float] = field(default_factory=lambda: array("f"))
    right: array[int] = field(default_factory=lambda: array("H"))
    void: array[int] = field(default_factory=lambda: array("H"))
    hottest: array[float] = field(default_factory=lambda: array("f"))  # of each object: of any box on it
    named: array[float] = field(default_factory=lambda: array("f"))  # of a box of its kind


class BoxCounter:
    """Takes proposals and says what they found; see Detection. Keeps 8 bytes a box and 8 an object.

    classes, good, roi, bands  as in the card of the model that proposes
    """

    def __init__(
        self,
        *,
        classes: tuple[str, ...],
        good: str | None,
        roi: tuple[float, float, float, float] | None,
        bands: RegionBands | None,
    ) -> None:
        self._classes = classes
        self._good = good
        self._roi = roi
        self._shown_from = shown_from(bands)
        self._kinds: dict[int, _Kind] = {}
        self._false = array("f")
        self._pictures = self._goods = self._false_frames = self._ignored = self._outside = self._without = 0
        self._boxed_good: list[str] = []

    @classmethod
    def of(cls, card: ModelCard) -> BoxCounter:
        """For the model of a card."""
        return cls(classes=card.classes, good=card.good, roi=card.input.roi, bands=card.regions)

    def add(self, part: Part, frame: tuple[int, int], proposed: Proposals | None) -> None:
        """Counts one picture; `frame` is its (H, W). None, of a model without boxes, counts for nothing.

        Raises BadData for boxes of a kind that the model does not know.
        """
        if proposed is None:
            return
        drawn: Sequence[Annotation] | None = getattr(part, "boxes", None)
        if self._good is not None and part.label == self._good:
            if any(not one.ignore for one in drawn or ()):
                self._boxed_good.append(str(part.path))
                return
            self._goods += 1
            on = (
                overlaps(proposed.corners, _corners(drawn or ()), np.ones(len(drawn or ()), np.bool_))
                >= ENOUGH
            )
            false = proposed.scores[~on.any(axis=1)]
            self._false.extend(false)
            self._false_frames += bool((false >= self._shown_from).any())
        elif not drawn:
            self._without += 1
            return
        self._pictures += 1
        self._compare(proposed, drawn or (), frame, part)

    def _compare(
        self, proposed: Proposals, drawn: Sequence[Annotation], frame: tuple[int, int], part: Part
    ) -> None:
        corners = _corners(drawn)
        ignored = np.array([one.ignore for one in drawn], np.bool_)
        kinds = np.array([self._position(one, part) for one in drawn], np.int64)
        overlap = overlaps(proposed.corners, corners, ignored)
        self._ignored += int(ignored.sum())
        self._outside += int((~_touches(corners, roi_pixels(*frame, self._roi)) & ~ignored).sum())
        for kind in np.union1d(proposed.kinds, kinds[kinds >= 0]).tolist():
            own = np.flatnonzero(proposed.kinds == kind)[:MOST]
            theirs = np.flatnonzero((kinds == kind) | (ignored & (kinds < 0)))
            self._add(kind, proposed.scores[own], overlap[np.ix_(own, theirs)], ignored[theirs])
        for at in np.flatnonzero(~ignored).tolist():
            on = overlap[:, at] >= ENOUGH
            one = self._kinds[kinds[at]]
            one.hottest.append(proposed.scores[on].max(initial=-np.inf))
            one.named.append(proposed.scores[on & (proposed.kinds == kinds[at])].max(initial=-np.inf))

    def _add(
        self,
        kind: int,
        scores: NDArray[np.float32],
        overlap: NDArray[np.float64],
        ignored: NDArray[np.bool_],
    ) -> None:
        one = self._kinds.setdefault(kind, _Kind())
        one.objects += int((~ignored).sum())
        owner = matched(overlap, ignored)
        took = owner >= 0
        void = took & np.append(ignored, False)[owner]
        one.scores.extend(scores)
        one.right.extend((took & ~void).T @ BITS)
        one.void.extend(void.T @ BITS)

    def _position(self, one: Annotation, part: Part) -> int:
        if one.kind in self._classes:
            return self._classes.index(one.kind)
        if one.ignore:
            return -1  # whatever lies in it counts for nothing, of any kind
        raise BadData(
            f"{part.path}: expected boxes of {', '.join(self._classes)}, found one of {one.kind}; rename it or take it out"
        )

    def result(self, confidence: float) -> Detection | None:
        """What was found so far; None where no picture had an object to be found and none was left out for its boxes."""
        whole = {self._classes[kind]: one for kind, one in sorted(self._kinds.items()) if one.objects}
        if not whole and not self._boxed_good:
            return None
        kinds = {name: self._of_kind(one, confidence) for name, one in whole.items()}
        hottest, named = (
            np.concatenate(
                [np.empty(0), *(np.array(getattr(one, what), np.float64) for one in whole.values())]
            )
            for what in ("hottest", "named")
        )
        shown, right = self._shown()
        false, some = np.array(self._false, np.float64), self._goods > 0
        found = hottest >= self._shown_from
        alarms = int((false >= self._shown_from).sum())
        return Detection(
            pictures=self._pictures,
            good=self._goods,
            objects=len(hottest),
            ignored=self._ignored,
            map=_mean([one.ap for one in kinds.values()]),
            ap50=_mean([one.ap50 for one in kinds.values()]),
            ar=_mean([one.ar for one in kinds.values()]),
            kinds=kinds,
            found=exact_rate(int(found.sum()), len(hottest), confidence),
            named=exact_rate(int((named >= self._shown_from).sum()), int(found.sum()), confidence),
            outside=self._outside,
            right=exact_rate(right, shown, confidence),
            false_boxes=events(alarms, self._goods, confidence) if some else None,
            good_with_false=exact_rate(self._false_frames, self._goods, confidence) if some else None,
            found_at=found_at(hottest, false, self._goods, confidence) if some else None,
            without_boxes=self._without,
            boxed_good=tuple(self._boxed_good),
        )

    def _of_kind(self, one: _Kind, confidence: float) -> KindFound:
        right, void = (
            (np.array(bits, np.uint16)[:, None] & BITS).astype(np.bool_) for bits in (one.right, one.void)
        )
        average, recall = precision_and_recall(np.array(one.scores, np.float32), right, void, one.objects)
        hits = int((np.array(one.hottest) >= self._shown_from).sum())
        return KindFound(
            objects=one.objects,
            ap=float(average.mean()),
            ap50=float(average[0]),
            ar=float(recall.mean()),
            found=exact_rate(hits, one.objects, confidence),
        )

    def _shown(self) -> tuple[int, int]:
        """Boxes shown that count for something, and those of them that are right."""
        counts = np.zeros(2, np.int64)
        for one in self._kinds.values():
            shown = np.array(one.scores, np.float32) >= self._shown_from
            right, void = (np.array(bits, np.uint16) & 1 > 0 for bits in (one.right, one.void))
            counts += (shown & ~void).sum(), (shown & right).sum()
        return int(counts[0]), int(counts[1])


def _corners(drawn: Sequence[Annotation]) -> NDArray[np.float64]:
    return np.array([(one.x0, one.y0, one.x1, one.y1) for one in drawn], np.float64).reshape(-1, 4)


def _touches(corners: NDArray[Any], span: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Which boxes (k, 4) share area with the region of interest."""
    x0, y0, x1, y1 = span
    found: NDArray[np.bool_] = (
        (corners[:, 0] < x1) & (corners[:, 1] < y1) & (corners[:, 2] > x0) & (corners[:, 3] > y0)
    )
    return found


def _mean(values: list[float]) -> float:
    return float(np.mean(values)) if values else 0.0

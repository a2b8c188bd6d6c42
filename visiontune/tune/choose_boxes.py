"""Chooses from which score boxes are shown, by the boxes of val: few false ones, and the best balance of found and right."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from visiontune.data.box_targets import BoxTargets, load_boxes
from visiontune.data.frames import Frames
from visiontune.runtime.box_match import THRESHOLDS, matched
from visiontune.runtime.box_overlap import overlaps
from visiontune.runtime.froc import PER_FRAME
from visiontune.runtime.rate import Rate, exact_rate
from visiontune.runtime.region_bands import RegionBands
from visiontune.runtime.verdict import Proposals
from visiontune.tune.choose_regions import CONFIDENCE, NEVER
from visiontune.tune.net import Net, together

if TYPE_CHECKING:
    from visiontune.tune.run import Run

USUAL = 0.5  # where no picture tells


@dataclass(frozen=True, kw_only=True)
class ChosenBoxes:
    """A band, and what it does on the pictures it was chosen on: these figures lean to the favourable side.

    found        objects that a shown box of their kind overlaps by half (IoU)
    right        of the shown boxes, those that found one, each object once
    good, false  good pictures and the boxes shown in them
    """

    bands: RegionBands
    found: Rate
    right: Rate
    good: int
    false: int

    def __str__(self) -> str:
        if self.bands.high > 1:
            return (
                f"boxes: never shown: no score finds one of {self.found.of} objects of val and leaves at most one false box in "
                f"100 of {self.good} good pictures"
            )
        said = f"boxes: shown from {self.bands.high:.3g}; on val {self.found.hits} of {self.found.of} objects found"
        said += f", {self.right.hits} of {self.right.of} boxes right"
        return said + (f", {self.false} false in {self.good} good pictures" if self.good else "")


def val_boxes(run: Run) -> RegionBands | None:
    """The band for a run, by the boxes of its val share; printed, and kept in run.json as metrics.boxes.

    Where val shows no object whose box is known, by its good pictures alone; None, for any box, where val has neither.
    """
    run.metrics.pop("boxes", None)
    val = run.data.share("val")
    targets = load_boxes(val, run.recipe.size, run.recipe.roi, run.data.classes)
    good = np.array([val.good is not None and sample.label == val.good for sample in val], np.bool_)
    found = chosen_boxes(proposals(run.net, run.pictures("val")), targets, good)
    if found is None:
        return None
    run.metrics["boxes"] = asdict(found)
    run.console.print(f"  {found}", highlight=False, soft_wrap=True)
    return found.bands


def proposals(net: Net, frames: Frames) -> list[Proposals]:
    """What the network proposes for every fitted frame uint8 (n, h, w, 3), in pixels of it; kinds are classes."""
    found, some = [], together((frames.shape[1], frames.shape[2]))
    with torch.inference_mode():
        for start in range(0, len(frames), some):
            said = net.eval().answers(torch.from_numpy(frames[start : start + some]).to(net.mean.device))
            rows = (said[word].cpu().numpy() for word in ("boxes", "box_scores", "box_kinds"))
            for corners, scores, kinds in zip(*rows, strict=True):
                real = np.argsort(-scores, kind="stable")[: np.count_nonzero(scores > 0)]
                found.append(Proposals(corners[real], scores[real], kinds[real]))
    return found


def chosen_boxes(
    proposed: list[Proposals], targets: BoxTargets, good: NDArray[np.bool_]
) -> ChosenBoxes | None:
    """The band for proposals of pictures whose objects are `targets`, kinds being classes; `good` (n,) says which are good.

    Of the bands that leave at most one false box in 100 good pictures (so none where there are fewer) the one with the best F1
    of found objects and right boxes, at an IoU of 0.5, each object once; the highest of equals. It lies half way to the next
    weaker box. None where val shows neither an object nor a good picture.
    """
    scores, right, void, objects = told(proposed, targets)
    false = np.sort(np.concatenate([np.empty(0), *(proposed[at].scores for at in np.flatnonzero(good))]))[
        ::-1
    ]
    if not objects and not good.any():
        return None
    allowed = int(PER_FRAME * good.sum() * (1 + 1e-12))
    above = -np.inf if len(false) <= allowed else false[allowed]
    order = np.argsort(-scores, kind="stable")
    scores, right, void = scores[order], right[order], void[order]
    counted = ~void
    # a band may cut between two boxes of different scores only
    ends = np.flatnonzero(np.append(scores[1:] < scores[:-1], True)[: len(scores)] & (scores > above))
    high: float = NEVER
    if objects and len(ends):
        f1 = 2 * right.cumsum()[ends] / (objects + counted.cumsum()[ends])
        last = int(ends[f1.argmax()])
        if right[: last + 1].any():
            weaker = max(float(scores[last + 1]) if last + 1 < len(scores) else 0.0, above, 0.0)
            high = between(weaker, float(scores[last]))
    elif not objects:
        quiet = max(USUAL, float(np.nextafter(np.float32(max(above, 0.0)), np.float32(2))))
        high = quiet if quiet <= 1 else NEVER
    shown = scores >= np.float32(high)
    return ChosenBoxes(
        bands=RegionBands(low=high, high=high),
        found=exact_rate(int((right & shown).sum()), objects, CONFIDENCE),
        right=exact_rate(int((right & shown).sum()), int((counted & shown).sum()), CONFIDENCE),
        good=int(good.sum()),
        false=int((false >= np.float32(high)).sum()),
    )


def between(weaker: float, stronger: float) -> float:
    """Half way between two scores of float32: above the weaker, and not above the stronger."""
    middle = np.float32((weaker + stronger) / 2)
    return float(np.clip(middle, np.nextafter(np.float32(weaker), np.float32(2)), np.float32(stronger)))


def told(
    proposed: list[Proposals], targets: BoxTargets
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], int]:
    """Of all boxes in pictures of which is known where: score, right, void (n,); and how many objects there are."""
    rows: list[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]] = []
    objects = 0
    for found, known in zip(proposed, targets, strict=True):
        if not known.known:
            continue
        objects += int((known.kinds >= 0).sum())
        for kind in np.unique(found.kinds).tolist():
            own = found.kinds == kind
            ignored = known.kinds[(known.kinds == kind) | (known.kinds < 0)] < 0
            theirs = known.corners[(known.kinds == kind) | (known.kinds < 0)]
            owner = matched(overlaps(found.corners[own], theirs, ignored), ignored, THRESHOLDS[:1])[0]
            took = owner >= 0
            void = took & np.append(ignored, False)[owner]
            rows.append((found.scores[own], took & ~void, void))
    if not rows:
        return np.empty(0), np.empty(0, np.bool_), np.empty(0, np.bool_), objects
    scores, right, void = (np.concatenate(column) for column in zip(*rows, strict=True))
    return scores.astype(np.float64), right, void, objects

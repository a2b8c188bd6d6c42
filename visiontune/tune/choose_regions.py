"""Chooses how regions are cut from a heatmap, by the masks of val: few false ones, and those that overlap best."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from visiontune.data.frames import Frames
from visiontune.data.masks import DEFECT, GOOD, load_masks
from visiontune.runtime.errors import BadData
from visiontune.runtime.froc import found_at
from visiontune.runtime.marked_cells import Defect, defects
from visiontune.runtime.rate import Rate
from visiontune.runtime.region_bands import DEFAULT, RegionBands
from visiontune.runtime.regions import peaks
from visiontune.tune.cells import HEATMAP
from visiontune.tune.net import Net, together

if TYPE_CHECKING:
    from visiontune.tune.run import Run

LOWS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CONFIDENCE = 0.95
NEVER = 2.0  # a high band that no cell reaches


@dataclass(frozen=True, kw_only=True)
class ChosenRegions:
    """Bands, and what they do on the pictures they were chosen on: these figures lean to the favourable side.

    found  defects that a region touches, at the network's size; good, false  good pictures and the regions in them
    iou    of regions and masks, whatever the kind, 0..1
    """

    bands: RegionBands
    found: Rate
    good: int
    false: int
    iou: float

    def __str__(self) -> str:
        return (
            f"regions: cells from {self.bands.low:g} where they reach {self.bands.high:.3g}; on val {self.found.hits} of "
            f"{self.found.of} defects, {self.false} false in {self.good} good pictures, overlap {100 * self.iou:.0f} %"
        )


def val_regions(run: Run) -> RegionBands | None:
    """The region bands for a run, by the masks of its val share; printed, and kept in run.json as metrics.regions.

    Where val has no masks to choose by, or the heatmap tells no defect from good parts, by its good pictures alone: see
    `quiet`. None, for the usual ones, where the network has no heatmap or val no good pictures.
    """
    run.metrics.pop("regions", None)
    val = run.data.share("val")
    good = [at for at, sample in enumerate(val) if val.good is not None and sample.label == val.good]
    heat = heatmaps(run.net, run.pictures("val")) if good else None
    if heat is None:
        return None
    found = None
    if any(sample.mask for sample in val):
        try:
            found = chosen_regions(heat, load_masks(val, run.recipe.size, run.recipe.roi))
        except BadData as problem:
            run.console.print(
                f"[yellow]note[/] the masks of val cannot set the regions: {problem}", highlight=False
            )
    if found is not None:
        run.metrics["regions"] = asdict(found)
        run.console.print(f"  {found}", highlight=False, soft_wrap=True)
        return found.bands
    bands = quiet(heat[good])
    said = (
        "never shown: good pictures of val are as hot as can be"
        if bands.high > 1
        else f"from {bands.high:.3g}"
    )
    run.console.print(
        f"  regions: {said}; so at most 1 in 100 good pictures of val shows one", highlight=False
    )
    return bands


def quiet(heat: NDArray[np.float32]) -> RegionBands:
    """Bands at or above the usual ones by which at most 1 in 100 of these good pictures (n, h, w), n > 0, shows a region."""
    peaks = np.sort(heat.reshape(len(heat), -1).max(axis=1))[::-1]
    above = float(np.nextafter(peaks[len(heat) // 100], np.float32(2)))
    high = max(DEFAULT.high, above) if above <= 1 else NEVER
    return RegionBands(low=high * DEFAULT.low / DEFAULT.high, high=high)


def heatmaps(net: Net, frames: Frames) -> NDArray[np.float32] | None:
    """The heatmap of every fitted frame uint8 (n, H, W, 3): (n, h, w); None for a network without one."""
    rows, some = [], together((frames.shape[1], frames.shape[2]))
    with torch.inference_mode():
        for start in range(0, len(frames), some):
            found = net.eval().answers(torch.from_numpy(frames[start : start + some]).to(net.mean.device))
            if HEATMAP not in found:
                return None
            rows.append(found[HEATMAP].cpu().numpy())
    return np.concatenate(rows) if rows else None


def chosen_regions(heat: NDArray[np.float32], masks: NDArray[np.uint8]) -> ChosenRegions | None:
    """The bands for heatmaps (n, h, w) whose masks uint8 (n, H, W) say 0 good, 1 defect, 255 unknown.

    For each of ten low bands the high band is the lowest that leaves at most one false region in 100 good pictures (so none
    where there are fewer); of these the pair is taken whose regions overlap the masks best, the lower of equals. Every size
    counts. None where no picture is good all over or none is marked, and where no pair touches a defect.
    """
    size = (masks.shape[1], masks.shape[2])
    span, cell = (0, 0, size[1], size[0]), size[0] * size[1] / heat[0].size
    good = [at for at, mask in enumerate(masks) if (mask == GOOD).all()]
    marked: dict[int, list[Defect]] = {}
    for at, mask in enumerate(masks):
        if (mask == DEFECT).any():
            cells = (heat.shape[1], heat.shape[2])
            marked[at] = defects(mask == DEFECT, cells=cells, frame=size, span=span)
    if not good or not marked:
        return None
    best: ChosenRegions | None = None
    for low in LOWS:
        bands = RegionBands(low=low, high=low)
        cut = {at: peaks(heat[at], span=span, bands=bands) for at in (*good, *marked)}
        false = np.concatenate([cut[at][1] for at in good]).astype(np.float64)
        hottest = [float(under(cut[at][0], one).max(initial=-np.inf)) for at in marked for one in marked[at]]
        at_most = found_at(np.array(hottest), false, len(good), CONFIDENCE)
        high = low if at_most.above is None else float(np.nextafter(np.float32(at_most.above), np.float32(2)))
        if not at_most.found.hits:
            continue
        shared = either = 0.0
        for at, (spread, _) in cut.items():
            hot, covered = spread >= high, np.zeros(heat[at].shape)
            for one in marked.get(at, []):
                covered[one.rows, one.columns] += one.areas
            shared += float(covered[hot].sum())
            either += float(hot.sum()) * cell + float(covered[~hot].sum())
        iou = shared / either
        if best is None or iou > best.iou:
            best = ChosenRegions(
                bands=RegionBands(low=low, high=max(low, high)),
                found=at_most.found,
                good=len(good),
                false=int((false >= high).sum()),
                iou=iou,
            )
    return best


def under(spread: NDArray[np.float32], defect: Defect) -> NDArray[np.float32]:
    """The scores of the cells that a defect touches."""
    return spread[defect.rows, defect.columns][defect.areas > 0]

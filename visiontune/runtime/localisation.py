"""What was measured of a heatmap against masks: defects found, false regions, overlap."""

from __future__ import annotations

from dataclasses import dataclass

from visiontune.runtime import poisson
from visiontune.runtime.froc import FoundAt
from visiontune.runtime.rate import Rate


@dataclass(frozen=True)
class EventRate:
    """`count` events in `frames` frames: their mean number a frame with exact (Garwood) bounds, for independent events."""

    count: int
    frames: int
    mean: float
    low: float
    high: float


def events(count: int, frames: int, confidence: float) -> EventRate:
    """The rate of `count` events in so many frames, at least one."""
    return EventRate(count, frames, count / frames, *poisson.interval(count, frames, confidence))


@dataclass(frozen=True)
class Localisation:
    """How well a model shows where, on the defective pictures whose masks mark something and on the good ones.

    A defect is a connected set of marked pixels. Areas are pixels of the frame, in the region of interest; a cell of the
    heatmap stands for all pixels under it. Bounds hold for independent defects and frames: those of one part are alike.

    masked         defective pictures used
    good           good pictures used
    found          defects that a region touches, with the card's region bands; a defect outside the region of interest is
                   not found
    outside        how many of the defects lie outside the region of interest
    false_regions  regions in good pictures; None without good pictures, as the next two
    good_with_false  good pictures with a region
    found_at       defects found if the high band left one false region in 100 good pictures
    iou            of each kind: the pixels of regions named so that are marked in pictures labelled so, of all that are
                   either, over all pictures
    iou_any        the same whatever the kind
    pixel_ap       average precision of the pixels
    aupro          area under the per-region overlap up to 30 % false pixels, normalised
    aupimo         mean recall of the pictures' marked pixels where 1e-5 to 1e-4 of the good pictures' pixels are false; None
                   without good pictures
    good_cells     cells of the heatmaps of good pictures: with fewer than 100 000, aupimo rests on single cells
    without_mask   defective pictures left out because they have no mask
    empty_masks    defective pictures left out because their mask marks nothing: it is not known where
    marked_good    good pictures left out because their mask marks something
    """

    masked: int
    good: int
    found: Rate
    outside: int
    false_regions: EventRate | None
    good_with_false: Rate | None
    found_at: FoundAt | None
    iou: dict[str, float]
    iou_any: float | None
    pixel_ap: float | None
    aupro: float | None
    aupimo: float | None
    good_cells: int
    without_mask: int
    empty_masks: tuple[str, ...]
    marked_good: tuple[str, ...]

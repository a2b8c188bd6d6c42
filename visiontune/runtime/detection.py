"""What was measured of boxes against the boxes that people drew: average precision, objects found, false boxes."""

from __future__ import annotations

from dataclasses import dataclass

from visiontune.runtime.froc import FoundAt
from visiontune.runtime.localisation import EventRate
from visiontune.runtime.rate import Rate


@dataclass(frozen=True)
class KindFound:
    """One kind of object: how many there are, its average precisions and mean recall as COCO has them, and those found.

    found  objects that a shown box of any kind overlaps by half (IoU)
    """

    objects: int
    ap: float
    ap50: float
    ar: float
    found: Rate


@dataclass(frozen=True)
class Detection:
    """Boxes against objects. Bounds of a Rate hold for independent objects.

    A box is shown if its score reaches the card's region bands; averages are over all boxes that the model proposes. An object
    and a box belong together where their IoU is 0.5 or more, unless another threshold is named.

    pictures       in which the objects are known, good ones included; good of them are good
    objects        that are to be found; ignored are those that count for nothing (crowds, difficult ones)
    map            COCO's mean average precision: mean over the kinds and IoU from 0.50 to 0.95, at most 100 boxes a picture and
                   kind
    ap50, ar       at IoU 0.50; the mean recall at IoU from 0.50 to 0.95 of all boxes
    kinds          of each kind of object
    found          objects that a shown box overlaps by half, whatever it is named
    named          of those found, the ones that such a box names rightly
    outside        how many of the objects lie outside the region of interest, and so are not found
    right          of the shown boxes, those that found an object of their kind, each object once
    false_boxes    boxes shown in good pictures; None without good pictures, as the next two
    good_with_false  good pictures with such a box
    found_at       objects found if boxes were shown from where they leave one false box in 100 good pictures
    without_boxes  defective pictures left out because nobody said where
    boxed_good     good pictures left out because they carry boxes
    """

    pictures: int
    good: int
    objects: int
    ignored: int
    map: float
    ap50: float
    ar: float
    kinds: dict[str, KindFound]
    found: Rate
    named: Rate
    outside: int
    right: Rate
    false_boxes: EventRate | None
    good_with_false: Rate | None
    found_at: FoundAt | None
    without_boxes: int
    boxed_good: tuple[str, ...]

"""What a head learns from beside labels: the masks or boxes of a share, where it asks for them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visiontune.data.box_targets import BoxTargets, load_boxes
from visiontune.data.masks import DEFECT, load_masks
from visiontune.data.samples import Dataset
from visiontune.heads.head import BOXES, MASKS
from visiontune.runtime.errors import BadData
from visiontune.tune.recipe import Recipe


def masks_of(share: Dataset, recipe: Recipe) -> NDArray[np.uint8] | None:
    """The masks of a share where the head learns from them. Raises BadData for wrong ones, and where train has none.

    A head of one class needs none.
    """
    if recipe.head.learns != MASKS:
        return None
    masks = load_masks(share, recipe.size, recipe.roi)
    needed = not recipe.head.one_class and any(sample.split == "train" for sample in share)
    if needed and not (masks == DEFECT).any():
        raise BadData(
            f"{share.root}: expected masks that outline defects in train, found none that marks anything"
            f"{' within roi' if recipe.roi else ''}; add some, or take the head Classify()"
        )
    return masks


def boxes_of(share: Dataset, recipe: Recipe, kinds: tuple[str, ...]) -> BoxTargets | None:
    """The boxes of a share, of the kinds in train, where the head learns from them. Raises BadData as `masks_of` does."""
    if recipe.head.learns != BOXES:
        return None
    if strange := sorted(set(kinds) - set(share.classes)):
        raise BadData(
            f"{share.root}: expected boxes whose kinds are classes of pictures too ({', '.join(share.classes)}), found also "
            f"{', '.join(strange)}; label pictures by their kind of defect, or rename or leave out these boxes"
        )
    boxes = load_boxes(share, recipe.size, recipe.roi, kinds)
    if any(sample.split == "train" for sample in share) and not (boxes.kinds >= 0).any():
        raise BadData(
            f"{share.root}: expected boxes in train, found none{' within roi' if recipe.roi else ''}; add a COCO, YOLO or VOC "
            "annotation or a column boxes, or take the head Classify()"
        )
    return boxes

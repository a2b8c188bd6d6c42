"""A share of large frames as training sees it: tiles, which change their place from view to view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from visiontune.data.batches import Views
from visiontune.data.box_targets import BoxTargets
from visiontune.data.cuts import CutBoxes, CutFrames, CutMasks
from visiontune.data.frames import Frames
from visiontune.data.masks import each_mask
from visiontune.data.policy import Policy
from visiontune.data.samples import Dataset
from visiontune.data.tile_boxes import box_marks_of
from visiontune.data.tile_marks import marks_of
from visiontune.data.tile_places import Marked, Places, drawn, held_out
from visiontune.data.tiles import Grid
from visiontune.heads.head import MASKS
from visiontune.runtime.errors import BadData
from visiontune.tune.feeds import Share
from visiontune.tune.marked import boxes_of
from visiontune.tune.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class TiledShare(Share):
    """The tiles of a share: `data` has a sample a tile, its other fields are those of view 0; `whole` are the frames."""

    whole: Frames
    places: Places

    def views(self, view: int, *, policy: Policy | None, seed: int = 0) -> Views:
        """The tiles of a view: cut anew, then augmented."""
        frames = CutFrames(self.whole, self.places, view)
        masks = None if self.masks is None else CutMasks(self.places, view)
        boxes = None if self.boxes is None else CutBoxes(places=self.places, view=view)
        return Views(self.data, frames, policy=policy, seed=seed, view=view, masks=masks, boxes=boxes)


def tiled(
    share: Dataset,
    frames: Frames,
    recipe: Recipe,
    *,
    kinds: tuple[str, ...],
    train: bool,
    say: Callable[[str], None],
) -> TiledShare:
    """The tiles of fitted frames uint8 (n, h, w, 3) for training, or for the gate; `kinds` are those of the boxes of train.

    Raises BadData without a class of good parts, for wrong masks or boxes (see `load_masks`, `boxes_of`), and where nothing in
    train is marked that a tile can show.
    """
    grid = recipe.grid
    assert grid is not None
    if share.good is None:
        raise BadData(
            f"{share.root}: expected a class of good parts, since most tiles of a defective frame are good, found none; name it "
            "by good=, or leave tile out"
        )
    boxes = boxes_of(share, recipe, kinds)
    marks: list[Marked]
    if boxes is None:
        marks = [marks_of(mask, grid) for mask in each_mask(share, recipe.size, recipe.roi)]
    else:
        marks = [box_marks_of(own, grid, kinds) for own in boxes]
    one, what, them = ("mask", "masks", "outline") if boxes is None else ("box", "boxes", "enclose")
    pick = partial(drawn, seed=recipe.seed) if train else held_out
    places = pick(share, marks, grid, recipe.tiles)
    bad = sum(sample.label != share.good for sample in places.data)
    if train and not bad:
        raise BadData(
            f"{share.root}: expected {what} that {them} defects in train, for tiles are cut around them, found none "
            f"{'that marks anything' if boxes is None else 'a quarter of which fits into a tile'}"
            f"{' within roi' if recipe.roi else ''}; add some, or leave tile out"
        )
    blind = sum(not own.known for own in marks)
    name = "train" if train else "val"
    say(f"tiles of {name}: {bad} with a defect, {len(places) - bad} good{' in a view' if train else ''}")
    if blind:
        say(f"{blind} defective frames of {name} give no tiles: no {one} says where the defect is")
    if boxes is not None and train:
        say_how_large(boxes, grid, say)
    masked = recipe.head.learns == MASKS
    return TiledShare(
        data=places.data,
        frames=CutFrames(frames, places),
        masks=CutMasks(places, 0) if masked else None,
        boxes=None if boxes is None else CutBoxes(places=places, view=0),
        whole=frames,
        places=places,
    )


def say_how_large(boxes: BoxTargets, grid: Grid, say: Callable[[str], None]) -> None:
    """Says how many objects are larger than what neighbouring tiles share: those are whole in no tile where a seam cuts them."""
    real = boxes.corners[boxes.kinds >= 0]
    large = int(((real[:, 2:] - real[:, :2]).max(axis=1) > grid.overlap).sum())
    if large:
        say(
            f"{large} of {len(real)} objects of train are larger than the {grid.overlap} pixels that tiles share: where a seam "
            "cuts them they are found in parts; share more"
        )

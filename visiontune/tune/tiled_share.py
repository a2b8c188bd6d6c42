"""A share of large frames as training sees it: tiles, which change their place from view to view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from visiontune.data.batches import Views
from visiontune.data.cuts import CutFrames, CutMasks
from visiontune.data.frames import Frames
from visiontune.data.masks import each_mask
from visiontune.data.policy import Policy
from visiontune.data.samples import Dataset
from visiontune.data.tile_marks import marks_of
from visiontune.data.tile_places import Places, drawn, held_out
from visiontune.heads.head import MASKS
from visiontune.runtime.errors import BadData
from visiontune.tune.feeds import Share
from visiontune.tune.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class TiledShare(Share):
    """The tiles of a share: `data` has a sample a tile, `frames` and `masks` are those of view 0; `whole` are the frames."""

    whole: Frames
    places: Places

    def views(self, view: int, *, policy: Policy | None, seed: int = 0) -> Views:
        """The tiles of a view: cut anew, then augmented."""
        frames = CutFrames(self.whole, self.places, view)
        masks = None if self.masks is None else CutMasks(self.places, view)
        return Views(self.data, frames, policy=policy, seed=seed, view=view, masks=masks)


def tiled(
    share: Dataset, frames: Frames, recipe: Recipe, *, train: bool, say: Callable[[str], None]
) -> TiledShare:
    """The tiles of fitted frames uint8 (n, h, w, 3) for training, or for the gate.

    Raises BadData without a class of good parts, for wrong masks (see `load_masks`), and where no mask of train marks anything.
    """
    grid = recipe.grid
    assert grid is not None
    if share.good is None:
        raise BadData(
            f"{share.root}: expected a class of good parts, since most tiles of a defective frame are good, found none; name it "
            "by good=, or leave tile out"
        )
    marks = [marks_of(mask, grid) for mask in each_mask(share, recipe.size, recipe.roi)]
    pick = partial(drawn, seed=recipe.seed) if train else held_out
    places = pick(share, marks, grid, recipe.tiles)
    bad = sum(sample.label != share.good for sample in places.data)
    if train and not bad:
        raise BadData(
            f"{share.root}: expected masks that outline defects in train, for tiles are cut around them, found none that marks "
            f"anything{' within roi' if recipe.roi else ''}; add some, or leave tile out"
        )
    blind = sum(not own.known for own in marks)
    name = "train" if train else "val"
    say(f"tiles of {name}: {bad} with a defect, {len(places) - bad} good{' in a view' if train else ''}")
    if blind:
        say(f"{blind} defective frames of {name} give no tiles: no mask says where the defect is")
    masked = recipe.head.learns == MASKS
    return TiledShare(
        data=places.data,
        frames=CutFrames(frames, places),
        masks=CutMasks(places, 0) if masked else None,
        whole=frames,
        places=places,
    )

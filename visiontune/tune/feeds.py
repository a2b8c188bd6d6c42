"""What the network eats in an epoch: pictures, or what the closed stages made of them where that is cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from visiontune.data.batches import (
    Batch,
    BoxesOf,
    Masks,
    Shuffled,
    Views,
    evaluation_batches,
    label_indices,
    training_batches,
)
from visiontune.data.frames import Frames
from visiontune.data.policy import Policy
from visiontune.data.samples import Dataset
from visiontune.tune.costs import Cost
from visiontune.tune.kept import KeptBatches, Marks, marks_only
from visiontune.tune.net import Net
from visiontune.tune.prefix import GIGABYTE, PrefixCache, TooLarge, plan
from visiontune.tune.progress import counted
from visiontune.tune.recipe import Recipe
from visiontune.tune.unfreeze import Phase

VAL = "val"
WORTH = 0.4  # share of the forward cost below which closed stages give large tensors and save little


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of the data: pictures decoded and fitted, uint8 (n, h, w, 3), and the masks or boxes that the head learns from."""

    data: Dataset
    frames: Frames
    masks: Masks | None = None  # uint8 (n, h, w)
    boxes: BoxesOf | None = None

    def views(self, view: int, *, policy: Policy | None, seed: int = 0) -> Views:
        """The pictures as they are to be seen in a view."""
        return Views(
            self.data, self.frames, policy=policy, seed=seed, view=view, masks=self.masks, boxes=self.boxes
        )


class Feeds:
    """The batches of every epoch of a run.

    While most of the backbone is closed, the e-th epoch of a phase shows view e modulo `views(phase)` of every picture, cached
    or not, so that a result does not depend on what fits into the cache. Where caching would not pay, and where
    `recipe.views` is 0, every epoch augments anew, which costs no more there.
    """

    def __init__(
        self,
        net: Net,
        recipe: Recipe,
        phases: Sequence[Phase],
        costs: Sequence[Cost],
        *,
        train: Share,
        val: Share,
        folder: Path,
    ) -> None:
        self.net, self.recipe, self.phases, self.costs = net, recipe, phases, costs
        self.train, self.val = train, val
        self.folder = folder
        self.marks = Marks(folder=folder, masks=train.masks is not None, boxes=train.boxes is not None)
        self.cache: PrefixCache | None = None
        self._say: Callable[[str], None] = lambda line: None

    def worth(self, phase: Phase) -> bool:
        """Whether so much of the backbone is closed that caching what it gives pays."""
        return sum(cost.forward for cost in self.costs[: self._closed(phase)]) >= WORTH

    def returning(self, phase: Phase) -> bool:
        """Whether the views of a phase come back."""
        return self.recipe.views > 0 and self.worth(phase)

    def views(self, phase: Phase) -> int:
        """How many views of each picture a phase shows that returns to them.

        Half of them where only the head of a gated run trains: more gave it nothing that could be measured, and each costs a
        forward pass of everything. Those of a later phase end at its boundary.
        """
        views = self.recipe.views
        return -(-views // 2) if self.recipe.unfreeze.gated and not phase.open else views

    def prepare(self, console: Console, *, device: torch.device | None = None) -> None:
        """Checks the cuts, says what the cache will hold, and fills it. The network must be at its start.

        The closed stages are computed on `device`, in float32 whatever the precision of training; then the network goes back
        to where it was. Raises OSError where the disk is full.
        """
        before = self.net.mean.device
        try:
            self.net.to(device)
            self._prepare(console)
        finally:
            self.net.to(before)

    def _prepare(self, console: Console) -> None:
        recipe, n = self.recipe, len(self.train.data)
        cached = [phase for phase in self.phases if self.worth(phase)]
        closed = [self._closed(phase) for phase in cached]
        shown = [min(self.views(phase), phase.epochs) for phase in cached]
        pictures = max(shown, default=0) * n + len(self.val.data)
        made = plan(
            self.net, closed, self.train.frames[:4], pictures=pictures, budget=recipe.cache_gb * GIGABYTE
        )
        for line in made.left_out:
            console.print(f"  not cached: {line}", highlight=False)
        if not made.cuts:
            return
        identity = {
            "recipe": recipe.as_dict(),
            "train": [s.id for s in self.train.data],
            "val": [s.id for s in self.val.data],
        }
        if self.train.masks is not None:
            identity["masks"] = hashlib.sha256(self.train.masks.tobytes()).hexdigest()
        if self.train.boxes is not None:
            identity["boxes"] = hashlib.sha256(self.train.boxes.tobytes()).hexdigest()
        self.cache = PrefixCache(self.net, made.cuts, self.folder, identity=identity, exact=made.exact)
        self._say = lambda line: console.print(f"  {line}", highlight=False)
        megabytes = made.bytes_per_picture * pictures / 1e6
        size = f"{megabytes:.1f}" if megabytes >= 10 else f"{megabytes:.3g}"
        self._say(
            f"closed stages are computed once: {max(shown)} views of {n} pictures and val, at most {size} MB on disk"
            + ("" if made.exact else ", in half precision (float32 would pass cache_gb)")
        )
        with counted(console, "computing the closed stages", shown[0] * n + len(self.val.data)) as step:
            self._fill(VAL, plain_views(self.val), step)
            for view in range(shown[0]):
                self._fill(view_key(view), self._views(self.train, view), step)

    def _closed(self, phase: Phase) -> int:
        return len(self.net.stages) - phase.open

    def _fill(
        self, key: str, views: Views, step: Callable[[int], None], *, closed: int | None = None
    ) -> None:
        assert self.cache is not None

        marks: list[Batch] = []

        def frames() -> Iterator[Tensor]:
            marks.clear()
            for batch in evaluation_batches(views, batch=64):
                yield batch["frames"].to(self.net.mean.device)
                marks.append(marks_only(batch))
                step(len(batch["frames"]))

        while True:
            try:
                self.cache.fill(key, frames(), len(views), closed=closed)
                break
            except TooLarge:  # once for each cut at most
                continue
        if key != VAL and not self.marks.there(key):
            if not marks:  # the tensors were there already: a kill came between
                marks = [marks_only(batch) for batch in evaluation_batches(views, batch=64)]
            self.marks.write(key, marks)

    def _views(self, share: Share, view: int) -> Views:
        return share.views(view, policy=self.recipe.policy, seed=self.recipe.seed)

    def training(self, epoch: int, phase: Phase) -> Any:
        """Shuffled batches of an epoch. The order depends on seed and epoch alone."""
        recipe, closed = self.recipe, self._closed(phase)
        view = (epoch - phase.start) % self.views(phase) if self.returning(phase) else epoch
        if self.cache is not None and self.returning(phase) and closed in self.cache.cuts:
            order = Shuffled(len(self.train.data), seed=recipe.seed, epoch=epoch).order
            key = view_key(view)
            if not self.cache.filled(key, closed) or not self.marks.there(key):
                self._say(f"computing the closed stages of {key} of each picture")
                self._fill(key, self._views(self.train, view), lambda _: None, closed=closed)
            kept = self.cache.kept(key, closed)
            labels = label_indices(self.train.data)
            return KeptBatches(kept, labels, order, recipe.batch, whole=False, **self.marks.read(key))
        return training_batches(
            self._views(self.train, view), batch=recipe.batch, seed=recipe.seed, epoch=epoch
        )

    def validation(self, phase: Phase) -> Any:
        """The val share as it is, in order."""
        closed = self._closed(phase)
        if self.cache is not None and closed in self.cache.cuts:
            order = range(len(self.val.data))
            return KeptBatches(
                self.cache.kept(VAL, closed),
                label_indices(self.val.data),
                order,
                256,
                whole=True,
                masks=self.val.masks,
                boxes=self.val.boxes,
            )
        return evaluation_batches(plain_views(self.val), batch=2 * self.recipe.batch)

    def pooled(self, view: int | None) -> NDArray[np.float16]:
        """Features (n, F) of the backbone for a view of train, or of val for None; float16 with and without the cache.

        The network must be at its start.
        """
        share, key = (self.val, VAL) if view is None else (self.train, view_key(view))
        everything = len(self.net.stages)
        if self.cache is not None and everything in self.cache.cuts and self.cache.filled(key, everything):
            return np.asarray(self.cache.kept(key, everything), np.float16)
        views = plain_views(share) if view is None else self._views(share, view)
        device = next(self.net.parameters()).device
        self.net.eval()
        with torch.inference_mode():
            rows = [
                self.net.backbone(self.net.normalised(batch["frames"].to(device))).half().cpu().numpy()
                for batch in evaluation_batches(views, batch=64)
            ]
        return np.concatenate(rows)

    def raw(self, batch: dict[str, Tensor], phase: Phase) -> Any:
        """The head's raw output for a batch of either sort."""
        if "kept" not in batch:
            return self.net(batch["frames"])
        assert self.cache is not None
        cut = self.cache.cuts[self._closed(phase)]
        kept = batch["kept"].float()
        if cut.channels_last:
            kept = kept.contiguous(memory_format=torch.channels_last)
        return self.net.answered(cut.suffix(kept))


def view_key(view: int) -> str:
    """The cache's key of a view of the train share."""
    return f"view {view}"


def plain_views(share: Share) -> Views:
    """A share without augmentation."""
    return share.views(0, policy=None)

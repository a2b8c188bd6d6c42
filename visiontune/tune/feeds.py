"""What the network eats in an epoch: pictures, or what the closed stages made of them where that is cached."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor

from visiontune.data.batches import Shuffled, Views, evaluation_batches, label_indices, training_batches
from visiontune.data.frames import Frames
from visiontune.data.samples import Dataset
from visiontune.tune.costs import costs
from visiontune.tune.net import Net
from visiontune.tune.prefix import GIGABYTE, PrefixCache, plan
from visiontune.tune.progress import counted
from visiontune.tune.recipe import Recipe
from visiontune.tune.unfreeze import Phase

VAL = "val"
WORTH = 0.4  # share of the forward cost below which closed stages give large tensors and save little


@dataclass(frozen=True, kw_only=True)
class Share:
    """A share of the data, its pictures decoded and fitted: uint8 (n, h, w, 3)."""

    data: Dataset
    frames: Frames


class KeptBatches:
    """Batches of stored tensors: {"kept": float32 (N, ...), "label": int64 (N,)}."""

    def __init__(
        self, kept: NDArray[Any], labels: NDArray[np.int64], order: Iterable[int], batch: int, *, whole: bool
    ) -> None:
        self.kept, self.labels, self.order = kept, labels, np.array(list(order))
        size = min(batch, len(self.order))
        end = len(self.order) if whole else len(self.order) // size * size
        self.starts = range(0, end, size)
        self.size = size

    def __len__(self) -> int:
        return len(self.starts)

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        for start in self.starts:
            rows = self.order[start : start + self.size]
            yield {
                "kept": torch.from_numpy(self.kept[rows].astype(np.float32)),
                "label": torch.from_numpy(self.labels[rows]),
            }


class Feeds:
    """The batches of every epoch of a run.

    With `recipe.views` at 0 every epoch augments anew and nothing of the train share is cached. Otherwise epoch e shows view
    e modulo `views` of every picture, cached or not, so that a result does not depend on what fits into the cache.
    """

    def __init__(
        self, net: Net, recipe: Recipe, phases: Sequence[Phase], *, train: Share, val: Share, folder: Path
    ) -> None:
        self.net, self.recipe, self.phases = net, recipe, phases
        self.train, self.val = train, val
        self.folder = folder
        self.cache: PrefixCache | None = None

    def prepare(self, console: Console) -> None:
        """Checks the cuts, says what the cache will hold, and fills it. The network must be at its start."""
        recipe, n = self.recipe, len(self.train.data)
        closed = [len(self.net.stages) - phase.open for phase in self.phases]
        views = min(
            recipe.views, sum(phase.epochs for phase, count in zip(self.phases, closed, strict=True) if count)
        )
        pictures = views * n + len(self.val.data)
        shares = [cost.forward for cost in costs(self.net.backbone, self.net.stages, size=recipe.size)]
        worth = [count for count in closed if sum(shares[:count]) >= WORTH]
        made = plan(
            self.net, worth, self.train.frames[:4], pictures=pictures, budget=recipe.cache_gb * GIGABYTE
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
        self.cache = PrefixCache(self.net, made.cuts, self.folder, identity=identity)
        size = made.bytes_per_picture * pictures / 1e6
        console.print(
            f"  closed stages are computed once: {views} views of {n} pictures and val, {size:.0f} MB on disk",
            highlight=False,
        )
        device = next(self.net.parameters()).device
        with counted(console, "computing the closed stages", pictures) as step:
            self._fill(VAL, self.val, policy=False, view=0, step=step, device=device)
            for view in range(views):
                self._fill(view_key(view), self.train, policy=True, view=view, step=step, device=device)

    def _fill(
        self, key: str, share: Share, *, policy: bool, view: int, step: Any, device: torch.device
    ) -> None:
        assert self.cache is not None
        views = self._views(share, view) if policy else plain_views(share)

        def frames() -> Iterator[Tensor]:
            for batch in evaluation_batches(views, batch=64):
                yield batch["frames"].to(device)
                step(len(batch["frames"]))

        self.cache.fill(key, frames(), len(share.data))

    def _views(self, share: Share, view: int) -> Views:
        return Views(share.data, share.frames, policy=self.recipe.policy, seed=self.recipe.seed, view=view)

    def training(self, epoch: int, phase: Phase) -> Any:
        """Shuffled batches of an epoch. The order depends on seed and epoch alone."""
        recipe = self.recipe
        view = epoch % recipe.views if recipe.views else epoch
        closed = len(self.net.stages) - phase.open
        if self.cache is not None and recipe.views and closed in self.cache.cuts:
            order = Shuffled(len(self.train.data), seed=recipe.seed, epoch=epoch).order
            kept = self.cache.kept(view_key(view), closed)
            return KeptBatches(kept, label_indices(self.train.data), order, recipe.batch, whole=False)
        return training_batches(
            self._views(self.train, view), batch=recipe.batch, seed=recipe.seed, epoch=epoch
        )

    def validation(self, phase: Phase) -> Any:
        """The val share as it is, in order."""
        closed = len(self.net.stages) - phase.open
        if self.cache is not None and closed in self.cache.cuts:
            order = range(len(self.val.data))
            return KeptBatches(
                self.cache.kept(VAL, closed), label_indices(self.val.data), order, 256, whole=True
            )
        return evaluation_batches(plain_views(self.val), batch=2 * self.recipe.batch)

    def raw(self, batch: dict[str, Tensor], phase: Phase) -> Tensor:
        """The head's raw output for a batch of either sort."""
        if "kept" not in batch:
            raw: Tensor = self.net(batch["frames"])
            return raw
        assert self.cache is not None
        features = self.cache.cuts[len(self.net.stages) - phase.open].suffix(batch["kept"])
        raw = self.net.head(features)
        return raw


def view_key(view: int) -> str:
    """The cache's key of a view of the train share."""
    return f"view {view}"


def plain_views(share: Share) -> Views:
    """A share without augmentation."""
    return Views(share.data, share.frames, policy=None, seed=0, view=0)

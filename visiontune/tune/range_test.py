"""Finds the learning rate instead of asking for it: short trials of the head on what the closed backbone gives."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from visiontune.data.batches import label_indices
from visiontune.heads import HeadNet
from visiontune.tune.feeds import Feeds, Share
from visiontune.tune.gate import gained
from visiontune.tune.keeper import tempered_losses
from visiontune.tune.unfreeze import rate

USUAL = 2e-3  # taken unless another rate is better beyond the noise of val
HIGHEST = 4e-3  # for stages: a linear head bears rates at which a pretrained backbone forgets
RATES = (3e-4, 1e-3, USUAL, 4e-3, 1e-2, 3e-2)
STEPS = 150


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """What the closed backbone gives for a share: `features` float (n, F), `labels` int64 (n,), and the pictures' groups."""

    features: NDArray[np.floating]
    labels: NDArray[np.int64]
    groups: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Peak learning rates: of the head, and that from which the stages count down (the top one gets `decay` of it).

    `trials` are the mean val losses in nats at the end of the range test's trials, by rate (None where one diverged); empty
    where there were none: `why` then says whence the rate is.
    """

    head: float
    stages: float
    trials: dict[str, float | None] = field(default_factory=dict)
    why: str = "as the recipe says"

    @classmethod
    def given(cls, lr: float) -> Rates:
        """One rate for everything, as a recipe names it."""
        return cls(head=lr, stages=lr)

    @classmethod
    def usual(cls) -> Rates:
        """The rate of heads that read maps: trials of a decoder would cost as much as the run."""
        return cls(head=USUAL, stages=USUAL, why="the usual one for a head that reads maps")

    def __str__(self) -> str:
        if not self.trials:
            return f"learning rate of the head: {self.head:g}, {self.why}"
        tried = ", ".join(
            f"{lr}: {'diverged' if loss is None else format(loss, '.3f')}" for lr, loss in self.trials.items()
        )
        return f"learning rate of the head: {self.head:g}, found by short trials (val loss {tried})"


def found_rates(feeds: Feeds) -> Rates:
    """The rates for a network that stands at its start and the data it will see."""

    def pooled(share: Share, view: int | None) -> Pooled:
        groups = [sample.group for sample in share.data]
        return Pooled(features=feeds.pooled(view), labels=label_indices(share.data), groups=groups)

    recipe = feeds.recipe
    return range_test(
        feeds.net.head,
        pooled(feeds.train, 0),
        pooled(feeds.val, None),
        batch=recipe.batch,
        weight_decay=recipe.weight_decay,
        seed=recipe.seed,
    )


def range_test(
    head: HeadNet, train: Pooled, val: Pooled, *, batch: int, weight_decay: float, seed: int
) -> Rates:
    """The learning rate of RATES for the head whose trial ends with the smallest val loss at its best temperature.

    Each trial trains a copy of `head` for STEPS steps of AdamW with warm-up and cosine, as a phase does; `head` stays as it
    is. Another rate than USUAL is taken only if its val loss is smaller beyond the noise of the split (see `gate.gained`):
    a lucky draw of a few val pictures must not choose what the whole run is trained with. The stages get it up to HIGHEST.
    """
    trials = {lr: _trial(copy.deepcopy(head), train, val, lr, batch, weight_decay, seed) for lr in RATES}
    losses = {lr: float("inf") if trial is None else float(trial.mean()) for lr, trial in trials.items()}
    usual = trials[USUAL]
    better = [
        lr
        for lr, trial in trials.items()
        if trial is not None and (usual is None or gained(usual, trial, val.groups).kept)
    ]
    found = min(better, key=losses.__getitem__, default=USUAL)
    return Rates(
        head=found,
        stages=min(found, HIGHEST),
        trials={f"{lr:g}": loss if np.isfinite(loss) else None for lr, loss in losses.items()},
    )


def _trial(
    head: HeadNet, train: Pooled, val: Pooled, lr: float, batch: int, weight_decay: float, seed: int
) -> NDArray[np.float64] | None:
    """Val losses (n,) at the end of a trial; None if it diverged."""
    optimizer = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=weight_decay)
    features = torch.from_numpy(np.asarray(train.features, np.float32))
    labels = torch.from_numpy(train.labels)
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    head.train()
    for step in range(STEPS):
        rows = torch.from_numpy(rng.choice(len(labels), size=min(batch, len(labels)), replace=False))
        for group in optimizer.param_groups:
            group["lr"] = lr * rate(step, of=STEPS)
        loss = head.loss(head(features[rows]), {"label": labels[rows]})
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    head.eval()
    with torch.no_grad():
        raw = head(torch.from_numpy(np.asarray(val.features, np.float32)))
    if not bool(torch.isfinite(raw).all()):
        return None
    return tempered_losses(head, raw, torch.from_numpy(val.labels))

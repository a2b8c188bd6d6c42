"""The Lightning module: one optimizer built once, stages that open by schedule, and the history of what happened."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visiontune.tune.compiled import Compiled
from visiontune.tune.feeds import Feeds
from visiontune.tune.frozen import Frozen
from visiontune.tune.keeper import Keeper, Seen, tempered_losses
from visiontune.tune.l2_sp import StartingPoint
from visiontune.tune.net import Net
from visiontune.tune.range_test import Rates
from visiontune.tune.recipe import Recipe
from visiontune.tune.unfreeze import Phase, rate


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch did. Losses are mean cross entropies in nats, with what a head loses on its map; accuracies 0..1; seconds of
    wall and CPU time.

    `val_tempered` is the val loss at its best temperature, by which the run is judged. `open` is how many backbone stages
    trained, `lr` the highest learning rate that the head had.
    """

    epoch: int
    open: int
    lr: float
    train_loss: float
    val_loss: float
    val_tempered: float
    val_accuracy: float
    val_balanced_accuracy: float
    seconds: float
    cpu_seconds: float


class Learner(lightning.LightningModule):
    """Trains a Net by a Recipe's schedule on a train share, watching a val share.

    `settings` are what else changes the result (see tune.trainer): they are kept in the checkpoint. The learning rate, the
    averages and the pull of L2-SP go by optimizer steps, however many batches each takes.
    """

    def __init__(
        self,
        net: Net,
        recipe: Recipe,
        feeds: Feeds,
        rates: Rates,
        frozen: Frozen,
        *,
        best: Path,
        compile: bool = False,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.net = net
        self.recipe = recipe
        self.feeds = feeds
        self.rates = rates
        self.frozen = frozen
        self.settings = dict(settings or {})
        self.start = StartingPoint(net.backbone, strength=recipe.l2_sp) if recipe.l2_sp else None
        self.keeper = Keeper(net, recipe, feeds, best=best)
        self.compiled = Compiled(net) if compile else None
        self.history: list[Epoch] = []
        self._losses: list[Tensor] = []
        self._judged: list[Seen] = []
        self._begun = -1  # the first epoch of the phase that is set up
        self._steps = 0
        self._clock = (0.0, 0.0)
        self._lr = 0.0

    def train_dataloader(self) -> Any:
        """The train share in the view and order of the current epoch."""
        return self.feeds.training(self.current_epoch, self.phase(self.current_epoch))

    def val_dataloader(self) -> Any:
        """The val share as it is."""
        return self.feeds.validation(self.phase(self.current_epoch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over every stage from the start; closed stages have no gradient and are skipped by it.

        One kernel for all tensors where it may be: Lightning does not clip gradients for it in mixed precision.
        """
        groups = parameter_groups(self.net, self.recipe, self.rates)
        fused = self.trainer.precision == "32-true" and self.device.type in ("cpu", "cuda")
        return torch.optim.AdamW(groups, lr=self.rates.head, fused=fused)

    def phase(self, epoch: int) -> Phase:
        """The phase that `epoch` belongs to."""
        return next(phase for phase in self.feeds.phases if phase.start <= epoch < phase.end)

    def on_train_epoch_start(self) -> None:
        """Opens the stages of this epoch."""
        epoch = self.current_epoch
        phase = self.phase(epoch)
        if self._begun != phase.start:
            self._begun = phase.start
            self.net.open_top(phase.open)
            self.net.train()
            self.frozen.check(self.net, f"before epoch {epoch}")
            self.keeper.begin(phase.epochs * self.steps, resumed=epoch != phase.start)
            if self.compiled is not None:
                self.compiled.open()
        self.net.train()  # Lightning keeps whatever mode it finds
        self._losses = []
        self._lr = 0.0
        self._steps = self.trainer.global_step
        self._clock = (time.perf_counter(), time.process_time())

    @property
    def steps(self) -> int:
        """Optimizer steps of an epoch; the last may have fewer batches than the others."""
        return math.ceil(int(self.trainer.num_training_batches) / self.trainer.accumulate_grad_batches)

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Sets the learning rates of this step."""
        if batch_idx == 0:
            # Dropout draws from this stream: a resumed epoch shall draw the same. Not before, because a loader of pictures
            # draws a number when it starts and one of stored tensors does not.
            torch.manual_seed(self.recipe.seed * 1_000_003 + self.current_epoch)
        phase = self.phase(self.current_epoch)
        step = batch_idx // self.trainer.accumulate_grad_batches
        done = (self.current_epoch - phase.start) * self.steps + step
        cooldown = phase.cooldown * self.steps if phase.cooldown else None
        share = rate(done, of=phase.epochs * self.steps, cooldown=cooldown)
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
        self._lr = max(self._lr, self.rates.head * share)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        with nullcontext() if self.compiled is None else self.compiled.working():
            raw = self.feeds.raw(batch, self.phase(self.current_epoch))
        loss = self.net.head.loss(raw, batch)
        self._losses.append(loss.detach())
        self.log("loss", loss, prog_bar=True, on_step=True, on_epoch=False, batch_size=len(batch["label"]))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Tensor], batch_idx: int) -> None:
        """After an optimizer step: pulls open stages to where they started, if the recipe says so, and follows the weights."""
        if self.trainer.global_step == self._steps:
            return  # gradients were only gathered
        self._steps = self.trainer.global_step
        if self.start is not None:
            optimizer = self.optimizers(use_pl_optimizer=False)
            assert isinstance(optimizer, torch.optim.Optimizer)
            self.start.pull({id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]})
        self.keeper.step()

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Keeps what the network said, in float32 whatever the precision of training: so it is judged as it will ship."""
        with torch.autocast(self.device.type, enabled=False):
            raw = self.feeds.raw(batch, self.phase(self.current_epoch))
            self._judged.append(Seen.of(self.net.head, raw, batch))

    def on_validation_epoch_end(self) -> None:
        """Fails the run if a frozen tensor moved, before anything of the epoch is kept; adds the epoch to the history."""
        self.frozen.check(self.net, f"in epoch {self.current_epoch}")
        seen = Seen.joined(self._judged)
        self._judged = []
        plain = self.net.head.losses(seen.logits, {"label": seen.labels})
        val_loss = float((plain if seen.more is None else plain + seen.more).mean())
        losses = tempered_losses(self.net.head, seen.logits, seen.labels, more=seen.more)
        predicted = self.net.head.judged(seen.logits)["kinds"].argmax(1).cpu().numpy()
        actual = seen.labels.cpu().numpy()
        wall, cpu = self._clock
        done = Epoch(
            epoch=self.current_epoch,
            open=self.net.open,
            lr=self._lr,
            train_loss=float(torch.stack(self._losses).mean()) if self._losses else float("nan"),
            val_loss=val_loss,
            val_tempered=float(losses.mean()),
            val_accuracy=float((predicted == actual).mean()),
            val_balanced_accuracy=balanced_accuracy(actual, predicted),
            seconds=time.perf_counter() - wall,
            cpu_seconds=time.process_time() - cpu,
        )
        self.history.append(done)
        phase = self.phase(self.current_epoch)
        so_far = [epoch.val_tempered for epoch in self.history if epoch.epoch >= phase.start]
        self.keeper.epoch(self.current_epoch, phase, so_far, losses)
        self.trainer.fit_loop.max_epochs = self.feeds.phases[-1].end  # a phase may have ended early
        self.trainer.should_stop = self.keeper.stopped
        self.log("val_loss", val_loss, prog_bar=True)
        self.log("val_balanced", done.val_balanced_accuracy, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The history, the recipe and the settings travel with the weights."""
        checkpoint["visiontune"] = {
            "history": [asdict(epoch) for epoch in self.history],
            "recipe": self.recipe.as_dict(),
            "settings": self.settings,
            "keeper": self.keeper.state_dict(),
            "rates": asdict(self.rates),
            "phases": [asdict(phase) for phase in self.feeds.phases],
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the history up where it stopped."""
        self.take_up(checkpoint["visiontune"])

    def take_up(self, stored: Mapping[str, Any]) -> None:
        """The part of `on_load_checkpoint` that a run with nothing left to train needs."""
        self.history = [Epoch(**epoch) for epoch in stored["history"]]
        self.keeper.load_state_dict(stored["keeper"])


def parameter_groups(net: Net, recipe: Recipe, rates: Rates) -> list[dict[str, Any]]:
    """Optimizer groups from the stem to the head, each with its real learning rate as `lr` and `peak`.

    The head gets rates.head, the top stage `decay` of rates.stages, the next `decay` of that again. Biases, norms and other
    vectors get no weight decay, and no stage does where L2-SP pulls it to its start instead.
    """
    parameters = dict(net.backbone.named_parameters())
    ladder: list[tuple[str, float, list[nn.Parameter]]] = []
    for depth, stage in enumerate(reversed(net.stages), start=1):
        ladder.append(
            (
                stage.name,
                rates.stages * recipe.unfreeze.decay**depth,
                [parameters[n] for n in stage.parameters],
            )
        )
    ladder.reverse()
    ladder.append(("head", rates.head, list(net.head.parameters())))
    groups = []
    for name, lr, tensors in ladder:
        for decay in (False, True):
            chosen = [tensor for tensor in tensors if (tensor.ndim > 1) == decay]
            if chosen:
                pulled = recipe.l2_sp > 0 and name != "head"
                weight_decay = recipe.weight_decay if decay and not pulled else 0.0
                groups.append(
                    {"name": name, "params": chosen, "lr": lr, "peak": lr, "weight_decay": weight_decay}
                )
    return groups


def balanced_accuracy(actual: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Mean recall over the classes that occur in `actual`, 0..1."""
    return float(np.mean([(predicted[actual == label] == label).mean() for label in np.unique(actual)]))

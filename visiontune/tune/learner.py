"""The Lightning module: one optimizer built once, stages that open by schedule, and the history of what happened."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visiontune.tune.feeds import Feeds
from visiontune.tune.keeper import Keeper, tempered_losses
from visiontune.tune.net import Net
from visiontune.tune.recipe import Recipe
from visiontune.tune.unfreeze import Phase, rate


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """What one epoch did. Losses are mean cross entropies in nats; accuracies 0..1; seconds of wall and CPU time.

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
    """Trains a Net by a Recipe's schedule on a train share, watching a val share."""

    def __init__(self, net: Net, recipe: Recipe, feeds: Feeds, *, best: Path) -> None:
        super().__init__()
        self.net = net
        self.recipe = recipe
        self.feeds = feeds
        self.keeper = Keeper(net, recipe, feeds, best=best)
        self.history: list[Epoch] = []
        self._losses: list[Tensor] = []
        self._judged: list[tuple[Tensor, Tensor]] = []
        self._frozen: tuple[int, str] = (-1, "")
        self._clock = (0.0, 0.0)
        self._lr = 0.0

    def train_dataloader(self) -> Any:
        """The train share in the view and order of the current epoch."""
        return self.feeds.training(self.current_epoch, self.phase(self.current_epoch))

    def val_dataloader(self) -> Any:
        """The val share as it is."""
        return self.feeds.validation(self.phase(self.current_epoch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over every stage from the start; closed stages have no gradient and are skipped by it."""
        return torch.optim.AdamW(parameter_groups(self.net, self.recipe), lr=self.recipe.lr)

    def phase(self, epoch: int) -> Phase:
        """The phase that `epoch` belongs to."""
        return next(phase for phase in self.feeds.phases if phase.start <= epoch < phase.end)

    def on_train_epoch_start(self) -> None:
        """Opens the stages of this epoch, and makes the epoch repeatable on its own."""
        epoch = self.current_epoch
        phase = self.phase(epoch)
        if epoch == phase.start or self._frozen[0] != phase.start:
            self.net.open_top(phase.open)
            self.net.train()
            self._frozen = (phase.start, fingerprint(self.net.frozen_tensors()))
            steps = phase.epochs * int(self.trainer.num_training_batches)
            self.keeper.begin(steps, resumed=epoch != phase.start)
        self.net.train()  # Lightning keeps whatever mode it finds
        # Dropout draws from this stream; seeding by epoch makes a resumed epoch draw the same.
        torch.manual_seed(self.recipe.seed * 1_000_003 + epoch)
        self._losses = []
        self._lr = 0.0
        self._clock = (time.perf_counter(), time.process_time())

    def on_train_batch_start(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Sets the learning rates of this step."""
        phase = self.phase(self.current_epoch)
        steps = int(self.trainer.num_training_batches)
        share = rate((self.current_epoch - phase.start) * steps + batch_idx, of=phase.epochs * steps)
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, torch.optim.Optimizer)
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * share
        self._lr = max(self._lr, self.recipe.lr * share)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Mean loss of a batch."""
        raw = self.feeds.raw(batch, self.phase(self.current_epoch))
        loss = self.net.head.loss(raw, {"label": batch["label"]})
        self._losses.append(loss.detach())
        self.log("loss", loss, prog_bar=True, on_step=True, on_epoch=False, batch_size=len(batch["label"]))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Follows the weights."""
        self.keeper.step()

    def on_train_epoch_end(self) -> None:
        """Fails the run if a frozen tensor moved."""
        start, before = self._frozen
        if fingerprint(self.net.frozen_tensors()) != before:
            raise RuntimeError(
                f"a frozen tensor moved in epoch {self.current_epoch} (phase from {start}): a bug, please report"
            )

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Keeps what the network said."""
        self._judged.append((self.feeds.raw(batch, self.phase(self.current_epoch)), batch["label"]))

    def on_validation_epoch_end(self) -> None:
        """Adds the epoch to the history."""
        raw, labels = (torch.cat(column) for column in zip(*self._judged, strict=True))
        self._judged = []
        val_loss = float(self.net.head.losses(raw, {"label": labels}).mean())
        tempered = float(tempered_losses(self.net.head, raw, labels).mean())
        predicted = self.net.head.answer(raw)["kinds"].argmax(1).cpu().numpy()
        actual = labels.cpu().numpy()
        wall, cpu = self._clock
        done = Epoch(
            epoch=self.current_epoch,
            open=self.net.open,
            lr=self._lr,
            train_loss=float(torch.stack(self._losses).mean()) if self._losses else float("nan"),
            val_loss=val_loss,
            val_tempered=tempered,
            val_accuracy=float((predicted == actual).mean()),
            val_balanced_accuracy=balanced_accuracy(actual, predicted),
            seconds=time.perf_counter() - wall,
            cpu_seconds=time.process_time() - cpu,
        )
        self.history.append(done)
        self.keeper.epoch(self.current_epoch, self.phase(self.current_epoch), tempered)
        self.trainer.should_stop = self.keeper.stopped
        self.log("val_loss", val_loss, prog_bar=True)
        self.log("val_balanced", done.val_balanced_accuracy, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The history and the recipe travel with the weights."""
        checkpoint["visiontune"] = {
            "history": [asdict(epoch) for epoch in self.history],
            "recipe": self.recipe.as_dict(),
            "keeper": self.keeper.state_dict(),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the history up where it stopped."""
        self.history = [Epoch(**epoch) for epoch in checkpoint["visiontune"]["history"]]
        self.keeper.load_state_dict(checkpoint["visiontune"]["keeper"])


def parameter_groups(net: Net, recipe: Recipe) -> list[dict[str, Any]]:
    """Optimizer groups from the stem to the head, each with its real learning rate as `lr` and `peak`.

    The head gets recipe.lr, the top stage `decay` of that, the next `decay` of that again. Biases, norms and other vectors
    get no weight decay.
    """
    parameters = dict(net.backbone.named_parameters())
    ladder: list[tuple[str, float, list[nn.Parameter]]] = []
    for depth, stage in enumerate(reversed(net.stages), start=1):
        ladder.append(
            (stage.name, recipe.lr * recipe.unfreeze.decay**depth, [parameters[n] for n in stage.parameters])
        )
    ladder.reverse()
    ladder.append(("head", recipe.lr, list(net.head.parameters())))
    groups = []
    for name, lr, tensors in ladder:
        for decay in (False, True):
            chosen = [tensor for tensor in tensors if (tensor.ndim > 1) == decay]
            if chosen:
                weight_decay = recipe.weight_decay if decay else 0.0
                groups.append(
                    {"name": name, "params": chosen, "lr": lr, "peak": lr, "weight_decay": weight_decay}
                )
    return groups


def balanced_accuracy(actual: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Mean recall over the classes that occur in `actual`, 0..1."""
    return float(np.mean([(predicted[actual == label] == label).mean() for label in np.unique(actual)]))


def fingerprint(tensors: dict[str, Tensor]) -> str:
    """sha256 over names and bytes of tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(byte_view(tensors[name]))
    return digest.hexdigest()


def byte_view(tensor: Tensor) -> bytes:
    """The bytes of a tensor, on any device."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

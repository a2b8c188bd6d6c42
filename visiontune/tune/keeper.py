"""What is kept of a run: the best weights of each phase, whether the phase gained, and whether the next one may open."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from torch import Tensor

from visiontune.heads import HeadNet
from visiontune.heads.head import BOXES
from visiontune.tune.averages import Averages, State
from visiontune.tune.checkpoints import FIRST, load_weights, save_weights
from visiontune.tune.feeds import Feeds
from visiontune.tune.gate import gained
from visiontune.tune.net import Net
from visiontune.tune.recipe import Recipe
from visiontune.tune.unfreeze import STEADY, Phase, shortened

SURE = 0.999  # share of the bootstrap draws of val in which a gain is beyond doubt


@dataclass(frozen=True, kw_only=True)
class PhaseResult:
    """How a phase ended.

    `chosen` is "epoch", "average" or "soup"; `val_loss` that of the chosen weights in nats, `errors` the val pictures they
    name wrongly; `gain` the mean fall of the val loss, at its best temperature, against what was kept before, `low` its
    lower bound (None in the first phase).
    """

    open: int
    start: int
    epochs: int
    chosen: str
    val_loss: float
    errors: int
    gain: float | None
    low: float | None
    kept: bool


class Keeper:
    """Follows a run: call `begin`, `step` and `epoch`; `stopped` says that no further phase opens.

    A gate stays shut where the phase did not gain beyond noise, and before a phase without a cache where val holds no error (but
    for boxes).
    """

    def __init__(self, net: Net, recipe: Recipe, feeds: Feeds, *, best: Path) -> None:
        self.net, self.recipe, self.feeds, self.best = net, recipe, feeds, best
        self.results: list[PhaseResult] = []
        self.stopped = False
        self.kept_losses: NDArray[np.float64] | None = None
        self.averages: Averages | None = None
        self._stored: dict[str, Any] | None = None

    def begin(self, steps: int, *, resumed: bool) -> None:
        """A phase of `steps` optimizer steps begins, or is taken up again from a checkpoint in its midst."""
        self.averages = Averages(self.net, steps)
        if resumed and self._stored is not None:
            self.averages.load_state_dict(self._stored)
        self._stored = None

    def step(self) -> None:
        """After every optimizer step."""
        assert self.averages is not None
        self.averages.step()

    def epoch(
        self, epoch: int, phase: Phase, val_losses: Sequence[float], losses: NDArray[np.float64]
    ) -> None:
        """After every epoch, with the mean val losses of the phase so far, and those of this epoch picture by picture (n,).

        The last epoch, or patience at its end, closes the phase. One with a cooldown grows where it gained at once.
        """
        assert self.averages is not None
        self.averages.epoch(val_losses[-1])
        stale = len(val_losses) - 1 - int(np.argmin(val_losses))
        # a fixed schedule names the epochs of its openings, so only what follows the last of them may end early
        may = self.recipe.unfreeze.gated or phase == self.feeds.phases[-1]
        if phase.cooldown:
            if epoch == phase.start + STEADY - 1 and self._far(losses):
                recipe = self.recipe
                self.feeds.phases = recipe.unfreeze.lengthened(self.feeds.phases, epochs=recipe.epochs)
                phase = self.feeds.phases[-1]
        elif may and epoch < phase.end - 1 and stale >= self.recipe.unfreeze.patience:
            self.feeds.phases = shortened(self.feeds.phases, end=epoch + 1)
            phase = replace(phase, epochs=len(val_losses))
        if epoch == phase.end - 1:
            self._close(phase)

    def _far(self, losses: NDArray[np.float64]) -> bool:
        """Whether val losses (n,) have fallen below those of what was kept beyond doubt: much is left to learn."""
        assert self.kept_losses is not None
        groups = [sample.group for sample in self.feeds.val.data]
        return gained(self.kept_losses, losses, groups, confidence=SURE).kept

    def _close(self, phase: Phase) -> None:
        assert self.averages is not None
        chosen, state, _ = self.averages.choose(lambda tried: float(self._judged(phase, tried)[0].mean()))
        losses, errors = self._judged(phase, state)
        gain = low = None
        kept = True
        if self.kept_losses is not None:
            groups = [sample.group for sample in self.feeds.val.data]
            found = gained(self.kept_losses, losses, groups, confidence=self.recipe.unfreeze.confidence)
            gain, low = found.mean, found.low
            kept = found.kept if self.recipe.unfreeze.gated else found.mean > 0
        # fmt: off
        self.results.append(
            PhaseResult(
                open=phase.open,
                start=phase.start,
                epochs=phase.epochs,
                chosen=chosen,
                val_loss=float(losses.mean()),
                errors=errors,
                gain=gain,
                low=low,
                kept=kept,
            )
        )
        # fmt: on
        if kept:
            self.kept_losses = losses
            save_weights(self.best, self.net.state_dict(), epoch=phase.end - 1)
            if len(self.results) == 1:
                save_weights(self.best.with_name(FIRST), self.net.state_dict(), epoch=phase.end - 1)
            # the frame's errors tell nothing of boxes, which are far from right when the last of them is gone
            done = not errors and self.recipe.head.learns != BOXES
            self.stopped = self.recipe.unfreeze.gated and done and self._dear(phase)
        elif self.recipe.unfreeze.gated:
            self.net.load_state_dict(load_weights(self.best)[0])
            self.stopped = True

    def _dear(self, phase: Phase) -> bool:
        """Whether the phase that comes next has no cache: where val holds no error it could hardly show that it pays."""
        after = [later for later in self.feeds.phases if later.open > phase.open]
        return bool(after) and not self.feeds.worth(after[0])

    def _judged(self, phase: Phase, state: State) -> tuple[NDArray[np.float64], int]:
        """Val losses (n,), at their best temperature, and errors of the network with `state`, which it then holds."""
        tensors = dict(self.net.named_parameters()) | dict(self.net.named_buffers())
        judged = []
        training = self.net.training
        self.net.eval()
        with torch.no_grad():
            for name, value in state.items():
                tensors[name].copy_(value)
            for batch in self.feeds.validation(phase):
                moved = {name: tensor.to(self.net.mean.device) for name, tensor in batch.items()}
                judged.append(Seen.of(self.net.head, self.feeds.raw(moved, phase), moved))
            seen = Seen.joined(judged)
            errors = int((self.net.head.judged(seen.logits)["kinds"].argmax(dim=1) != seen.labels).sum())
        self.net.train(training)
        return tempered_losses(self.net.head, seen.logits, seen.labels, more=seen.more), errors

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint of tensors and plain values."""
        kept: Tensor | None = None if self.kept_losses is None else torch.from_numpy(self.kept_losses)
        return {
            "results": [asdict(result) for result in self.results],
            "stopped": self.stopped,
            "kept_losses": kept,
            "averages": None if self.averages is None else self.averages.state_dict(),
        }

    def load_state_dict(self, stored: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self.results = [PhaseResult(**result) for result in stored["results"]]
        self.stopped = stored["stopped"]
        self.kept_losses = None if stored["kept_losses"] is None else stored["kept_losses"].cpu().numpy()
        self._stored = stored["averages"]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a loss of val is made of: the frames' logits (n, C), labels (n,), and what else a head says `lacks` (n,).

    A head's maps are large: they are reduced to their losses batch by batch.
    """

    logits: Tensor
    labels: Tensor
    more: Tensor | None

    @classmethod
    def of(cls, head: HeadNet, raw: Any, batch: Mapping[str, Tensor]) -> Seen:
        """Of a batch and the head's raw output for it."""
        more = head.lacks(raw, batch)
        return cls(logits=head.logits(raw), labels=batch["label"], more=more)

    @classmethod
    def joined(cls, some: Sequence[Seen]) -> Seen:
        """Of several batches, in order."""
        more = [one.more for one in some if one.more is not None]
        return cls(
            logits=torch.cat([one.logits for one in some]),
            labels=torch.cat([one.labels for one in some]),
            more=torch.cat(more) if more else None,
        )


def tempered_losses(
    head: HeadNet, logits: Tensor, labels: Tensor, *, more: Tensor | None = None
) -> NDArray[np.float64]:
    """Losses (n,) at the temperature that makes their mean smallest, within 1..20; with `more` (n,), which no temperature moves.

    A network that grows sure of itself before it is wrong has a rising loss and falling errors; calibration takes that
    sureness out again, so what is kept is judged as it will ship. Nothing is made surer than it is: on a val share without
    an error that would end at a loss of 0 for every network, and none could be told from another.
    """

    def losses(log_temperature: float) -> NDArray[np.float64]:
        with torch.no_grad():
            tempered = head.tempered(logits, math.exp(log_temperature))
            found = head.losses(tempered, {"label": labels})
            found = found if more is None else found + more
            return np.asarray(found.double().cpu().numpy())

    span = (0.0, math.log(20.0))
    found = minimize_scalar(
        lambda t: float(losses(t).mean()), bounds=span, method="bounded", options={"maxiter": 30}
    )
    return losses(float(found.x))

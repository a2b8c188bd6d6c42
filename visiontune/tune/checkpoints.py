"""Checkpoints that are whole or not there: written under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from visiontune.runtime.whole import whole

LAST, BEST, FIRST = "last.ckpt", "best.safetensors", "first-phase.safetensors"


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoint format; a full disk or a kill leaves the last good file as it was."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Writes `path` at once or not at all."""
        with whole(Path(path)) as draft, draft.open("wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as problem:
                if isinstance(problem.__context__, OSError):  # torch hides a full disk behind its own words
                    raise problem.__context__ from None
                raise
            file.flush()
            os.fsync(file.fileno())


class EveryEpoch(Checkpoint):
    """Writes checkpoints/last.ckpt after each epoch, for `resume`.

    As a Checkpoint it is called after all other callbacks and the Learner, so that it stores what they know after the epoch.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / LAST

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Lightning calls this after the epoch's validation."""
        trainer.save_checkpoint(self.path)


def save_weights(path: Path, state: Mapping[str, Tensor], *, epoch: int) -> None:
    """Writes a state dict as safetensors, with the epoch it comes from."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    packed = save(tensors, metadata={"epoch": str(epoch)})
    with (
        whole(path) as draft,
        draft.open("wb") as file,
    ):  # safetensors' own writer hides a full disk in an error of its own
        file.write(packed)
        file.flush()
        os.fsync(file.fileno())


def load_weights(path: Path) -> tuple[dict[str, Tensor], int]:
    """The state dict that `save_weights` wrote, and its epoch."""
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in list(file.keys())}
        return state, int(file.metadata()["epoch"])

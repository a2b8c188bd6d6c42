"""The one phase of a head that needs no training: it is shown the good parts of train."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from torch import Tensor, nn

from visiontune.data.batches import label_indices
from visiontune.data.samples import Dataset
from visiontune.heads.memory import MemoryNet
from visiontune.tune.checkpoints import BEST, save_weights
from visiontune.tune.feeds import Share
from visiontune.tune.fused import fused
from visiontune.tune.keeper import PhaseResult
from visiontune.tune.learner import Epoch, balanced_accuracy
from visiontune.tune.net import Net
from visiontune.tune.progress import counted
from visiontune.tune.pyramid import Tap, mapped
from visiontune.tune.temper import temper

BATCH = 16  # pictures that are remembered together: each batch costs as much as the places have covariances
FEW = 4  # of them that the backbone sees at once: its maps then stay in a core's cache
CHOSEN = "memory"


def memorise(
    net: Net, *, train: Share, val: Share, seed: int, checkpoints: Path, console: Console
) -> tuple[Epoch, PhaseResult]:
    """Fills the memory of the network's head, sets its curve on val, writes the weights; what this did, as a run tells it.

    The pictures are taken as they are, without augmentation. There is no training loss: it is NaN.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    assert isinstance(net.head, MemoryNet)
    backbone = remember(net, net.head, train, seed=seed, console=console)
    with torch.inference_mode():
        frames, labels = val.frames, label_indices(val.data)
        found = [
            net.head(maps(net, backbone, net.head, frames[at : at + BATCH]))
            for at in range(0, len(frames), BATCH)
        ]
        logits = torch.cat([net.head.logits(raw) for raw in found])
        scores = logits.numpy()
        temper(net.head, scores, labels)
        odds = net.head.slope * logits[:, 1] + net.head.shift  # the curve was the identity until now
        curved = torch.stack([torch.zeros_like(odds), odds], dim=1)
        loss = float(net.head.losses(curved, {"label": torch.from_numpy(labels)}).mean())
    predicted = (odds > 0).long().numpy()
    save_weights(checkpoints / BEST, net.state_dict(), epoch=0)
    epoch = Epoch(
        epoch=0,
        open=0,
        lr=0.0,
        train_loss=float("nan"),
        val_loss=loss,
        val_tempered=loss,
        val_accuracy=float((predicted == labels).mean()),
        val_balanced_accuracy=balanced_accuracy(labels, predicted),
        seconds=time.perf_counter() - wall,
        cpu_seconds=time.process_time() - cpu,
    )
    errors = int((predicted != labels).sum())
    result = PhaseResult(
        open=0, start=0, epochs=1, chosen=CHOSEN, val_loss=loss, errors=errors, gain=None, low=None, kept=True
    )
    return epoch, result


def remember(net: Net, memory: MemoryNet, train: Share, *, seed: int, console: Console) -> nn.Module:
    """Fills a memory with what the backbone, as it is, gives for the good pictures of train, as they are.

    Gives the backbone in the form that was asked: the same up to rounding, and faster.
    """
    net.open_top(0)
    net.eval()
    good = good_of(train.data)
    read = partial(mapped, wanted=read_by(memory, net))
    backbone = fused(net.backbone, net.normalised(torch.from_numpy(train.frames[good[:1]])), read)
    # not in inference mode: what is remembered is part of a network that may train
    with torch.no_grad(), counted(console, "remembering good parts", len(good)) as step:

        def shown() -> Iterator[tuple[Tensor, ...]]:
            for start in range(0, len(good), BATCH):
                rows = good[start : start + BATCH]
                yield maps(net, backbone, memory, train.frames[rows])
                step(len(rows))

        memory.memorise(shown(), pictures=len(good), seed=seed)
    kept = f"{len(memory.bank)} vectors of {memory.bank.shape[1]}"
    console.print(f"  {len(good)} good pictures remembered: {kept}", highlight=False)
    return backbone


def good_of(train: Dataset) -> NDArray[np.int64]:
    """The numbers of the pictures that a memory is shown."""
    return np.flatnonzero(label_indices(train) == 0)


def read_by(memory: MemoryNet, net: Net) -> tuple[Tap, ...]:
    """The maps that a memory reads, and finer ones."""
    return net.taps[: max(memory.chosen) + 1]


def maps(net: Net, backbone: nn.Module, memory: MemoryNet, frames: NDArray[np.uint8]) -> tuple[Tensor, ...]:
    """What a memory reads of frames uint8 (n, h, w, 3): its `backbone`, folded or not, stops at the coarsest map it takes."""
    wanted = read_by(memory, net)
    found = [
        mapped(backbone, net.normalised(torch.from_numpy(frames[at : at + FEW])), wanted)
        for at in range(0, len(frames), FEW)
    ]
    return tuple(torch.cat(some) for some in zip(*found, strict=True))

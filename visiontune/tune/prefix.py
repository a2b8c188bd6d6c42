"""The prefix cache: what the closed stages give is computed once per view of a picture, and training starts from there.

While the lowest k stages are closed, their output for a view never changes. With V views a picture, r epochs a view and p the
closed share of the forward cost, a step costs 1 - p + p / (3 r) of a full one. One forward pass per view fills the cuts of all
phases. Stored as float16 on disk, memory-mapped; a tensor that float16 cannot hold is stored as float32.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visiontune.tune.cut import Cut, Uncuttable, prefixes
from visiontune.tune.net import Net

GIGABYTE = 10**9
LARGEST = 6e4  # float16 ends at 65504
EXACT = 1e-4  # largest relative difference between both ways that a check accepts; they are usually bit-equal


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which boundaries are cached, and what it costs."""

    cuts: tuple[Cut, ...]  # from the head down
    bytes_per_picture: int  # for one view, all cuts
    left_out: tuple[str, ...]  # one line for each boundary that is not cached, with the reason


def plan(net: Net, closed: Iterable[int], frames: NDArray[np.uint8], *, pictures: int, budget: float) -> Plan:
    """The cuts among `closed` (numbers of closed stages) that hold a check and fit into `budget` bytes for `pictures` views.

    `frames` uint8 (N, h, w, 3) are a few real pictures for the check; 2 to 8 are enough. Nearest to the head first: they
    are the smallest, and the phases that use them the longest.
    """
    cuts: list[Cut] = []
    left_out: list[str] = []
    size = 0
    for count in sorted(set(closed) - {0}, reverse=True):
        try:
            cut = checked(net, count, torch.from_numpy(frames))
        except Uncuttable as reason:
            left_out.append(f"{count} closed stages: computed anew each epoch, because {reason}")
            continue
        more = 2 * math.prod(cut.shape)
        if (size + more) * pictures > budget:
            need = (size + more) * pictures / GIGABYTE
            left_out.append(
                f"{count} closed stages: computed anew each epoch, {need:.1f} GB would pass cache_gb"
            )
            continue
        size += more
        cuts.append(cut)
    return Plan(cuts=tuple(cuts), bytes_per_picture=size, left_out=tuple(left_out))


def checked(net: Net, closed: int, frames: Tensor) -> Cut:
    """The cut, after features and gradients of both ways were compared on real pictures in training mode.

    Raises Uncuttable with what differs. The network is left as it was.
    """
    twin = copy.deepcopy(net)
    twin.open_top(len(twin.stages) - closed)
    twin.train()
    pictures = twin.normalised(frames)
    state = copy.deepcopy(twin.backbone.state_dict())
    try:
        cut = Cut(twin, closed, pictures)
        plain = features_and_gradients(twin, lambda: twin.backbone(pictures))
        twin.backbone.load_state_dict(state)
        kept = prefixes([cut], pictures)[0]
        twin.backbone.load_state_dict(state)
        replayed = features_and_gradients(twin, lambda: cut.suffix(kept))
    except Uncuttable:
        raise
    except Exception as problem:  # whatever a model's own forward raises on replayed tensors
        raise Uncuttable(f"replaying it fails ({type(problem).__name__})") from problem
    for name, there in plain.items():
        here = replayed.get(name)
        if here is None or here.shape != there.shape or not close(here, there):
            raise Uncuttable(f"replaying it changes the {name}")
    return Cut(net, closed, pictures)


def features_and_gradients(net: Net, run: Callable[[], Tensor]) -> dict[str, Tensor]:
    """What a way gives: the features, and the gradient of their squares for every open parameter."""
    torch.manual_seed(0)
    net.zero_grad()
    features = run()
    if features.requires_grad:
        features.square().sum().backward()  # type: ignore[no-untyped-call]
    found = {"features": features.detach()}
    for name, parameter in net.backbone.named_parameters():
        if parameter.grad is not None:
            found[f"gradient of {name}"] = parameter.grad.clone()
    return found


def close(here: Tensor, there: Tensor) -> bool:
    """Equal up to rounding, relative to the largest value."""
    scale = float(there.abs().max().clamp(min=1e-6))
    return float((here - there).abs().max()) <= EXACT * scale


class PrefixCache:
    """Tensors of closed stages on disk, by key (such as "val" or "view 2") and cut.

    `identity` is everything they depend on besides the weights: a folder that was filled for another identity or other
    weights is emptied.
    """

    def __init__(self, net: Net, cuts: Sequence[Cut], folder: Path, *, identity: dict[str, Any]) -> None:
        self.net = net
        self.cuts = {cut.closed: cut for cut in cuts}
        self.folder = folder
        stamp = hashlib.sha256(
            json.dumps([identity, weights_digest(net)], sort_keys=True).encode()
        ).hexdigest()
        mark = folder / "identity"
        if not mark.is_file() or mark.read_text() != stamp:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark.write_text(stamp)

    def path(self, key: str, closed: int) -> Path:
        """The file of a key and a cut."""
        return self.folder / f"{key.replace(' ', '-')}.closed-{closed}.npy"

    def filled(self, key: str) -> bool:
        """Whether all cuts of a key are there."""
        return all(self.path(key, closed).is_file() for closed in self.cuts)

    def kept(self, key: str, closed: int) -> NDArray[Any]:
        """The stored tensors, float16 or float32 (n, *shape), memory-mapped."""
        stored: NDArray[Any] = np.load(self.path(key, closed), mmap_mode="r")
        return stored

    def fill(self, key: str, batches: Iterable[Tensor], n: int) -> None:
        """Runs the closed stages on uint8 batches (N, h, w, 3) of `n` pictures and stores every cut, whole or not at all."""
        if self.filled(key):
            return
        drafts: dict[int, Path] = {}
        arrays: dict[int, NDArray[Any]] = {}
        at = 0
        self.net.eval()
        try:
            for frames in batches:
                rows = prefixes(list(self.cuts.values()), self.net.normalised(frames))
                for closed, row in zip(self.cuts, rows, strict=True):
                    if closed not in arrays:
                        drafts[closed] = self.path(key, closed).with_suffix(f".{os.getpid()}.tmp")
                        shape = (n, *self.cuts[closed].shape)
                        kind = np.float16 if float(row.abs().max()) < LARGEST / 4 else np.float32
                        arrays[closed] = np.lib.format.open_memmap(
                            drafts[closed], mode="w+", dtype=kind, shape=shape
                        )
                    store(arrays[closed], at, row)
                at += len(frames)
            if at != n:
                raise ValueError(f"expected {n} pictures, got {at}")
            for closed, draft in drafts.items():
                arrays.pop(closed).flush()  # type: ignore[attr-defined]
                draft.replace(self.path(key, closed))
        finally:
            for draft in drafts.values():
                draft.unlink(missing_ok=True)


def store(array: NDArray[Any], at: int, row: Tensor) -> None:
    """Puts a batch in its place; refuses to clip."""
    if array.dtype == np.float16 and float(row.abs().max()) > LARGEST:
        raise Uncuttable("its output is too large for float16")
    array[at : at + len(row)] = row.cpu().numpy()


def weights_digest(net: Net) -> str:
    """sha256 of the backbone's weights and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

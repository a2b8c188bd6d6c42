"""The prefix cache: what the closed stages give is computed once per view of a picture, and training starts from there.

While the lowest k stages are closed, their output for a view never changes. With V views a picture, r epochs a view and p the
closed share of the forward cost, a step costs 1 - p + p / (3 r) of a full one. One forward pass per view fills the cuts of all
phases. Stored on disk, memory-mapped, as float32 where that fits into the budget: then the cache changes no bit of the result.
Otherwise maps are stored as float16 and pooled features, which are small, as float32.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BufferedWriter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visiontune.heads import Features
from visiontune.runtime.whole import remove_drafts, whole
from visiontune.tune.cut import Cut, Uncuttable, prefixes
from visiontune.tune.net import Net

GIGABYTE = 10**9
LARGEST = 6e4  # float16 ends at 65504
FORMAT = 3  # raise it when the files come to hold other bytes for the same tensors
HALF: np.dtype[Any] = np.dtype(np.float16)
SINGLE: np.dtype[Any] = np.dtype(np.float32)
EXACT = 1e-4  # largest relative difference between both ways that a check accepts; they are usually bit-equal


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Which boundaries are cached, and what it costs."""

    cuts: tuple[Cut, ...]  # from the head down
    exact: bool  # whether all of them are stored as float32
    bytes_per_picture: int  # for one view, all cuts
    left_out: tuple[str, ...]  # one line for each boundary that is not cached, with the reason


def plan(net: Net, closed: Iterable[int], frames: NDArray[np.uint8], *, pictures: int, budget: float) -> Plan:
    """The cuts among `closed` (numbers of closed stages) that hold a check and fit into `budget` bytes for `pictures` views.

    `frames` uint8 (N, h, w, 3) are a few real pictures for the check; 2 to 8 are enough. Nearest to the head first: they
    are the smallest, and the phases that use them the longest. Float16 makes room where float32 does not fit.
    """
    cuts: list[Cut] = []
    left_out: list[str] = []
    for count in sorted(set(closed) - {0}, reverse=True):
        try:
            cuts.append(checked(net, count, torch.from_numpy(frames).to(net.mean.device)))
        except Uncuttable as reason:
            left_out.append(f"{count} closed stages: computed anew each epoch, because {reason}")
    exact = sum(cut_bytes(cut, exact=True) for cut in cuts) * pictures <= budget
    fitting: list[Cut] = []
    size = 0
    for cut in cuts:
        more = cut_bytes(cut, exact=exact)
        if (size + more) * pictures > budget:
            need = (size + more) * pictures / GIGABYTE
            left_out.append(
                f"{cut.closed} closed stages: computed anew each epoch, {need:.1f} GB would pass cache_gb"
            )
            continue
        size += more
        fitting.append(cut)
    return Plan(cuts=tuple(fitting), exact=exact, bytes_per_picture=size, left_out=tuple(left_out))


def kind(cut: Cut, *, exact: bool) -> np.dtype[Any]:
    """What a cut is stored as: float32 if `exact`, else maps in float16 and pooled features in float32.

    Pooled features are small, and their channels differ in offset and scale by orders of magnitude until the head
    standardises them, which float16 need not survive.
    """
    return SINGLE if exact or (cut.whole and cut.packing is None) else HALF


def cut_bytes(cut: Cut, *, exact: bool) -> int:
    """Bytes that a cut takes for one picture in one view."""
    return kind(cut, exact=exact).itemsize * math.prod(cut.shape)


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
        plain = features_and_gradients(twin, lambda: twin.features(pictures))
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


def features_and_gradients(net: Net, run: Callable[[], Features]) -> dict[str, Tensor]:
    """What a way gives: the features, and the gradient of their squares for every open parameter."""
    torch.manual_seed(0)
    net.zero_grad()
    given = run()
    features = (
        {"features": given}
        if isinstance(given, Tensor)
        else {f"features {i}": f for i, f in enumerate(given)}
    )
    squares = [one.square().sum() for one in features.values() if one.requires_grad]
    if squares:
        torch.stack(squares).sum().backward()  # type: ignore[no-untyped-call]
    found = {name: one.detach() for name, one in features.items()}
    for name, parameter in net.backbone.named_parameters():
        if parameter.grad is not None:
            found[f"gradient of {name}"] = parameter.grad.clone()
    return found


def close(here: Tensor, there: Tensor) -> bool:
    """Equal up to rounding, relative to the largest value."""
    scale = float(there.abs().max().clamp(min=1e-6))
    return float((here - there).abs().max()) <= EXACT * scale


class TooLarge(Exception):
    """A tensor does not fit into float16; filling the same key again stores it as float32."""


class PrefixCache:
    """Tensors of closed stages on disk, by key (such as "val" or "view 2") and cut.

    `identity` is everything they depend on besides the weights: a folder that was filled for another identity or other
    weights is emptied. `exact` stores all of them as float32.
    """

    def __init__(
        self, net: Net, cuts: Sequence[Cut], folder: Path, *, identity: dict[str, Any], exact: bool = False
    ) -> None:
        self.net = net
        self.cuts = {cut.closed: cut for cut in cuts}
        self.exact = exact
        self.folder = folder
        self.single: set[tuple[str, int]] = set()  # what turned out too large for float16
        stamp = hashlib.sha256(
            json.dumps([FORMAT, exact, identity, weights_digest(net)], sort_keys=True).encode()
        ).hexdigest()
        mark = folder / "identity"
        if not mark.is_file() or mark.read_text() != stamp:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            mark.write_text(stamp)
        remove_drafts(folder)

    def path(self, key: str, closed: int) -> Path:
        """The file of a key and a cut."""
        return self.folder / f"{key.replace(' ', '-')}.closed-{closed}.npy"

    def filled(self, key: str, closed: int) -> bool:
        """Whether a cut of a key is there."""
        return self.path(key, closed).is_file()

    def kept(self, key: str, closed: int) -> NDArray[Any]:
        """The stored tensors, float16 or float32 (n, *shape), memory-mapped, in the layout that the network had them in."""
        stored: NDArray[Any] = np.load(self.path(key, closed), mmap_mode="r")
        return np.moveaxis(stored, -1, 1) if self.cuts[closed].channels_last else stored

    def fill(self, key: str, batches: Iterable[Tensor], n: int, *, closed: int | None = None) -> None:
        """Runs the closed stages on uint8 batches (N, h, w, 3) of `n` pictures and stores every cut, whole or not at all.

        With `closed` only the cuts of at most so many stages, and no stage above them is computed. Raises TooLarge when it has
        to be called again, OSError where the disk is full.
        """
        wanted = {
            count: cut
            for count, cut in self.cuts.items()
            if (closed is None or count <= closed) and not self.filled(key, count)
        }
        if not wanted:
            return
        at = 0
        self.net.eval()
        with ExitStack() as stack:
            files: dict[int, BufferedWriter] = {}
            for frames in batches:
                rows = prefixes(list(wanted.values()), self.net.normalised(frames))
                for (count, cut), row in zip(wanted.items(), rows, strict=True):
                    large = (key, count) in self.single
                    stored = SINGLE if large else kind(cut, exact=self.exact)
                    if stored == HALF and float(row.abs().max()) > LARGEST:
                        self.single.add((key, count))
                        raise TooLarge(f"{key}, {count} closed stages")
                    laid = (row.movedim(1, -1) if cut.channels_last else row).cpu().numpy()
                    if count not in files:
                        files[count] = stack.enter_context(
                            array_file(self.path(key, count), (n, *laid.shape[1:]), stored)
                        )
                    files[count].write(np.ascontiguousarray(laid, stored).data)
                at += len(frames)
            if at != n:
                raise ValueError(f"expected {n} pictures, got {at}")


@contextmanager
def array_file(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[BufferedWriter]:
    """A .npy file to which the bytes of an array are written one row after the other; it is there if the block ends well.

    Not memory-mapped for writing: a full disk would kill the process instead of raising OSError.
    """
    with whole(path) as draft, draft.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        yield file
        file.flush()
        os.fsync(file.fileno())


def weights_digest(net: Net) -> str:
    """sha256 of the backbone's weights and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(net.backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()

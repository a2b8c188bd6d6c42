"""Frozen means frozen: what closed stages hold is hashed when the run begins, and a tensor that moved fails the run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor

from visiontune.runtime.errors import BadRecipe
from visiontune.tune.net import Net

SHOWN = 3  # names in the message


class Frozen:
    """The digests of every parameter and buffer of the stages that are closed when a run begins.

    Stages only ever open, so these digests hold for every later phase, and for a run that is taken up again: what was cached
    and what was checkpointed must stem from the same weights.
    """

    def __init__(self, net: Net, *, opened: int) -> None:
        before = net.open
        net.open_top(opened)
        self.digests = fingerprint(net.frozen_tensors())
        net.open_top(before)

    def check(self, net: Net, when: str) -> None:
        """Raises BadRecipe, with their names, if tensors of closed stages are not what they were."""
        now = fingerprint(net.frozen_tensors())
        moved = [name for name, found in now.items() if self.digests.get(name) != found]
        if moved:
            more = f" and {len(moved) - SHOWN} more" if len(moved) > SHOWN else ""
            raise BadRecipe(
                f"expected closed stages to stay as they are, found {', '.join(moved[:SHOWN])}{more} of the backbone "
                f"changed {when}; a module or a callback changes them though they are closed (statistics that also move "
                "in evaluation?), or the start weights are not those of the run that is resumed: open everything with "
                "Unfreeze.all(), or take another backbone"
            )


def fingerprint(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Hex sha256 of the bytes of each tensor, by name."""
    return {name: hashlib.sha256(byte_view(tensor)).hexdigest() for name, tensor in tensors.items()}


def byte_view(tensor: Tensor) -> bytes:
    """The bytes of a tensor, on any device."""
    return tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()

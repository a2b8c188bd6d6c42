"""Cuts a backbone at a stage boundary: runs the closed part alone, and the open part from what the closed part gave.

Verified replay, for any model whose stages run one after the other: the closed part is run and stopped behind its last module;
the open part is the same forward call in which that module answers with the stored tensor and the closed modules before it
with zeros of the right shape, which nobody reads. No family needs code of its own. `verify` compares both ways before anything
relies on it, because a model with a side branch round the boundary would break the assumption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from visiontune.tune.stages import Stage


class Uncuttable(Exception):
    """The backbone cannot be cut there; the message says why."""


class Staged(Protocol):
    """What a cut needs to know of a network."""

    backbone: nn.Module
    stages: tuple[Stage, ...]


class _Stop(Exception):
    """Leaves a forward pass once the closed part is done."""


class Cut:
    """The boundary above the lowest `closed` stages. With all of them closed the stored tensor is the features themselves."""

    def __init__(self, net: Staged, closed: int) -> None:
        if not 1 <= closed <= len(net.stages):
            raise Uncuttable(f"a cut needs 1 to {len(net.stages)} closed stages, got {closed}")
        self.backbone = net.backbone
        self.closed = closed
        self.whole = closed == len(net.stages)
        self.modules: dict[str, nn.Module] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        if not self.whole:
            self._find(net.stages)

    def _find(self, stages: tuple[Stage, ...]) -> None:
        """The outermost modules wholly inside the closed stages, in the order in which they run."""
        inside = {name for stage in stages[: self.closed] for name in stage.modules}
        children = dict(self.backbone.named_modules())
        for name, module in children.items():
            outer = name.rpartition(".")[0]
            if name in inside and outer not in inside:
                self.modules[name] = module

    def prefix(self, pictures: Tensor) -> Tensor:
        """What the closed part gives for normalised pictures (N, 3, h, w); the features (N, F) if all is closed."""
        with torch.no_grad():
            if self.whole:
                features: Tensor = self.backbone(pictures)
                return features
            ran: dict[str, Tensor] = {}
            with self._listening(ran):
                self.backbone(pictures)
            self.modules = {name: self.modules[name] for name in ran}  # those that ran, in their order
            self.shapes = {name: tuple(output.shape[1:]) for name, output in ran.items()}
            return ran[next(reversed(ran))]

    @contextmanager
    def _listening(self, ran: dict[str, Tensor]) -> Iterator[None]:
        """Notes the output of every closed module as it runs."""

        def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(_module: nn.Module, _input: Any, output: Any) -> None:
                if not isinstance(output, Tensor):
                    raise Uncuttable(f"{name} gives {type(output).__name__}, not one tensor")
                ran.pop(name, None)
                # resnet's first activation works in place on the tensor that is kept
                ran[name] = output.clone()

            return hook

        handles = [module.register_forward_hook(note(name)) for name, module in self.modules.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def suffix(self, stored: Tensor, pictures_shape: tuple[int, ...]) -> Tensor:
        """The features (N, F) from the stored tensor (N, ...), with gradient for the open part.

        `pictures_shape` is (3, h, w) of the pictures that the prefix saw.
        """
        if self.whole:
            return stored
        with self._replaced(stored):
            # the pictures are never read; expanding one zero makes them free
            nothing = stored.new_zeros(1).expand(len(stored), *pictures_shape)
            features: Tensor = self.backbone(nothing)
            return features

    @contextmanager
    def _replaced(self, stored: Tensor) -> Iterator[None]:
        """Closed modules answer without computing: the last with `stored`, the others with zeros."""
        if not self.shapes:
            raise Uncuttable("the prefix has to run once before the suffix can")
        last = next(reversed(self.shapes))

        def answering(name: str) -> Callable[..., Tensor]:
            if name == last:
                return lambda *_args, **_kwargs: stored.clone()
            shape = self.shapes[name]
            return lambda *_args, **_kwargs: stored.new_zeros(len(stored), *shape)

        for name in self.shapes:
            self.modules[name].forward = answering(name)
        try:
            yield
        finally:
            for name in self.shapes:
                del self.modules[name].forward

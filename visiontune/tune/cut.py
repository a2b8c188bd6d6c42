"""Cuts a backbone at a stage boundary: runs the closed part alone, and the open part from what the closed part gave.

Verified replay, for any model whose stages run one after the other: the closed part is run and the output of its last module
kept; the open part is the same forward call in which that module answers with the kept tensor and the closed modules before it
with zeros of the right shape, which nobody reads. No family needs code of its own. `tune.prefix` compares both ways before it
relies on a cut, because a model with a side branch round the boundary breaks the assumption. For a head that reads maps of the
backbone, those from below the boundary are kept beside that output, in one row a picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from visiontune.heads import Features
from visiontune.tune.packing import Packing, lies_channels_last
from visiontune.tune.pyramid import Tap, gathering
from visiontune.tune.stages import Stage


class Uncuttable(Exception):
    """The backbone cannot be cut there; the message says why."""


class Staged(Protocol):
    """What a cut needs to know of a network."""

    backbone: nn.Module
    stages: tuple[Stage, ...]
    taps: tuple[Tap, ...]


class Cut:
    """The boundary above the lowest `closed` stages of a network, 1 or more.

    With all of them closed, the tensor that is kept is the pooled features themselves. Where the head reads taps, those of
    closed stages are packed behind it, in one row a picture. `frames` (N, 3, h, w) are normalised pictures of one size; one
    forward pass on them finds the order of the modules. Raises Uncuttable.
    """

    def __init__(self, net: Staged, closed: int, frames: Tensor) -> None:
        if not 1 <= closed <= len(net.stages):
            raise Uncuttable(f"a cut needs 1 to {len(net.stages)} closed stages, got {closed}")
        self.backbone = net.backbone
        self.closed = closed
        self.whole = closed == len(net.stages)
        self.picture = tuple(frames.shape[1:])
        inside = {name for stage in net.stages[:closed] for name in stage.modules}
        modules = dict(self.backbone.named_modules())
        self.taps = net.taps
        self.below = {tap.module: modules[tap.module] for tap in self.taps if tap.module in inside}
        # the outermost modules wholly inside the closed stages
        outer = {n: m for n, m in modules.items() if n in inside and n.rpartition(".")[0] not in inside}
        ran: dict[str, Tensor] = {}
        maps: dict[str, Tensor] = {}
        training = {module for module in modules.values() if module.training}
        self.backbone.eval()  # looking must not move the statistics of batch norm
        with torch.no_grad(), listening(outer, ran), listening(self.below, maps):
            features = self.backbone(frames)
        for module in training:
            module.training = True
        if not ran:
            raise Uncuttable("no module runs below the boundary")
        # in the order in which they ran; resnet's first norm counts before the activation that changes its output
        self.modules = {name: outer[name] for name in ran}
        self.shapes = {name: tuple(output.shape[1:]) for name, output in ran.items()}
        self.last = next(reversed(ran))
        if not self.whole:
            self.below.pop(self.last, None)  # it is kept anyway
        kept = features if self.whole else ran[self.last]
        self.packing = Packing.of([kept, *(maps[name] for name in self.below)]) if self.below else None
        if self.packing is not None:
            kept = self.packing.pack([kept, *(maps[name] for name in self.below)])
        self.shape: tuple[int, ...] = tuple(kept.shape[1:])
        # convolutions answer in the layout they are fed; another one would change the last bits of what follows
        self.channels_last = lies_channels_last(kept)

    def of(self, features: Tensor | None, found: dict[str, Tensor]) -> Tensor:
        """The tensor to keep (N, *shape), from the pooled features and what the modules gave. Raises Uncuttable."""
        kept = features if self.whole else found.get(self.last)
        if kept is None:
            raise Uncuttable(f"{self.last} does not run below the boundary")
        if self.packing is None:
            return kept
        if not self.below.keys() <= found.keys():
            raise Uncuttable(f"{', '.join(self.below.keys() - found.keys())} does not run below the boundary")
        return self.packing.pack([kept, *(found[name] for name in self.below)])

    def suffix(self, kept: Tensor) -> Features:
        """What the head reads, from the kept tensor (N, *shape), with gradient for the open part."""
        stored: dict[str, Tensor] = {}
        if self.packing is not None:
            kept, *maps = self.packing.unpack(kept)
            stored = dict(zip(self.below, maps, strict=True))
        if not self.whole:
            stored[self.last] = kept
        above = [tap.module for tap in self.taps if tap.module not in stored]
        if self.whole:
            pooled, found = kept, {}
        else:
            nothing = kept.new_zeros(1).expand(len(kept), *self.picture)  # never read
            with self._answering(kept), gathering(self.backbone, above) as found:
                pooled = self.backbone(nothing)
        if not self.taps:
            return pooled
        found = {**stored, **found}
        return (pooled, *(tap.read(found[tap.module]) for tap in self.taps))

    @contextmanager
    def _answering(self, kept: Tensor) -> Iterator[None]:
        """Closed modules answer without computing: the last with `kept`, the others with zeros."""

        def answer(name: str) -> Callable[..., Tensor]:
            if name == self.last:
                # a copy, because resnet's first activation works in place
                return lambda *_args, **_kwargs: kept.clone()
            return lambda *_args, **_kwargs: kept.new_zeros(len(kept), *self.shapes[name])

        try:
            for name, module in self.modules.items():
                module.forward = answer(name)
            yield
        finally:
            for module in self.modules.values():
                module.__dict__.pop("forward", None)


class Reached(Exception):
    """The highest boundary was passed: what comes after it need not be computed."""


def prefixes(cuts: Sequence[Cut], frames: Tensor) -> list[Tensor]:
    """What each cut keeps of normalised pictures (N, 3, h, w), from one forward pass without gradient up to the highest."""
    kept: list[dict[str, Tensor]] = [{} for _ in cuts]
    highest = max(cuts, key=lambda cut: cut.closed)
    features: Tensor | None = None

    def end(*_: Any) -> None:
        raise Reached

    with torch.no_grad(), ExitStack() as stack:
        for cut, found in zip(cuts, kept, strict=True):
            last = {} if cut.whole else {cut.last: cut.modules[cut.last]}
            stack.enter_context(listening({**cut.below, **last}, found))
        if not highest.whole:
            stack.callback(highest.modules[highest.last].register_forward_hook(end).remove)
        with suppress(Reached):
            features = highest.backbone(frames)
    return [cut.of(features, found) for cut, found in zip(cuts, kept, strict=True)]


@contextmanager
def listening(modules: dict[str, nn.Module], ran: dict[str, Tensor]) -> Iterator[None]:
    """Notes a copy of what each module gives, in the order in which they run."""

    def note(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _input: Any, output: Any) -> None:
            if not isinstance(output, Tensor):
                raise Uncuttable(f"{name} gives {type(output).__name__}, not one tensor")
            ran.pop(name, None)
            ran[name] = output.clone()

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()

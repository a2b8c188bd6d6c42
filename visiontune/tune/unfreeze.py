"""When which stages are open, and at which learning rate: the schedule as plain arithmetic, no torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from visiontune.runtime.errors import BadRecipe

EVERYTHING = 1000  # more stages than any backbone has
ROUNDING = 1e-6
STEADY = 2  # epochs at the full rate before it falls, in the phase of a gated run that opens everything
LENGTH = 12  # epochs of a fixed schedule after its last opening


@dataclass(frozen=True, kw_only=True)
class Unfreeze:
    """Head first, then the backbone from the top down: gated by what val gains, or at fixed epochs.

    at          epochs (the first is 0) in which `step` more stages open; None is gated: a phase is kept, and the next one
                opens, only if val gained beyond the noise of the split (and, where nothing could be cached, still holds
                errors). Before the first opening only the head trains: a fitted head keeps the features from being distorted
                when they open (Kumar et al. 2022, arXiv 2202.10054).
    step        fixed: stages that an opening opens.
    shares      gated: shares of the backbone's forward cost that the phases after the head's open, rising, 0..1. With
                (0.5, 1.0) half of the cost first trains from what the closed half gave once. Everything at once ended better
                and cheaper on three of the four sets that it was tried on.
    head        gated: epochs of the head phase. They cost next to nothing where the closed stages are cached.
    phase       gated: epochs of a phase between.
    brief       gated: epochs of the phase in which everything is open. Its rate falls from the third on.
    full        gated: its epochs where the first two beat the head on val beyond doubt: then the pictures are far from those
                that the backbone knows, and a short run would leave much unlearnt.
    patience    epochs without a better val loss after which another phase ends early; of a fixed schedule only the last one.
    decay       a stage's learning rate as a share of that of the stage above it, 0..1 (discriminative rates: Howard and
                Ruder 2018, arXiv 1801.06146).
    confidence  gated: share of the bootstrap draws of val in which a phase must have gained, 0.5..1. The default asks for a
                gain of one standard error.
    """

    at: tuple[int, ...] | None = None
    step: int = 1
    shares: tuple[float, ...] = (1.0,)
    head: int = 16
    phase: int = 6
    brief: int = 5
    full: int = 8
    patience: int = 6
    decay: float = 0.95
    confidence: float = 0.84

    def __post_init__(self) -> None:
        at = self.at or ()
        if any(not isinstance(epoch, int) or epoch < 0 for epoch in at) or list(at) != sorted(set(at)):
            raise BadRecipe(
                f"Unfreeze.at must be rising epochs from 0 on, such as (4, 7), or None, got {self.at!r}"
            )
        rising = list(self.shares) == sorted(set(self.shares))
        if not rising or any(not 0 < share <= 1 for share in self.shares):
            raise BadRecipe(
                f"Unfreeze.shares must be rising shares in 0..1 (0 excluded), such as (0.5, 1.0), got {self.shares!r}"
            )
        for name in ("step", "head", "phase", "brief", "full", "patience"):
            if getattr(self, name) < 1:
                raise BadRecipe(f"Unfreeze.{name} must be 1 or more, got {getattr(self, name)}")
        if not 0 < self.decay <= 1:
            raise BadRecipe(f"Unfreeze.decay must lie in 0..1 (0 excluded), got {self.decay}")
        if not 0.5 <= self.confidence < 1:
            raise BadRecipe(f"Unfreeze.confidence must lie in 0.5..1 (1 excluded), got {self.confidence}")

    @classmethod
    def all(cls, *, after: int = 0, decay: float = 1.0) -> Unfreeze:
        """Everything opens in epoch `after`; at once by default, which is ordinary full fine-tuning."""
        return cls(at=(after,), step=EVERYTHING, decay=decay)

    @classmethod
    def never(cls) -> Unfreeze:
        """Only the head trains: a linear probe."""
        return cls(at=())

    @property
    def gated(self) -> bool:
        """Whether val decides what opens."""
        return self.at is None

    def phases(self, costs: Sequence[float], *, epochs: int | None = None) -> tuple[Phase, ...]:
        """The run for a backbone whose stages have these shares of the forward cost, from the stem up.

        Gated: as if every gate opened, and the last phase were brief. `epochs` cuts a gated run off, and is the length of a
        fixed one (None: LENGTH epochs after its last opening).
        """
        opened = self._gated(costs) if self.at is None else self._fixed(len(costs), epochs)
        found: list[Phase] = []
        for epoch, count in enumerate(opened[:epochs]):
            if found and found[-1].open == count:
                found[-1] = replace(found[-1], epochs=found[-1].epochs + 1)
            else:
                found.append(Phase(open=count, start=epoch, epochs=1))
        if self.gated and found and found[-1].open == len(costs):
            found[-1] = replace(found[-1], cooldown=max(0, found[-1].epochs - STEADY))
        return tuple(found)

    def lengthened(self, phases: Sequence[Phase], *, epochs: int | None = None) -> tuple[Phase, ...]:
        """`phases` after STEADY epochs of the last one, when it is to be long; `epochs` as in `phases`."""
        last = phases[-1]
        end = last.start + max(self.full, last.epochs)
        longer = (end if epochs is None else min(end, epochs)) - last.start
        return (*phases[:-1], replace(last, epochs=longer, cooldown=max(0, longer - STEADY)))

    def _fixed(self, of: int, epochs: int | None) -> list[int]:
        """Open stages in each epoch."""
        at = self.at or ()
        length = LENGTH + max(at, default=0) if epochs is None else epochs
        return [min(of, self.step * sum(opening <= epoch for opening in at)) for epoch in range(length)]

    def _gated(self, costs: Sequence[float]) -> list[int]:
        """Open stages in each epoch: the most from the top that fit into a share, one more than before at least."""
        opened = [0] * self.head
        for share in self.shares:
            fitting = [
                count
                for count in range(len(costs) + 1)
                if sum(costs[len(costs) - count :]) <= share + ROUNDING
            ]
            count = min(max(max(fitting), opened[-1] + 1), len(costs))
            if count > opened[-1]:
                opened += [count] * (min(self.brief, self.full) if count == len(costs) else self.phase)
        return opened


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of epochs in which the same stages are open."""

    open: int  # backbone stages open, counted from the top
    start: int  # first epoch
    epochs: int
    cooldown: int = 0  # last epochs, over which the rate falls; 0: over the whole phase

    @property
    def end(self) -> int:
        """First epoch after the phase."""
        return self.start + self.epochs


def shortened(phases: Sequence[Phase], *, end: int) -> tuple[Phase, ...]:
    """`phases` when the one that holds epoch `end` - 1 stops there; later ones follow at once."""
    found: list[Phase] = []
    for phase in phases:
        start = found[-1].end if found else phase.start
        holds = phase.start < end < phase.end
        found.append(replace(phase, start=start, epochs=end - start if holds else phase.epochs))
    return tuple(found)


def rate(
    step: int, *, of: int, cooldown: int | None = None, warmup: float = 0.05, floor: float = 0.02
) -> float:
    """Share of the peak learning rate at `step` of a phase of `of` steps.

    Linear warm-up over the share `warmup` of the steps, then cosine down to `floor`, or, with `cooldown`, first steady and
    down in the last so many steps.
    """
    rising = max(1, round(warmup * of))
    if step < rising:
        return (step + 1) / rising
    falling = of - rising if cooldown is None else min(cooldown, of - rising)
    progress = max(0.0, (step - (of - falling)) / max(1, falling))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

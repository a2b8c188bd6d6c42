"""When which stages are open, and at which learning rate: the schedule as plain arithmetic, no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from visiontune.runtime.errors import BadRecipe

EVERYTHING = 1000  # more stages than any backbone has


@dataclass(frozen=True, kw_only=True)
class Unfreeze:
    """Head first, then stage by stage from the top down: gated by what val gains, or at fixed epochs.

    at          epochs (the first is 0) in which more of the backbone opens; None is gated: a phase is kept, and the next
                one opens, only if val gained beyond the noise of the split. Before the first opening only the head trains: a
                fitted head keeps the features from being distorted when they open (Kumar et al. 2022, arXiv 2202.10054).
    head        gated: epochs of the head phase. They cost next to nothing where the closed stages are cached.
    phase       gated: epochs of each later phase.
    step        stages that the first opening opens; gated: each phase that is kept doubles it, so that a job far from what
                the backbone knows reaches the stem in a few phases.
    decay       a stage's learning rate as a share of that of the stage above it, 0..1 (discriminative rates: Howard and
                Ruder 2018, arXiv 1801.06146).
    confidence  gated: share of the bootstrap draws of val in which a phase must have gained, 0.5..1.
    """

    at: tuple[int, ...] | None = None
    head: int = 20
    phase: int = 6
    step: int = 1
    decay: float = 0.8
    confidence: float = 0.9

    def __post_init__(self) -> None:
        at = self.at or ()
        if any(not isinstance(epoch, int) or epoch < 0 for epoch in at) or list(at) != sorted(set(at)):
            raise BadRecipe(
                f"Unfreeze.at must be rising epochs from 0 on, such as (4, 7), or None, got {self.at!r}"
            )
        for name in ("head", "phase", "step"):
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

    def open_stages(self, epoch: int, *, of: int) -> int:
        """How many of the backbone's `of` stages, counted from the top, are open in `epoch`; gated: if every gate opens."""
        if self.at is not None:
            return min(of, self.step * sum(opening <= epoch for opening in self.at))
        if epoch < self.head:
            return 0
        kept = 1 + (epoch - self.head) // self.phase
        return min(of, self.step * (2**kept - 1)) if kept < 10 else of

    def longest(self, *, of: int) -> int:
        """Epochs of a gated run in which every gate opens, for a backbone of `of` stages."""
        phases = 0
        while self.step * (2**phases - 1) < of:
            phases += 1
        return self.head + phases * self.phase

    def phases(self, epochs: int, *, of: int) -> tuple[Phase, ...]:
        """The run of `epochs` as phases, in order; gated: those of a run in which every gate opens."""
        found: list[Phase] = []
        for epoch in range(epochs):
            opened = self.open_stages(epoch, of=of)
            if found and found[-1].open == opened:
                found[-1] = Phase(open=opened, start=found[-1].start, epochs=found[-1].epochs + 1)
            else:
                found.append(Phase(open=opened, start=epoch, epochs=1))
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of epochs in which the same stages are open."""

    open: int  # backbone stages open, counted from the top
    start: int  # first epoch
    epochs: int

    @property
    def end(self) -> int:
        """First epoch after the phase."""
        return self.start + self.epochs


def rate(step: int, *, of: int, warmup: float = 0.05, floor: float = 0.02) -> float:
    """Share of the peak learning rate at `step` of a phase of `of` steps.

    Linear warm-up over the share `warmup` of the steps, then cosine down to `floor`.
    """
    rising = max(1, round(warmup * of))
    if step < rising:
        return (step + 1) / rising
    progress = (step - rising) / max(1, of - rising)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))

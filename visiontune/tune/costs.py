"""What each stage costs and how it will be trained: the table that answers "what does closing three stages mean?"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from rich.table import Table
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from visiontune.tune.stages import Stage


@dataclass(frozen=True, kw_only=True)
class Cost:
    """A stage's share of the backbone: of its parameters and of the multiplications of a forward pass, each 0..1."""

    parameters: float
    forward: float


def costs(backbone: nn.Module, stages: Sequence[Stage], *, size: tuple[int, int]) -> tuple[Cost, ...]:
    """The cost of each stage for one picture of `size` (h, w) in pixels. One forward pass is run and counted."""
    counter = FlopCounterMode(display=False)
    training = {module for module in backbone.modules() if module.training}
    backbone.eval()
    device = next(backbone.parameters()).device
    with torch.no_grad(), counter:
        backbone(torch.zeros(1, 3, *size, device=device))
    for module in training:
        module.training = True
    counted = {name.partition(".")[2]: sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    forward = [stage_flops(stage, counted) for stage in stages]
    whole, parameters = max(sum(forward), 1), sum(stage.size for stage in stages)
    return tuple(
        Cost(parameters=stage.size / parameters, forward=flops / whole)
        for stage, flops in zip(stages, forward, strict=True)
    )


def stage_flops(stage: Stage, counted: dict[str, int]) -> int:
    """Operations inside a stage: those of its outermost modules."""
    inside = set(stage.modules)
    return sum(counted.get(name, 0) for name in inside if name.rpartition(".")[0] not in inside)


def stage_table(stages: Sequence[Stage], found: Sequence[Cost], *, lr: float, decay: float) -> Table:
    """A row a stage, from the stem up: parameters, share of the forward cost, its learning rate when it is open."""
    table = Table(title="Stages of the backbone, from the stem up")
    for heading in ("stage", "parameters", "forward cost", "closed below, a step costs", "rate when open"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    below = 0.0
    for depth, (stage, cost) in enumerate(zip(stages, found, strict=True)):
        rate = lr * decay ** (len(stages) - depth)
        table.add_row(
            stage.name,
            f"{stage.size:,}",
            f"{100 * cost.forward:.1f} %",
            f"{100 * (1 - below):.0f} %",
            f"{rate:.1e}",
        )
        below += cost.forward
    table.caption = (
        "closed stages run in eval mode: batch norm keeps its statistics, dropout and drop-path stay off"
    )
    return table

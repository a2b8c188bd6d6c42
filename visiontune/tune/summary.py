"""The table at the end of a fine-tuning: what each phase opened, gained and cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from visiontune.tune.keeper import PhaseResult
from visiontune.tune.stages import Stage

if TYPE_CHECKING:
    from visiontune.tune.learner import Epoch


def summary(results: Sequence[PhaseResult], history: Sequence[Epoch], stages: Sequence[Stage]) -> Table:
    """A row a phase.

    `val loss` is at its best temperature, in nats; `errors` the val pictures named wrongly;
    `gain (low)` its mean fall and the fall's lower bound; `balanced` the
    balanced accuracy of the phase's last epoch; `kept` the weights that were kept: an epoch's, their moving average or a soup.
    """
    table = Table(title="Fine-tuning: what each phase opened, gained and cost")
    for heading in ("open", "epochs", "val loss", "errors", "gain (low)", "balanced", "CPU s", "kept"):
        table.add_column(heading, justify="left" if heading in ("open", "kept") else "right")
    for result in results:
        part = [epoch for epoch in history if result.start <= epoch.epoch < result.start + result.epochs]
        lowest = stages[len(stages) - result.open].name if result.open else ""
        table.add_row(
            f"{result.open} of {len(stages)}, from {lowest}" if result.open else "head",
            str(result.epochs),
            f"{result.val_loss:.4f}",
            str(result.errors),
            "" if result.gain is None else f"{result.gain:+.4f} ({result.low:+.4f})",
            f"{part[-1].val_balanced_accuracy:.3f}" if part else "",
            f"{sum(epoch.cpu_seconds for epoch in part):.1f}",
            result.chosen if result.kept else "no",
        )
    return table

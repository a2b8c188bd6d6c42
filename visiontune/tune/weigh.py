"""How much of what real defects taught a head of good parts is to count: as much as ranks the pictures of val best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console

from visiontune.data.batches import label_indices
from visiontune.heads.trained_anomaly import TrainedAnomalyNet
from visiontune.runtime.roc import auroc
from visiontune.tune.beside_memory import scores
from visiontune.tune.feeds import Share

if TYPE_CHECKING:
    from visiontune.tune.net import Net

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)


def weigh(net: Net, head: TrainedAnomalyNet, val: Share, *, console: Console) -> None:
    """Sets the head's weight to that of the highest AUROC on val, the smallest of equal ones.

    A few defects of a few parts, learned by heart, are worse than none. `val` must hold real defects: planted ones cannot tell
    what real ones taught. Nothing is done where train held none.
    """
    if head.taught is None:
        return
    found = scores(net, lambda features: (head.weighed(features, WEIGHTS), features[0]), val.frames)
    defective = label_indices(val.data) != 0
    reached = [auroc(column, defective) or 0.0 for column in found.T]
    best = WEIGHTS[int(np.argmax(reached))]
    head.weight.fill_(best)
    said = ", ".join(f"{weight:g}: {value:.3f}" for weight, value in zip(WEIGHTS, reached, strict=True))
    console.print(
        f"  what the labelled defects taught counts by {best:g} (AUROC on val by weight: {said})",
        highlight=False,
        soft_wrap=True,
    )

"""Signs of overfitting and forgetting in a run: drift of the weights, the gap of the losses, accuracy under corruptions."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from visiontune.data.batches import label_indices
from visiontune.tune.checkpoints import FIRST, load_weights
from visiontune.tune.robust import drift, under_corruption
from visiontune.tune.run import Run


def health(run: Run, *, pictures: int = 128) -> dict[str, Any]:
    """Drift per stage, the gap of the kept epoch, and what corruptions do; kept in run.json.

    `gap` is val loss minus training loss in nats (the training loss is that of augmented pictures). Balanced accuracy
    under stock corruptions of at most `pictures` val pictures (of frames with about so many tiles, 4 at least) is given
    before the backbone opened and at the end.
    """
    share = run.data.share("val")
    if run.recipe.grid is not None:
        pictures = max(4, pictures // len(run.recipe.grid))
    chosen = np.random.default_rng(0).permutation(len(share))[:pictures]
    frames, labels = run.frames["val"][np.sort(chosen)], label_indices(share)[np.sort(chosen)]
    kept = run.history[run.best]
    found: dict[str, Any] = {
        "drift": drift(run.net, run.start),
        "gap": kept.val_loss - kept.train_loss,
        "corruptions": {"end": under_corruption(run.net, frames, labels)},
    }
    first = run.out / "checkpoints" / FIRST
    if run.best >= run.phases[0].epochs and first.is_file():
        before = copy.deepcopy(run.net)
        before.load_state_dict(load_weights(first)[0])
        found["corruptions"]["before opening"] = under_corruption(before, frames, labels)
    run.metrics["health"] = found
    run.save()
    return found

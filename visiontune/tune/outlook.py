"""The learning curve of a run, from features of the backbone as it was before fine-tuning; printed and kept."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from visiontune.data.batches import label_indices
from visiontune.tune.finetune import judging, make_net
from visiontune.tune.learning_curve import LearningCurve, learning_curve, part_weights, percent
from visiontune.tune.nested import Features
from visiontune.tune.net import Net, together
from visiontune.tune.progress import counted
from visiontune.tune.run import Run


def outlook(run: Run) -> LearningCurve:
    """Computes a run's learning curve, prints it, and keeps it in run.json.

    Fine-tuned features know all the train pictures, whatever subset a head learns from, and would show no curve; so the
    backbone's own are taken: one forward pass over train and val without augmentation, then seconds. Raises BadRecipe where
    the backbone cannot be made anew.
    """
    net = begun(run)
    train, val = share(run, net, "train"), share(run, net, "val")
    curve = learning_curve(train, val, run.data.classes, seed=run.recipe.seed)
    judged = run.judge("val")
    _, member = np.unique(np.asarray(judged.groups), return_inverse=True)
    tuned = float(part_weights(judged.labels, member) @ (judged.kinds.argmax(axis=1) != judged.labels))
    first = (
        f"A head alone, on the features as they were before fine-tuning, from {curve.pictures[-1]} pictures of "
        f"{curve.parts[-1]} parts; the fine-tuned network errs on {percent(tuned)} % of val, all classes alike. "
        "Twice the pictures means twice the parts."
    )
    run.metrics["learning_curve"] = {**curve.as_dict(), "says": first}
    run.save()
    for line in (first, *str(curve).splitlines()):
        run.console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)
    return curve


def begun(run: Run) -> Net:
    """The network as the run began. Made anew: not only weights, running statistics of opened stages have moved too."""
    with torch.random.fork_rng(devices=[]):
        net = make_net(run.recipe, run.data.share("train"))
    with torch.no_grad():
        for name, parameter in net.backbone.named_parameters():
            parameter.copy_(run.start[name])
    return judging(net.eval(), run.recipe)


def share(run: Run, net: Net, split: str) -> Features:
    """Features, labels and parts of a split."""
    data = run.data.share(split)
    return Features(
        values=features(run, net, split),
        labels=label_indices(data),
        groups=[sample.group for sample in data],
    )


def features(run: Run, net: Net, split: str) -> NDArray[np.float32]:
    """Pooled features float32 (n, F) of every picture of a split."""
    frames, rows = run.frames[split], []
    with (
        counted(run.console, f"features of {split}", len(frames)) as step,
        torch.inference_mode(),
    ):
        for start in range(0, len(frames), some := together(run.recipe.size)):
            batch = torch.from_numpy(np.ascontiguousarray(frames[start : start + some]))
            rows.append(net.pooled(batch).numpy())
            step(len(batch))
    return np.concatenate(rows)

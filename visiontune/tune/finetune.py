"""finetune(recipe, data) -> Run: reads, splits, trains by schedule on Lightning, keeps the best epoch."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import RichProgressBar
from rich.console import Console

from visiontune.data.fit import Fit
from visiontune.data.samples import Dataset
from visiontune.data.splits import split
from visiontune.data.store import load, remove
from visiontune.data.trainable import check_trainable
from visiontune.heads import Labels
from visiontune.runtime.errors import BadData, BadRecipe
from visiontune.tune.backbone import make_backbone, normalisation
from visiontune.tune.checkpoints import BEST, LAST, AtomicCheckpoints, EveryEpoch, load_weights
from visiontune.tune.costs import costs, stage_table
from visiontune.tune.feeds import Feeds, Share
from visiontune.tune.learner import Learner
from visiontune.tune.net import Net
from visiontune.tune.progress import counted
from visiontune.tune.recipe import Recipe
from visiontune.tune.run import Run
from visiontune.tune.summary import summary


def finetune(
    recipe: Recipe,
    data: Dataset,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    store: str | Path | None = None,
    console: Console | None = None,
    **trainer: Any,
) -> Run:
    """Fine-tunes `recipe` on `data` and gives the Run, its best epoch loaded.

    `data` is split here unless every sample has its split. `out` is the run's folder (default runs/DATE-TIME); checkpoints
    are written there after every epoch. `resume` continues a run that was cut off, to the same result bit by bit on the same
    machine. Other keywords go to Lightning's Trainer (devices, precision, strategy, ...).

    Pictures are decoded once, into `out`/store: a run that was cut off finds them there again, and when training is done the
    folder goes. Name a folder by `store` and it stays, for other runs on the same pictures.

    Raises BadData (empty class, missing share, unreadable picture, a folder that already holds a run), BadRecipe.
    """
    console = console or Console(stderr=True)
    folder = Path(out) if out is not None else Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    checkpoint = prepared(folder, recipe, resume=resume)
    data = split(data, seed=recipe.split_seed)
    check_trainable(data)
    for note in data.notes:
        console.print(f"[yellow]note[/] {note}", highlight=False)
    fit = Fit(recipe.size, recipe.roi)
    shares = {}
    for name in ("train", "val"):
        share = data.share(name)
        with counted(console, f"reading {name}", len(share)) as step:
            frames = load(
                share,
                fit,
                window=recipe.window,
                folder=folder / "store" if store is None else store,
                store_gb=recipe.store_gb,
                say=lambda line: console.print(f"  {line}", highlight=False, markup=False),
                progress=step,
            )
            shares[name] = Share(data=share, frames=frames)
    checkpoints = folder / "checkpoints"
    net = make_net(recipe, shares["train"].data)
    start = {name: parameter.detach().clone() for name, parameter in net.backbone.named_parameters()}
    console.print(
        stage_table(
            net.stages,
            costs(net.backbone, net.stages, size=recipe.size),
            lr=recipe.lr,
            decay=recipe.unfreeze.decay,
        )
    )
    phases = recipe.unfreeze.phases(recipe.length(len(net.stages)), of=len(net.stages))
    feeds = Feeds(net, recipe, phases, **shares, folder=folder / "cache")
    learner = Learner(net, recipe, feeds, best=checkpoints / BEST)
    with quiet():
        runner = lightning.Trainer(
            **{
                "max_epochs": phases[-1].end,
                "callbacks": [
                    EveryEpoch(checkpoints),
                    *([RichProgressBar(leave=False)] if console.is_terminal else []),
                ],
                "plugins": [AtomicCheckpoints()],
                "enable_checkpointing": False,
                "logger": False,
                "enable_progress_bar": console.is_terminal,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                "reload_dataloaders_every_n_epochs": 1,
                "gradient_clip_val": 1.0,
                "default_root_dir": folder,
                **trainer,
            }
        )
        stored = None if checkpoint is None else torch.load(checkpoint, map_location="cpu", weights_only=True)
        if stored is not None and stored["visiontune"]["keeper"]["stopped"]:
            learner.on_load_checkpoint(stored)  # a gate had stayed shut: there is nothing left to train
        else:
            feeds.prepare(console)
            runner.fit(learner, ckpt_path=checkpoint, weights_only=True)
    console.print(summary(learner.keeper.results, learner.history, net.stages))
    shutil.rmtree(folder / "cache", ignore_errors=True)
    if store is None:
        remove(folder / "store")  # val is still read from it: what is mapped stays readable
    weights, best = load_weights(checkpoints / BEST)
    learner.net.load_state_dict(weights)
    return Run(
        recipe=recipe,
        data=data,
        net=learner.net.cpu().eval(),
        fit=fit,
        frames={n: s.frames for n, s in shares.items()},
        history=tuple(learner.history),
        phases=tuple(learner.keeper.results),
        best=best,
        start=start,
        out=folder,
        store=None if store is None else Path(store),
        console=console,
    )


def make_net(recipe: Recipe, train: Dataset) -> Net:
    """The untrained network of a recipe for a train share."""
    torch.manual_seed(recipe.seed)
    backbone = make_backbone(recipe.backbone, pretrained=recipe.pretrained, drop_path=recipe.drop_path)
    mean, std = normalisation(backbone)
    counts = train.counts()["train"]
    labels = Labels(
        classes=train.classes, good=train.good, counts=tuple(counts[name] for name in train.classes)
    )
    with torch.no_grad():
        features = backbone.eval()(torch.zeros(1, 3, *recipe.size)).shape[1]
    net = Net(backbone, recipe.head.build(features, labels), mean=mean, std=std, size=recipe.size)
    return net.to(memory_format=torch.channels_last)


def prepared(folder: Path, recipe: Recipe, *, resume: bool) -> Path | None:
    """The checkpoint to continue from, or None for a run that starts; the folder is made ready for it."""
    last = folder / "checkpoints" / LAST
    if resume:
        if not last.is_file():
            return None  # cut off before the first epoch was done, or never begun: start
        stored = torch.load(last, map_location="cpu", weights_only=True)["visiontune"]["recipe"]
        now = recipe.as_dict()
        changed = sorted(name for name in now if name != "store_gb" and stored.get(name) != now[name])
        if changed:
            raise BadRecipe(
                f"cannot resume {folder}: the recipe differs from the stored one in {', '.join(changed)}; "
                "resume with the same recipe, or start in another folder"
            )
        return last
    if (folder / "run.json").exists() or last.exists():
        raise BadData(
            f"{folder} already holds a run; choose another folder, or say --resume to continue that one"
        )
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    return None


@contextmanager
def quiet() -> Iterator[None]:
    """Holds back what Lightning says of workers, devices and tips: nothing of it is for the user of a recipe."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            yield
    finally:
        logger.setLevel(level)

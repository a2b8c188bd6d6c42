"""finetune(recipe, data) -> Run: reads, splits, trains by schedule on Lightning, keeps the best epoch."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from visiontune.data.fit import Fit
from visiontune.data.frames import Frames
from visiontune.data.one_defect import one_defect
from visiontune.data.samples import Dataset
from visiontune.data.splits import split
from visiontune.data.store import load, remove
from visiontune.data.trainable import check_trainable
from visiontune.heads import Anomaly, Labels, Pyramid
from visiontune.heads.head import LABELS, PYRAMID
from visiontune.heads.memory import MemoryNet
from visiontune.heads.trained_anomaly import TrainedAnomalyNet
from visiontune.runtime.errors import BadRecipe
from visiontune.tune.allocator import keeping_memory
from visiontune.tune.backbone import make_backbone, normalisation
from visiontune.tune.beside_memory import note_memory, scores
from visiontune.tune.checkpoints import BEST, LAST, load_weights
from visiontune.tune.costs import costs, stage_table
from visiontune.tune.disk import writing
from visiontune.tune.feeds import Feeds, Share
from visiontune.tune.find_cells import wanted_cells
from visiontune.tune.frozen import Frozen
from visiontune.tune.good_shares import often, with_planted
from visiontune.tune.learner import Learner
from visiontune.tune.marked import boxes_of, masks_of
from visiontune.tune.memorise import good_of, memorise, remember
from visiontune.tune.net import Net
from visiontune.tune.progress import counted
from visiontune.tune.pyramid import taps
from visiontune.tune.range_test import Rates, found_rates
from visiontune.tune.recipe import Recipe
from visiontune.tune.resume import check_same, complete, data_stamp, prepared
from visiontune.tune.run import Run
from visiontune.tune.summary import summary
from visiontune.tune.tiled_net import TiledNet
from visiontune.tune.tiled_share import tiled
from visiontune.tune.trainer import make_trainer, quiet, settings, stoppable
from visiontune.tune.unfreeze import Phase
from visiontune.tune.weigh import weigh


@keeping_memory()
def finetune(
    recipe: Recipe,
    data: Dataset,
    *,
    out: str | Path | None = None,
    resume: bool = False,
    store: str | Path | None = None,
    console: Console | None = None,
    compile: bool = False,
    **trainer: Any,
) -> Run:
    """Fine-tunes `recipe` on `data` and gives the Run, its best epoch loaded.

    `data` is split here unless every sample has its split. `out` is the run's folder (default runs/DATE-TIME); checkpoints
    are written there after every epoch. `resume` continues a run that was cut off, to the same result bit by bit on the same
    machine, if it is called with the same recipe, pictures and keywords.

    `compile` runs what trains through torch.compile: it needs a C++ compiler and a minute or more for each phase, and gained
    nothing on the CPUs where it was measured. Other keywords go to Lightning's Trainer: accelerator, devices (one), precision,
    accumulate_grad_batches, gradient_clip_val (1.0), deterministic, callbacks and plugins (added to ours), logger, ...; see
    tune.trainer. With precision "bf16-mixed" (or "16-mixed", on a GPU) weights stay float32, and val is judged in float32. On a
    CPU with AVX512-BF16 an epoch with everything open then took 1.75 times less with vit_tiny, 1.4 with resnet18, 1.2 with
    mobilenetv2_035, and as long with convnext_atto.

    Pictures are decoded once, into `out`/store: a run that was cut off finds them there again, and when training is done the
    folder goes. Name a folder by `store` and it stays, for other runs on the same pictures.

    Raises BadData (empty class, missing share, unreadable picture, a folder that already holds a run, other pictures than
    those of the run that is resumed), BadRecipe (also for a keyword that cannot be taken, a compiler that fails, a frozen
    tensor that moved), Unwritable (a full disk: the last checkpoint is whole).
    """
    if compile and recipe.head.taps == PYRAMID:
        raise BadRecipe(
            f"finetune(compile=True): expected a head on pooled features, got {type(recipe.head).__name__}, which reads maps "
            "inside what would be compiled; leave compile out"
        )
    console = console or Console(stderr=True)
    folder = Path(out) if out is not None else Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")
    with quiet():
        own = {"precision": recipe.precision, "accumulate_grad_batches": recipe.accumulate}
        runner = make_trainer(folder, console, own | trainer)
    stored = prepared(folder, recipe, resume=resume)
    data = split(data, seed=recipe.split_seed)
    one_class = recipe.head.one_class
    data = one_defect(data) if one_class else data
    check_trainable(data, one_class=one_class)
    made = {**settings(runner, compile=compile), "data": data_stamp(data)}
    if stored is not None:
        check_same(stored.get("settings", {}), made, folder)
    for note in data.notes:
        console.print(f"[yellow]note[/] {note}", highlight=False)
    fit = Fit(recipe.size, recipe.roi)
    whole: dict[str, Frames] = {}
    shares: dict[str, Share] = {}
    for name in ("train", "val"):
        share = data.share(name)
        wanted: Sequence[int] = range(len(share))
        if isinstance(recipe.head, Anomaly) and name == "train":  # no one looks at the others
            wanted = good_of(share).tolist()
        with counted(console, f"reading {name}", len(wanted)) as step:
            frames = load(
                share,
                fit,
                window=recipe.window,
                wanted=wanted,
                folder=folder / "store" if store is None else store,
                store_gb=recipe.store_gb,
                say=lambda line: console.print(f"  {line}", highlight=False, markup=False),
                progress=step,
            )
        whole[name] = frames
        if recipe.grid is None:
            shares[name] = Share(
                data=share,
                frames=frames,
                masks=masks_of(share, recipe),
                boxes=boxes_of(share, recipe, data.share("train").kinds),
            )
        else:
            say = partial(console.print, highlight=False, markup=False)
            kinds = data.share("train").kinds
            shares[name] = tiled(share, frames, recipe, kinds=kinds, train=name == "train", say=say)
    checkpoints = folder / "checkpoints"
    net = make_net(recipe, shares["train"].data, kinds=data.share("train").kinds)
    if net.blind:
        console.print(f"[yellow]note[/] {net.blind}", highlight=False, soft_wrap=True)
    start = {name: parameter.detach().clone() for name, parameter in net.backbone.named_parameters()}
    if isinstance(net.head, TrainedAnomalyNet):
        remember(net, net.head.memory, shares["train"], seed=recipe.seed, console=console)
        shares["train"] = often(shares["train"])
        shares["val"] = with_planted(shares["val"], recipe.policy, seed=recipe.seed)
        remembered = scores(net, net.head.memory, shares["val"].frames)
    if isinstance(net.head, MemoryNet):
        with writing(folder):
            epoch, result = memorise(
                net, **shares, seed=recipe.seed, checkpoints=checkpoints, console=console
            )
        if store is None:
            remove(folder / "store")
        return Run(
            recipe=recipe,
            data=data,
            net=net,
            fit=fit,
            frames=whole,
            history=(epoch,),
            phases=(result,),
            best=0,
            start=start,
            rates=Rates.given(0.0),
            out=folder,
            store=None if store is None else Path(store),
            console=console,
        )
    cost = costs(net.backbone, net.stages, size=recipe.seen)
    phases = recipe.unfreeze.phases([stage.forward for stage in cost], epochs=recipe.epochs)
    feeds = Feeds(net, recipe, phases, cost, **shares, folder=folder / "cache")
    frozen = Frozen(net, opened=phases[0].open)
    done = stored is not None and complete(stored)
    if not done:
        with writing(folder):
            feeds.prepare(console, device=runner.strategy.root_device)
    if stored is not None:
        rates = Rates(**stored["rates"])
        # only now: what is cached, and how precisely, must not depend on phases that ended early
        feeds.phases = tuple(Phase(**phase) for phase in stored["phases"])
    else:
        rates = chosen_rates(feeds)
    learner = Learner(
        net, recipe, feeds, rates, frozen, best=checkpoints / BEST, compile=compile, settings=made
    )
    console.print(stage_table(net.stages, cost, lr=rates.stages, decay=recipe.unfreeze.decay))
    console.print(str(rates), highlight=False, soft_wrap=True)
    if stored is not None and done:
        learner.take_up(stored)
    else:
        runner.fit_loop.max_epochs = feeds.phases[-1].end
        last = None if stored is None else checkpoints / LAST
        with quiet(), stoppable(), writing(folder):
            runner.fit(learner, ckpt_path=last, weights_only=True)
    if not (checkpoints / BEST).is_file():
        raise BadRecipe(
            f"{folder}: expected at least the first phase ({phases[0].epochs} epochs) to be trained, found that a callback "
            f"stopped the run after {len(learner.history)}; take it out, or set fewer epochs"
        )
    console.print(summary(learner.keeper.results, learner.history, net.stages))
    shutil.rmtree(folder / "cache", ignore_errors=True)
    if store is None:
        remove(folder / "store")  # val is still read from it: what is mapped stays readable
    weights, best = load_weights(checkpoints / BEST)
    learner.net.load_state_dict(weights)
    run = Run(
        recipe=recipe,
        data=data,
        net=judging(learner.net.cpu().eval(), recipe),
        fit=fit,
        frames=whole,
        history=tuple(learner.history),
        phases=tuple(learner.keeper.results),
        best=best,
        start=start,
        rates=rates,
        out=folder,
        store=None if store is None else Path(store),
        console=console,
    )
    if isinstance(run.net.head, TrainedAnomalyNet):
        if len(shares["val"].data) == len(data.share("val")):  # none are planted there
            weigh(run.net, run.net.head, shares["val"], console=console)
        note_memory(run, shares["val"], remembered)
    return run


def make_net(recipe: Recipe, train: Dataset, *, kinds: tuple[str, ...] | None = None) -> Net:
    """The untrained network of a recipe for a train share; `kinds` of boxes, where those of its samples are not theirs."""
    torch.manual_seed(recipe.seed)
    backbone = make_backbone(recipe.backbone, pretrained=recipe.pretrained, drop_path=recipe.drop_path)
    mean, std = normalisation(backbone)
    counts = train.counts()["train"]
    labels = Labels(
        classes=train.classes,
        good=train.good,
        counts=tuple(counts[name] for name in train.classes),
        kinds=train.kinds if kinds is None else kinds,
    )
    with torch.no_grad():
        features = backbone.eval()(torch.zeros(1, 3, *recipe.seen)).shape[1]
    wanted = taps(backbone, recipe.seen) if recipe.head.taps == PYRAMID else ()
    given: int | Pyramid = features
    if wanted:
        given = Pyramid(
            pooled=features,
            channels=tuple(tap.channels for tap in wanted),
            strides=tuple(tap.stride for tap in wanted),
            size=recipe.seen,
        )
    head = recipe.head.build(given, labels)
    cells, blind = wanted_cells(backbone, head, recipe.seen, classes=len(labels.classes))
    net = Net(backbone, head, mean=mean, std=std, size=recipe.seen, taps=wanted, cells=cells, blind=blind)
    return net.to(memory_format=torch.channels_last)


def judging(net: Net, recipe: Recipe) -> Net:
    """The network as it judges frames: of tiles where the recipe has them."""
    return net if recipe.grid is None else TiledNet(net, recipe.grid)


def chosen_rates(feeds: Feeds) -> Rates:
    """The recipe's learning rate, or one found by trials; the usual one for heads that no short trial on features serves."""
    recipe = feeds.recipe
    if recipe.lr != "auto":
        return Rates.given(float(recipe.lr))
    return found_rates(feeds) if recipe.head.learns == LABELS else Rates.usual()

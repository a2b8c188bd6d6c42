"""Measures Segment against Unet and FPN of segmentation_models_pytorch: same backbone and weights, pictures, views and epochs.

    python scripts/measure_segmentation.py DATA --backbone local-dir:PATH [--size 224] [--epochs 16] [--seeds 3] [--way NAME ...]
                                           [--keep FILE] [--write]

DATA holds masks and groups (parts). Theirs train with everything open from the start and their usual loss (Dice and cross
entropy over kinds), AdamW at 1e-3 with warm-up and cosine. Ours is the recipe `defect_masks` with a fixed schedule of the same
epochs. IoU of each kind over all pictures (of theirs by the likeliest class of each pixel; of ours the frame's kind where the
heatmap is at 0.5 or above); per-defect recall where the threshold lets through one false region per 100 good frames; CPU seconds
of everything from the first picture on.

A run takes minutes to an hour. Each that ends is a line in FILE, and the next call goes on after it. What it found on val is
printed at once; what it found on test only in the table, when all are there. Needs `pip install segmentation-models-pytorch`
(MIT). The table is followed by what a frame costs: the exported networks of Classify and Segment on random weights, one thread,
taken in turns. `--write` puts both into docs/benchmarks.md.
"""

import argparse
import io
import os
import platform
import shutil
import time
from datetime import date
from functools import partial
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import benchmarks
import numpy as np
import segmentation_models_pytorch as smp
import timm
import torch
from kept_runs import missing, run_missing
from rich.console import Console
from scipy import ndimage
from torch.nn import functional

from visiontune.data.batches import Views, evaluation_batches, training_batches
from visiontune.data.fit import Fit
from visiontune.data.masks import UNKNOWN, load_masks
from visiontune.data.store import load
from visiontune.runtime.model import open_session
from visiontune.tune import Classify, Recipe, Segment, Unfreeze, finetune, policies, read, split
from visiontune.tune.backbone import make_backbone, normalisation
from visiontune.tune.finetune import make_net
from visiontune.tune.graph import core_model
from visiontune.tune.unfreeze import rate

AROUND = np.ones((3, 3))  # cells of a region touch by side or corner
FALSE_REGIONS = 0.01  # per good frame
FRAMES = 200  # timed
BACKBONES = ("mobilenetv2_035", "mobilenetv2_100")  # of what a frame costs
WAYS = ("Segment", "smp.Unet", "smp.FPN")
SHARES = ("val", "test")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--way", action="append", choices=WAYS, help="run only this one; may be repeated")
    parser.add_argument("--keep", type=Path, default=Path("segmentation.jsonl"), metavar="FILE")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = run_missing(given.keep, settings(given), given.way or WAYS, given.seeds, partial(measure, given))
    if left := missing(rows, WAYS, given.seeds):
        print("not yet run:", *left)
        return
    lines = [*table(rows), "", *costs(given)]
    print("\n".join(lines))
    if given.write:
        write(lines, given)


def settings(given):
    return [given.data.name, given.backbone, given.size, given.epochs]


def measure(given, name, seed, store):
    """One run, what it found on val printed."""
    data = split(read(given.data), seed=seed)  # the data's own split, where it names one
    way = ours if name == WAYS[0] else theirs
    maps, seconds = way(name, data, given, seed, store)
    row = {"seconds": seconds}
    for share, (heat, named) in maps.items():
        row[share] = judged(data, share, heat, named, given.size)
    iou, recall = row["val"]
    print(f"{name} seed {seed} on val: IoU {iou:.3f}, recall {recall:.3f}, {seconds:.0f} CPU s", flush=True)
    return row


def ours(_name, data, given, seed, store):
    """Heat (n, h, w) and named kinds (n, h, w; 0 good) of the shares val and test; CPU seconds of training."""
    head, rest = max(1, given.epochs // 4), given.epochs // 2
    recipe = Recipe(
        backbone=given.backbone,
        head=Segment(),
        policy=policies.flat_sheet(),
        unfreeze=Unfreeze(at=(head, rest)),
        size=(given.size, given.size),
        epochs=given.epochs,
        views=given.epochs,  # new ones in every epoch, as theirs
        cache_gb=20.0,
        seed=seed,
    )
    begun = time.process_time()
    run = finetune(
        recipe, data, out=store / f"run-{seed}", store=store / "frames", console=Console(file=io.StringIO())
    )
    seconds = time.process_time() - begun
    maps = {share: heat_and_kinds(run, run.pictures(share), given.size) for share in SHARES}
    shutil.rmtree(run.out)
    return maps, seconds


def heat_and_kinds(run, frames, size):
    heat, named = [], []
    with torch.inference_mode():
        for start in range(0, len(frames), 32):
            answer = run.net.head.answer(run.net(torch.from_numpy(frames[start : start + 32])))
            heat.append(enlarged(answer["heatmap"][:, None], size)[:, 0].numpy())
            defects = answer["kinds"][:, 1:].argmax(dim=1).numpy() + 1
            named.append(np.where(heat[-1] >= 0.5, defects[:, None, None], 0))
    return np.concatenate(heat), np.concatenate(named)


def theirs(name, data, given, seed, store):
    """The same of a network of segmentation_models_pytorch, trained as its examples do."""
    torch.manual_seed(seed)
    size, fit = (given.size, given.size), Fit((given.size, given.size))
    backbone = make_backbone(given.backbone, pretrained=True)
    mean, std = (255 * torch.tensor(values).view(1, 3, 1, 1) for values in normalisation(backbone))
    architecture = backbone.pretrained_cfg["architecture"]
    net = getattr(smp, name.partition(".")[2])(
        f"tu-{architecture}", encoder_weights=None, classes=len(data.classes)
    )
    levels = net.encoder.model.feature_info.out_indices
    # the same weights, padding and epsilon as ours
    net.encoder.model = timm.create_model(
        given.backbone, pretrained=True, features_only=True, out_indices=levels
    )
    net = net.to(memory_format=torch.channels_last)
    dice = smp.losses.DiceLoss("multiclass", ignore_index=UNKNOWN)
    begun = time.process_time()
    share = data.share("train")
    frames, masks = load(share, fit, folder=store / "frames"), load_masks(share, size)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.02)
    for epoch in range(given.epochs):
        views = Views(share, frames, policy=policies.flat_sheet(), seed=seed, view=epoch, masks=masks)
        batches = training_batches(views, batch=32, seed=seed, epoch=epoch)
        net.train()
        for step, batch in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * rate(epoch * len(batches) + step, of=given.epochs * len(batches))
            mask = batch["mask"].long()
            target = torch.where(mask == 1, batch["label"][:, None, None], mask)
            logits = net((batch["frames"].permute(0, 3, 1, 2).float() - mean) / std)
            loss = dice(logits, target) + functional.cross_entropy(logits, target, ignore_index=UNKNOWN)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    seconds = time.process_time() - begun
    net.eval()
    maps = {}
    for name in SHARES:
        share, heat, named = data.share(name), [], []
        plain = Views(share, load(share, fit, folder=store / "frames"), policy=None, seed=0, view=0)
        with torch.inference_mode():
            for batch in evaluation_batches(plain, batch=32):
                chances = net((batch["frames"].permute(0, 3, 1, 2).float() - mean) / std).softmax(dim=1)
                heat.append((1 - chances[:, 0]).numpy())
                named.append(chances.argmax(dim=1).numpy())
        maps[name] = np.concatenate(heat), np.concatenate(named)
    return maps, seconds


def enlarged(maps, size):
    """Maps (n, 1, h, w) at the size of the pictures."""
    return functional.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False)


def judged(data, name, heat, named, size):
    """Mean IoU over kinds, and per-defect recall at one false region per 100 good frames, of a share."""
    share = data.share(name)
    masks = load_masks(share, (size, size))
    labels = np.array([data.classes.index(sample.label) for sample in share])
    known = masks != UNKNOWN
    true = (masks == 1) * labels[:, None, None]
    ious = []
    for kind in range(1, len(data.classes)):
        here, there = (named == kind) & known, (true == kind) & known
        ious.append((here & there).sum() / max(1, (here | there).sum()))
    threshold = allowed(heat[labels == 0])
    peaks = [peak for one, mask in zip(heat, masks, strict=True) for peak in defect_peaks(one, mask == 1)]
    return float(np.mean(ious)), float(np.mean(np.array(peaks) >= threshold))


def allowed(heat):
    """The lowest of 1000 thresholds at and above which good frames show no more false regions than allowed."""
    levels = 1 - np.geomspace(1e-6, 1, 1000)[::-1]
    for level in levels:
        if sum(ndimage.label(one >= level, AROUND)[1] for one in heat) <= FALSE_REGIONS * len(heat):
            return max(level, 1e-6)
    return np.inf


def defect_peaks(heat, marked):
    """The hottest value within each marked region of a picture."""
    regions, count = ndimage.label(marked, AROUND)
    return ndimage.maximum(heat, regions, range(1, count + 1)) if count else []


def table(rows):
    """Mean and range over seeds of each way, on test."""
    lines = [
        "| | mean IoU over kinds | defects found at 1 false region per 100 good frames | CPU seconds |",
        "|---|---|---|---|",
    ]
    for name in WAYS:
        found = np.array([[*row["test"], row["seconds"]] for row in rows.values() if row["name"] == name])
        cells = [
            f"{column.mean():.{digits}f} ({column.min():.{digits}f} to {column.max():.{digits}f})"
            for column, digits in zip(found.T, (3, 3, 0), strict=True)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def costs(given):
    """CPU milliseconds of a frame with Segment and with Classify, medians, and their ratio."""
    lines = ["| one frame, CPU ms | Classify | Segment | ratio |", "|---|---|---|---|"]
    for backbone in BACKBONES:
        sessions = [
            open_session(bare(backbone, head, given).SerializeToString())
            for head in (Classify(heatmap="never"), Segment())
        ]
        picture = np.random.default_rng(0).standard_normal((1, 3, given.size, given.size)).astype(np.float32)
        spent = np.empty((FRAMES, len(sessions)))
        for turn in range(FRAMES):
            for at, session in enumerate(sessions):
                begin = time.process_time()
                session.run(None, {"pictures": picture})
                spent[turn, at] = 1e3 * (time.process_time() - begin)
        one, other = np.median(spent, axis=0)
        ratio = np.median(spent[:, 1] / spent[:, 0])
        lines.append(f"| {backbone}, {given.size} px | {one:.2f} | {other:.2f} | {ratio:.2f} |")
    return lines


def bare(backbone, head, given):
    """The exported network of a head on random weights."""
    data = split(read(given.data), seed=0).share("train")
    recipe = Recipe(backbone=backbone, pretrained=False, head=head, size=(given.size, given.size))
    return core_model(make_net(recipe, data), recipe.size)


def write(lines, given):
    text = [
        "## Defects by pixels",
        "",
        f"`scripts/measure_segmentation.py`, {date.today()}, {given.data.name}, {given.size} px, {given.epochs} epochs, "
        f"{given.seeds} seed{'s' if given.seeds > 1 else ''} on the split that the data name; mean (range). "
        f"{platform.machine()}, one thread, torch {torch.__version__}, timm {timm.__version__}, smp {smp.__version__}. "
        "Every side sees new views in every epoch. What is ours was chosen on val; the test had been seen before, by earlier "
        "versions.",
        "",
        *lines,
    ]
    benchmarks.put(__file__, "\n".join(text))


if __name__ == "__main__":
    main()

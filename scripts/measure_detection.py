"""Measures Detect against torchvision's FCOS and RetinaNet: same backbone and weights, pictures, views, input size.

    python scripts/measure_detection.py DATA --backbone local-dir:PATH [--size 224] [--epochs 16] [--seeds 3] [--way NAME ...]
                                        [--seconds N] [--channels 64] [--rate R] [--optimizer sgd] [--keep FILE] [--write]

DATA holds boxes. Ours is the head Detect. Theirs read the same maps of the same timm backbone (strides 8 to 32, and the two
more levels that torchvision adds) through torchvision's own feature pyramid, heads, assignment and losses, of `--channels`
(torchvision's own 256 cost sixteen times as much as 64, which is ours), for as many epochs as fit into the CPU seconds that
ours took with that seed, or into `--seconds`. Everything is open from the start, in all; warm-up and cosine, batches of 16, the
same flips and light. Scores above 0.05, suppression at an IoU of 0.5, at most 100 boxes a picture.

How each learns stands in CHOSEN, chosen on val of NEU steel by single short runs. `--rate` and `--optimizer` try another.

mAP (mean over IoU 0.5 to 0.95) and mAP50 by pycocotools through torchmetrics. Milliseconds are CPU time for one frame on one
thread in onnxruntime, median: of ours the whole file, fit and suppression included; of theirs the bare network without either.

A run takes minutes to an hour. Each that ends is a line in FILE, and the next call goes on after it. What it found on val is
printed at once; what it found on test only in the table, when all are there. Needs `pip install torchmetrics pycocotools`
(Apache-2.0, BSD). `--write` puts the table into docs/benchmarks.md.
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
import onnxruntime
import timm
import torch
import torchvision
from detection_peers import SGD, Learning, bare, detector, epochs_within, for_torchvision, learn, optimizer_of
from kept_runs import kept, missing, run_missing
from rich.console import Console
from torchmetrics.detection import MeanAveragePrecision

from visiontune.data.batches import Views, evaluation_batches, training_batches
from visiontune.data.box_targets import load_boxes
from visiontune.data.fit import Fit
from visiontune.data.store import load
from visiontune.runtime.bands import Bands
from visiontune.runtime.model import open_session
from visiontune.tune import Detect, Recipe, Unfreeze, finetune, policies, read, split
from visiontune.tune.backbone import make_backbone, normalisation
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.unfreeze import rate

WAYS = ("Detect", "torchvision.FCOS", "torchvision.RetinaNet")
SHARES = ("val", "test")
BATCH = 16


CHOSEN = {
    "Detect": Learning("adamw", 4e-3),
    "torchvision.FCOS": Learning("adamw", 1e-3),
    "torchvision.RetinaNet": Learning("adamw", 1e-3),
}
DECAY = 0.9  # of our rates, stage by stage
TIMED = 50


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="CPU seconds of theirs")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--rate", type=float, help="learning rate in the place of what was chosen on val")
    parser.add_argument("--optimizer", choices=("adamw", SGD), help="the same of theirs")
    parser.add_argument("--way", action="append", choices=WAYS, help="run only this one; may be repeated")
    parser.add_argument("--keep", type=Path, default=Path("detection.jsonl"), metavar="FILE")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = run_missing(given.keep, settings(given), given.way or WAYS, given.seeds, partial(measure, given))
    if left := missing(rows, WAYS, given.seeds):
        print("not yet run:", *left)
        return
    lines = table(rows)
    print("\n".join(lines))
    if given.write:
        write(lines, given)


def settings(given):
    return [
        given.data.name,
        given.backbone,
        given.size,
        given.epochs,
        given.channels,
        given.seconds,
        policy().digest(),
        [list(learning(given, name)) for name in WAYS],
    ]


def learning(given, name):
    """How a way learns: as chosen, but for what the command line says."""
    chosen = CHOSEN[name]
    optimizer = (given.optimizer or chosen.optimizer) if name != WAYS[0] else chosen.optimizer
    return Learning(optimizer, given.rate or chosen.rate)


def policy():
    """The views that all learn from: rolled steel has a direction, and at this size blur and grain hide what there is to see."""
    flips = tuple(policies.Step(name, p=0.5) for name in ("HorizontalFlip", "VerticalFlip"))
    return policies.Policy("strip", (*flips, *policies.lamp(0.25)))


def measure(given, name, seed, store):
    """One run, what it found on val printed."""
    data = split(read(given.data), seed=seed)
    way = ours if name == WAYS[0] else theirs
    found, seconds, epochs, ms = way(name, data, given, seed, store)
    row = {"seconds": seconds, "epochs": epochs, "ms": ms}
    for share, boxes in found.items():
        row[share] = judged(data.share(share), boxes, given.size, data.kinds)
    whole, half, _ = row["val"]
    print(
        f"{name} seed {seed} on val: mAP {whole:.3f}, mAP50 {half:.3f}; {epochs} epochs, {seconds:.0f} CPU s, {ms:.1f} ms",
        flush=True,
    )
    return row


def ours(_name, data, given, seed, store):
    """Boxes, scores and kinds of every picture of val and test; CPU seconds and epochs of training; milliseconds a frame."""
    recipe = Recipe(
        backbone=given.backbone,
        head=Detect(),
        policy=policy(),
        unfreeze=Unfreeze.all(decay=DECAY),
        size=(given.size, given.size),
        epochs=given.epochs,
        batch=BATCH,
        seed=seed,
        lr=learning(given, WAYS[0]).rate,
    )
    begun = time.process_time()
    run = finetune(
        recipe, data, out=store / f"run-{seed}", store=store / "frames", console=Console(file=io.StringIO())
    )
    seconds = time.process_time() - begun
    found = {share: answers(run, run.pictures(share), data) for share in SHARES}
    bands = Bands(review_from=0.5, reject_from=0.5, evidence=None)
    model = line_model(core_model(run.net, recipe.size), run.net, bands, roi=None)
    ms = milliseconds(model.SerializeToString(), np.zeros((1, given.size, given.size, 3), np.uint8))
    shutil.rmtree(run.out)
    return found, seconds, len(run.history), ms


def answers(run, frames, data):
    kinds = [data.classes.index(kind) for kind in data.kinds]
    found = []
    with torch.inference_mode():
        for start in range(0, len(frames), BATCH):
            said = run.net.answers(torch.from_numpy(frames[start : start + BATCH]))
            for boxes, scores, named in zip(
                said["boxes"], said["box_scores"], said["box_kinds"], strict=True
            ):
                real = scores > 0
                labels = torch.tensor([kinds.index(kind) for kind in named[real].tolist()])
                found.append({"boxes": boxes[real], "scores": scores[real], "labels": labels.long()})
    return found


def theirs(name, data, given, seed, store):
    """The same of a detector of torchvision."""
    torch.manual_seed(seed)
    size = (given.size, given.size)
    budget = given.seconds or kept(given.keep, settings(given))[WAYS[0], seed]["seconds"]
    mean, std = normalisation(make_backbone(given.backbone, pretrained=True))
    net = detector(name, given, len(data.kinds), list(mean), list(std)).to(memory_format=torch.channels_last)
    fit, share = Fit(size), data.share("train")
    begun = time.process_time()
    frames, boxes = load(share, fit, folder=store / "frames"), load_boxes(share, size, None, data.kinds)
    chosen = learning(given, name)

    def batches(epoch):
        views = Views(share, frames, policy=policy(), seed=seed, view=epoch, boxes=boxes)
        return training_batches(views, batch=BATCH, seed=seed, epoch=epoch)

    epochs = epochs_within(budget, net, chosen, batches(0))
    optimizer, most = optimizer_of(net, chosen)
    net.train()
    for epoch in range(epochs):
        some = batches(epoch)
        for at, batch in enumerate(some):
            for group in optimizer.param_groups:
                group["lr"] = chosen.rate * rate(epoch * len(some) + at, of=epochs * len(some))
            learn(net, optimizer, most, batch)
    seconds = time.process_time() - begun
    net.eval()
    found = {}
    for name_of in SHARES:
        share = data.share(name_of)
        plain = Views(share, load(share, fit, folder=store / "frames"), policy=None, seed=0, view=0)
        with torch.inference_mode():
            found[name_of] = [
                one
                for batch in evaluation_batches(plain, batch=BATCH)
                for one in net(for_torchvision(batch)[0])
            ]
    return found, seconds, epochs, milliseconds(bare(net, given.size), picture(given.size))


def picture(size):
    return np.zeros((1, 3, size, size), np.float32)


def milliseconds(data, given):
    """Median CPU time of one frame."""
    session = open_session(data)
    feed = {session.get_inputs()[0].name: given}
    spent = []
    for _ in range(TIMED):
        begun = time.process_time()
        session.run(None, feed)
        spent.append(time.process_time() - begun)
    return 1000 * float(np.median(spent[5:]))


def judged(share, found, size, kinds):
    """mAP and mAP50 of a share, and the mAP of each kind."""
    metric = MeanAveragePrecision(class_metrics=True)
    real = []
    for boxes in load_boxes(share, (size, size), None, kinds):
        objects = boxes.kinds >= 0
        real.append(
            {
                "boxes": torch.from_numpy(boxes.corners[objects]),
                "labels": torch.from_numpy(boxes.kinds[objects]),
            }
        )
    metric.update(found, real)
    values = metric.compute()
    return float(values["map"]), float(values["map_50"]), values["map_per_class"].tolist()


def table(rows):
    """Mean and range over seeds of each way, on test."""
    lines = [
        "| | mAP50 | mAP | epochs | CPU seconds | ms a frame (ONNX) |",
        "|---|---|---|---|---|---|",
    ]
    for name in WAYS:
        mine = [row for row in rows.values() if row["name"] == name]
        found = np.array([[row["test"][1], row["test"][0], row["seconds"], row["ms"]] for row in mine])
        half, whole, seconds, ms = (
            f"{column.mean():.{digits}f} ({column.min():.{digits}f} to {column.max():.{digits}f})"
            for column, digits in zip(found.T, (3, 3, 0, 1), strict=True)
        )
        epochs = " / ".join(str(count) for count in sorted({row["epochs"] for row in mine}))
        lines.append(f"| {name} | {half} | {whole} | {epochs} | {seconds} | {ms} |")
    return lines


def write(lines, given):
    text = [
        "## Defects by boxes",
        "",
        f"`scripts/measure_detection.py`, {date.today()}, {given.data.name}, {given.size} px, {given.epochs} epochs of ours, "
        f"theirs with {given.channels} channels and a like budget of CPU seconds, {given.seeds} "
        f"seed{'s' if given.seeds > 1 else ''}; mean (range), on test. {platform.machine()}, one thread, torch "
        f"{torch.__version__}, torchvision {torchvision.__version__}, timm {timm.__version__}, onnxruntime "
        f"{onnxruntime.__version__}. Theirs in milliseconds is the bare network; ours the whole file, boxes after suppression. "
        + "Learning rates (AdamW): "
        + ", ".join(f"{name} {learning(given, name).rate:g}" for name in WAYS)
        + ".",
        "",
        *lines,
    ]
    benchmarks.put(__file__, "\n".join(text))


if __name__ == "__main__":
    main()

"""Measures what labels add to good parts: TrainedAnomaly with 0, 5, 20 and all defective pictures of train, masks and all.

    python scripts/measure_mixed.py DATA --backbone local-dir:PATH [--size 224] [--epochs 6] [--seeds 3] [--run NAME ...]
                                    [--share val] [--keep FILE] [--write]

One recipe for all. Good parts of train are always there; of its defective pictures the first N of an order drawn by the seed,
so that more labels come to those before; the others are left out. Beside it the memory alone, which no label changes, and
Segment with all masks, 16 epochs, as its recipe has it. AUROC of pictures, pixel AUROC, AUPRO and AUPIMO on --share, of raw
scores and maps; CPU seconds of everything from the first picture on.

Test is that of DATA, always the same; the other parts are divided anew by each seed, one in five of them into val, and what
is chosen is chosen on those vals.

A run takes minutes. Each that ends is a line in FILE, with what it found on val and test, and the next call goes on after it;
only --share is shown. `--write` puts the table into docs/benchmarks.md.
"""

import argparse
import io
import os
import platform
import shutil
import time
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import benchmarks
import numpy as np
import timm
import torch
from kept_runs import run_missing
from measure_anomaly import by_pixel
from rich.console import Console
from torch.nn import functional

from visiontune.data.batches import label_indices
from visiontune.data.masks import load_masks
from visiontune.runtime.roc import auroc
from visiontune.tune import Recipe, Segment, TrainedAnomaly, Unfreeze, finetune, policies, read, split

SEGMENT = "Segment"
RUNS = ("0", "5", "20", "all", SEGMENT)
SHARES = ("val", "test")
FIGURES = ("AUROC", "pixel AUROC", "AUPRO", "AUPIMO")
MEMORY = "memory alone"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--run", action="append", choices=RUNS, help="only this one; may be repeated")
    parser.add_argument("--share", choices=SHARES, default="val")
    parser.add_argument("--keep", type=Path, default=Path("mixed.jsonl"), metavar="FILE")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = run_missing(given.keep, settings(given), given.run or RUNS, given.seeds, partial(measure, given))
    lines = table(rows, given)
    print("\n".join(lines))
    if given.write:
        write(lines, given)


def settings(given):
    return [given.data.name, given.backbone, given.size, given.epochs]


def measure(given, name, seed, store):
    """One run, what it found on val printed."""
    data = divided(read(given.data), seed)
    recipe = segment(given, seed) if name == SEGMENT else mixed(given, seed)
    begun = time.process_time()
    run = finetune(
        recipe,
        labelled(data, "all" if name == SEGMENT else name, seed),
        out=store / f"{name}-{seed}",
        store=store / "frames",
        console=Console(file=io.StringIO()),
    )
    row = {"seconds": time.process_time() - begun}
    for share in SHARES:
        if name == SEGMENT:
            row[share] = judged(run, share, lambda features: risks(run.net.head, features))
            continue
        row[share] = judged(run, share, run.net.head)
        if name == RUNS[0]:
            row[f"{share} {MEMORY}"] = judged(run, share, run.net.head.memory)
    shutil.rmtree(run.out)
    found = ", ".join(f"{value:.3f}" for value in row["val"])
    print(f"{name}, seed {seed}, on val: {found}; {row['seconds']:.0f} CPU s", flush=True)
    return row


def mixed(given, seed):
    """The recipe good_parts_and_labels."""
    return Recipe(
        backbone=given.backbone,
        head=TrainedAnomaly(),
        policy=policies.planted(policies.fixed_part(shift=0, turn=0, light=0.15)),
        unfreeze=Unfreeze.never(),
        size=(given.size, given.size),
        epochs=given.epochs,
        seed=seed,
    )


def segment(given, seed):
    """The recipe defect_masks, as measure_segmentation trains it."""
    return Recipe(
        backbone=given.backbone,
        head=Segment(),
        policy=policies.flat_sheet(),
        unfreeze=Unfreeze(at=(4, 8)),
        size=(given.size, given.size),
        epochs=16,
        seed=seed,
    )


def divided(data, seed):
    """The data with the test it comes with, the other parts divided by the seed."""
    test = {sample.id for sample in split(data) if sample.split == "test"}
    samples = (replace(sample, split="test" if sample.id in test else None) for sample in data)
    return split(replace(data, samples=tuple(samples)), seed=seed)


def labelled(data, masks, seed):
    """The data with so many defective pictures in train."""
    bad = [sample.id for sample in data if sample.split == "train" and sample.label != data.good]
    order = np.random.default_rng(seed).permutation(len(bad))
    chosen = {bad[at] for at in (order if masks == "all" else order[: int(masks)])}
    kept = (s for s in data if s.split != "train" or s.label == data.good or s.id in chosen)
    return replace(data, samples=tuple(kept))


def risks(head, features):
    """Log odds of a defect by Segment, of frames and cells."""
    raw = head(features)
    return head.risk(head.logits(raw)), raw[1]


def judged(run, share, judge):
    """AUROC of pictures and of pixels, AUPRO and AUPIMO, by the raw scores of a head on the run's backbone."""
    frames, scores, maps = run.pictures(share), [], []
    run.net.eval()
    with torch.inference_mode():
        for start in range(0, len(frames), 32):
            some = run.net.normalised(torch.from_numpy(np.asarray(frames[start : start + 32])))
            score, cells = judge(run.net.features(some))
            scores.append(score.double())
            size = run.recipe.size
            maps.append(functional.interpolate(cells[:, None], size=size, mode="bilinear")[:, 0])
    part = run.data.share(share)
    defective = label_indices(part) != 0
    masks = load_masks(part, run.recipe.size)
    return [auroc(torch.cat(scores).numpy(), defective), *by_pixel(torch.cat(maps).numpy(), masks, defective)]


def table(rows, given):
    lines = [f"| masks in train | {' | '.join(FIGURES)} | CPU s |", "|---|" + "---|" * (len(FIGURES) + 1)]
    for name in RUNS:
        some = [row for (of, _), row in rows.items() if of == name]
        if not some:
            continue
        if name == RUNS[0]:
            lines.append(line(MEMORY, [row[f"{given.share} {MEMORY}"] for row in some], ""))
        seconds = f"{np.mean([row['seconds'] for row in some]):.0f}"
        lines.append(
            line("all, Segment" if name == SEGMENT else name, [row[given.share] for row in some], seconds)
        )
    return lines


def line(name, found, seconds):
    """Mean over seeds, with the lowest and the highest where there are several."""
    cells = []
    for values in zip(*found, strict=True):
        span = f" ({min(values):.3f} .. {max(values):.3f})" if len(values) > 1 else ""
        cells.append(f"{np.mean(values):.3f}{span}")
    return f"| {name} | {' | '.join(cells)} | {seconds} |"


def write(lines, given):
    text = [
        "## Good parts and some labels",
        "",
        f"`scripts/measure_mixed.py`, {date.today()}, {given.data.name}, {given.share}, {given.size} px, "
        f"{Path(given.backbone).name}, {given.epochs} epochs of the head, backbone closed; "
        "mean of seeds (lowest .. highest), of which each divides train and val anew. The memory was settled with this test in "
        "view; the rest was chosen on parts outside it, after a first form of it had been seen on it. "
        f"{platform.machine()}, one thread of a machine shared with other work, torch {torch.__version__}, timm "
        f"{timm.__version__}.",
        "",
        *lines,
    ]
    benchmarks.put(__file__, "\n".join(text))


if __name__ == "__main__":
    main()

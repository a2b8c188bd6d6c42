"""Measures starting weights: frozen features with a ridge classifier, and short fine-tuning, for each start on each data set.

    python scripts/measure_starter.py DATA [DATA ...] --start NAME=BACKBONE ... [--results FILE.jsonl] [--epochs 6] [--frozen]
                                       [--write]

A start is random=mobilenetv2_035 (random weights where nothing else is named), starter=starter (the one that ships),
imagenet=local-dir:PATH or any name that timm knows. DATA are folders named as in JOBS of measure_finetuning.py, at the input
sizes stated there. The ridge classifier reads the pooled features of pictures as they are, standardised; its strength is chosen
on val. Fine-tuning is the recipe of the job with everything open from the second epoch on (random weights: from the first).
Balanced accuracy on test; magnetic tiles: mean of five folds.

`--write` puts the table into docs/benchmarks.md and into the starter's card. One JSON line per finished run is appended to
--results, and what stands there is not run again.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import benchmarks
import numpy as np
import torch
from measure_finetuning import JOBS, folded
from rich.console import Console
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import balanced_accuracy_score
from sklearn.preprocessing import StandardScaler

from visiontune.data.batches import label_indices
from visiontune.data.fit import Fit
from visiontune.data.store import load
from visiontune.tune import Unfreeze, finetune, read
from visiontune.tune.backbone import SHIPPED, make_backbone, normalisation

SHARES = ("train", "val", "test")
STRENGTHS = 10.0 ** np.arange(-1, 6)


def features(backbone, frames):
    """Pooled features (n, F) of frames uint8 (n, h, w, 3)."""
    mean, std = (255 * torch.tensor(values).view(1, 3, 1, 1) for values in normalisation(backbone))
    rows = []
    with torch.inference_mode():
        for start in range(0, len(frames), 64):
            some = (
                torch.from_numpy(np.ascontiguousarray(frames[start : start + 64])).permute(0, 3, 1, 2).float()
            )
            rows.append(
                backbone.eval()(((some - mean) / std).contiguous(memory_format=torch.channels_last)).numpy()
            )
    return np.concatenate(rows)


def frozen(backbone, shares, frames):
    """Balanced accuracy on test of a ridge classifier on frozen features, its strength chosen on val."""
    labels = {name: label_indices(share) for name, share in shares.items()}
    seen = {name: features(backbone, frames[name]) for name in SHARES}
    scale = StandardScaler().fit(seen["train"])
    seen = {name: scale.transform(rows) for name, rows in seen.items()}
    tried = []
    for strength in STRENGTHS:
        ridge = RidgeClassifier(alpha=strength, class_weight="balanced").fit(seen["train"], labels["train"])
        found = {
            name: balanced_accuracy_score(labels[name], ridge.predict(seen[name])) for name in ("val", "test")
        }
        tried.append((found["val"], found["test"]))
    return max(tried, key=lambda pair: pair[0])[1]


def tuned(name, job, data, given, store):
    """Balanced accuracy on test after short fine-tuning."""
    pretrained = not name.startswith("random")
    recipe = replace(
        job.recipe,
        backbone=given.starts[name],
        pretrained=pretrained,
        size=(job.side, job.side),
        epochs=given.epochs,
        unfreeze=Unfreeze.all(after=int(pretrained)),
    )
    with tempfile.TemporaryDirectory() as out:
        run = finetune(recipe, data, out=out, store=store, console=Console(file=io.StringIO()))
        judged = run.judge("test")
        return balanced_accuracy_score(judged.labels, judged.kinds.argmax(1))


def measure(path, given, store):
    job, data = JOBS[path.name], read(path, good=JOBS[path.name].recipe.good)
    for fold, cut in enumerate(folded(data, job.folds)):
        shares = {name: cut.share(name) for name in SHARES}
        frames = None
        for name, backbone in given.starts.items():
            for way in ("frozen",) if given.frozen else ("frozen", "tuned"):
                if (path.name, fold, name, way) in kept(given):
                    continue
                begun = time.process_time()
                if way == "tuned":
                    found = tuned(name, job, cut, given, store)
                else:
                    if frames is None:
                        fit = Fit((job.side, job.side))
                        frames = {one: load(share, fit, folder=store) for one, share in shares.items()}
                    torch.manual_seed(0)
                    found = frozen(
                        make_backbone(backbone, pretrained=not name.startswith("random")), shares, frames
                    )
                row = {
                    "data": path.name,
                    "fold": fold,
                    "start": name,
                    "way": way,
                    "found": float(found),
                    "seconds": time.process_time() - begun,
                }
                with given.results.open("a") as file:
                    file.write(json.dumps(row) + "\n")
                print(f"{path.name} fold {fold} {name} {way}: {found:.3f}", flush=True)


def kept(given):
    lines = given.results.read_text().splitlines() if given.results.exists() else []
    return {
        (row["data"], row["fold"], row["start"], row["way"]): row["found"] for row in map(json.loads, lines)
    }


def table(given):
    """A row for each start and way: each set, and their mean."""
    rows, names = kept(given), [path.name for path in given.data]
    lines = [f"| | {' | '.join(names)} | mean |", "|---|" + "---|" * (len(names) + 1)]
    for way, said in (("frozen", "frozen features, ridge"), ("tuned", f"fine-tuned, {given.epochs} epochs")):
        for start in given.starts:
            found = [
                np.mean(
                    [v for (d, _, s, w), v in rows.items() if (d, s, w) == (name, start, way)] or [np.nan]
                )
                for name in names
            ]
            lines.append(
                f"| {start}: {said} | {' | '.join(f'{value:.3f}' for value in found)} | {np.mean(found):.3f} |"
            )
    return lines


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA")
    parser.add_argument("--start", action="append", required=True, metavar="NAME=BACKBONE")
    parser.add_argument("--results", type=Path, default=Path("starter.jsonl"), metavar="FILE")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--frozen", action="store_true", help="frozen features only")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    given.starts = dict(one.split("=", 1) for one in given.start)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as store:
        for path in given.data:
            measure(path, given, store)
    lines = table(given)
    print("\n".join(lines))
    if given.write:
        head = [
            "## The starter backbone",
            "",
            f"`scripts/measure_starter.py`, {date.today()}, torch {torch.__version__}; balanced "
            "accuracy on test, one seed, magnetic tiles the mean of five folds.",
            "",
        ]
        benchmarks.put(__file__, "\n".join([*head, *lines]))
        benchmarks.put(__file__, "\n".join([*head[2:], *lines]), page=SHIPPED / "README.md")


if __name__ == "__main__":
    main()

"""Measures how often the 90 % band of the learning curve holds the error that twice the pictures truly give.

    python scripts/measure_learning_curve.py DATA [DATA ...] --backbone local-dir:PATH [--size 160] [--rounds 25] [--write]

In each round the parts (groups) are divided anew, class by class: half of them to learn from, 15 % are val, on the rest the truth
is measured. The curve is made from half of the parts to learn from and says what all of them will give; a head that learnt from
all of them gives the truth. The truth is itself measured on so many parts only, and rounds on one data set share its pictures.
`--write` puts the table into docs/benchmarks.md.
"""

import argparse
import os
import platform
from datetime import date
from pathlib import Path

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import benchmarks
import numpy as np
import torch

from visiontune.data.batches import label_indices
from visiontune.data.fit import Fit
from visiontune.data.store import load
from visiontune.tune import read
from visiontune.tune.backbone import make_backbone, normalisation
from visiontune.tune.learning_curve import learning_curve, part_weights
from visiontune.tune.nested import Features, named_by_ridge, places


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", nargs="+", type=Path, metavar="DATA")
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    backbone = make_backbone(given.backbone, pretrained=True).eval()
    lines, everything = [], []
    for folder in given.data:
        data = read(folder)
        pool = Features(
            values=features(data, backbone, given.size),
            labels=label_indices(data),
            groups=[sample.group for sample in data],
        )
        found = [row for seed in range(given.rounds) for row in one_round(pool, data.classes, seed)]
        everything += found
        lines += table(folder.name, found)
        print("\n".join(lines[-2:]), flush=True)
    lines += table("together", everything)
    print("\n".join(lines[-2:]))
    if given.write:
        write(lines, given)


def features(data, backbone, size):
    """Pooled features float32 (n, F) of every picture."""
    frames = load(data, Fit((size, size)))
    mean, std = (255 * torch.tensor(part).view(1, 3, 1, 1) for part in normalisation(backbone))
    with torch.inference_mode():
        batches = (
            torch.from_numpy(np.ascontiguousarray(frames[at : at + 64])) for at in range(0, len(data), 64)
        )
        rows = [backbone((batch.permute(0, 3, 1, 2).float() - mean) / std).numpy() for batch in batches]
    return np.concatenate(rows)


def one_round(pool, classes, seed):
    """(whether it is the balanced error, low, middle, high, truth) of everything that the curve can tell of."""
    rng = np.random.default_rng(seed)
    _, member = np.unique(np.asarray(pool.groups), return_inverse=True)
    divided, halves = places(pool.labels, member, rng)[member], places(pool.labels, member, rng)[member]
    whole, val, rest = divided < 0.5, (divided >= 0.5) & (divided < 0.65), divided >= 0.65
    curve = learning_curve(share(pool, whole & (halves < 0.5)), share(pool, val), classes, seed=seed)
    learnt, judged = share(pool, whole), share(pool, rest)
    wrong = named_by_ridge(learnt.values, learnt.labels, judged.values, len(classes)) != judged.labels
    _, member = np.unique(np.asarray(judged.groups), return_inverse=True)
    weights = part_weights(judged.labels, member)
    errors = {
        name: np.average(wrong, weights=weights * (judged.labels == at)) for at, name in enumerate(classes)
    }
    for one in curve.classes:
        if one.twice is not None:
            yield False, *one.twice, errors[one.name]
    if curve.balanced.twice is not None:
        yield True, *curve.balanced.twice, np.mean([errors[one.name] for one in curve.classes])


def share(pool, rows):
    """Some of the pictures."""
    at = np.flatnonzero(rows)
    return Features(values=pool.values[at], labels=pool.labels[at], groups=[pool.groups[row] for row in at])


def table(name, found):
    """Two lines of a table: all classes alike, each class."""
    lines = []
    for balanced, what in ((True, "all classes alike"), (False, "each class")):
        rows = np.array([row[1:] for row in found if row[0] == balanced])
        if not len(rows):
            lines.append(f"| {name} | {what} | 0 | | | | | |")
            continue
        low, middle, high, truth = rows.T
        held = (low <= truth) & (truth <= high)
        lines.append(
            f"| {name} | {what} | {len(rows)} | {held.mean():.1%} | {(truth < low).mean():.1%} | {(truth > high).mean():.1%} "
            f"| {(high - low).mean():.1%} | {np.abs(middle - truth).mean():.1%} |"
        )
    return lines


def write(lines, given):
    """Replaces our part of the page, or adds it."""
    head = [
        "## Learning curve: does the band hold?",
        "",
        "Each time the curve of half the parts says what all of them give, and a head on all of them is the truth; "
        f"{given.rounds} divisions a data set, size {given.size}, backbone `{Path(given.backbone).name}`.",
        "The band is meant to hold 90 %; cases are those of which the curve can tell.",
        f"`scripts/measure_learning_curve.py`, {date.today()}, torch {torch.__version__}, Python {platform.python_version()}.",
        "",
        "| data | error of | cases | band holds | truth below | truth above | width of the band | middle misses by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    benchmarks.put(__file__, "\n".join([*head, *lines]))


if __name__ == "__main__":
    main()

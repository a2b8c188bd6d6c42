"""Measures fine-tuning side by side: full fine-tuning by hand, Lightning's BackboneFinetuning, and ours.

    python scripts/measure_finetuning.py DATA [DATA ...] --backbone local-dir:PATH --results FILE.jsonl [--seeds 3] [--write]

DATA are folders named as in JOBS, which pairs each with the shipped recipe that it is judged by. Every side gets the same
weights, pictures, input size, augmentation, loss and batch, decodes once into RAM, and runs in this one process, one after the
other within each seed and fold. The two peers choose their learning rate of --rates on val, once for each data set (first seed,
first fold); the search is not counted. Ours runs as the recipe comes. Every side keeps what val judged best; test is judged once.
Magnetic tiles are divided into 5 folds by tile (test: one fold, val: the next), because one split of so few tiles shows nothing.

One JSON line per finished run is appended to --results, and what stands there is not run again, so a measurement can be cut off
and taken up. --write puts the table into docs/benchmarks.md.
"""

import argparse
import copy
import io
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import benchmarks
import lightning
import numpy as np
import torch
from finetuning_table import SIDES, table
from lightning.pytorch.callbacks import BackboneFinetuning
from rich.console import Console
from sklearn.model_selection import StratifiedGroupKFold

from recipes import chest_xray, surface_defects, traffic_signs
from visiontune.data.batches import Views, label_indices, training_batches
from visiontune.data.fit import Fit
from visiontune.data.store import load
from visiontune.tune import Recipe, finetune, read, split
from visiontune.tune.finetune import make_net, quiet
from visiontune.tune.learner import balanced_accuracy
from visiontune.tune.unfreeze import rate


@dataclass(frozen=True, kw_only=True)
class Job:
    """A data set's recipe, the side of its input in pixels here, and the folds it is divided into (1: its own split)."""

    recipe: Recipe
    side: int
    folds: int = 1


JOBS = {
    "magnetic_tile": Job(recipe=surface_defects.recipe, side=160, folds=5),
    "neu_steel": Job(recipe=surface_defects.recipe, side=112),
    "chest_xray": Job(recipe=chest_xray.recipe, side=128),
    "traffic_signs": Job(recipe=traffic_signs.recipe, side=64),
}


def folded(data, folds):
    """The data set once for each fold: test is the fold, val the next, train the rest; whole groups, classes balanced."""
    if folds == 1:
        return [split(data)]
    labels, groups = [s.label for s in data], [s.group for s in data]
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(labels, labels, groups)
    home = np.zeros(len(data), int)
    for fold, (_, rows) in enumerate(cut):
        home[rows] = fold
    names = [
        ["test" if at == fold else "val" if at == (fold + 1) % folds else "train" for at in home]
        for fold in range(folds)
    ]
    return [
        replace(data, samples=tuple(replace(s, split=name) for s, name in zip(data, named, strict=True)))
        for named in names
    ]


def named_by(net, frames):
    """The class that a network names for each picture, int64 (n,)."""
    net.eval()
    named = []
    with torch.inference_mode():
        for start in range(0, len(frames), 64):
            named.append(
                net(torch.from_numpy(np.ascontiguousarray(frames[start : start + 64]))).argmax(1).numpy()
            )
    return np.concatenate(named)


def judged(net, share, frames):
    """Balanced accuracy of a network on a share."""
    return balanced_accuracy(label_indices(share), named_by(net, frames))


def batches(recipe, share, frames, epoch):
    """One epoch of augmented batches, as our own training has them without the cache."""
    views = Views(share, frames, policy=recipe.policy, seed=recipe.seed, view=epoch)
    return training_batches(views, batch=recipe.batch, seed=recipe.seed, epoch=epoch)


def full(recipe, shares, frames, epochs, lr):
    """Full fine-tuning as a good engineer writes it: AdamW, warm-up, cosine, clipping, channels_last, best epoch by val."""
    net = make_net(recipe, shares["train"])
    decayed = [p for p in net.parameters() if p.ndim > 1]
    plain = [p for p in net.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=lr)
    best, state, curve = -1.0, None, []
    begin = time.process_time()
    for epoch in range(epochs):
        net.train()
        steps = batches(recipe, shares["train"], frames["train"], epoch)
        for step, batch in enumerate(steps):
            for group in optimizer.param_groups:
                group["lr"] = lr * rate(epoch * len(steps) + step, of=epochs * len(steps))
            loss = net.head.loss(net(batch["frames"]), batch)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
        score = judged(net, shares["val"], frames["val"])
        curve.append([time.process_time() - begin, score])
        if score > best:
            best, state = score, copy.deepcopy(net.state_dict())
    net.load_state_dict(state)
    return net, best, curve


class Peer(lightning.LightningModule):
    """What Lightning's documentation shows: a backbone attribute, a head, BackboneFinetuning."""

    def __init__(self, net, lr, weight_decay):
        super().__init__()
        self.backbone, self.head = net.backbone, net.head
        self.net, self.lr, self.weight_decay = net, lr, weight_decay

    def training_step(self, batch, index):
        """Mean loss."""
        return self.net.head.loss(self.net(batch["frames"]), batch)

    def configure_optimizers(self):
        """The head only; the callback adds the backbone when it opens."""
        return torch.optim.AdamW(self.head.parameters(), lr=self.lr, weight_decay=self.weight_decay)


class Watch(lightning.Callback):
    """Best epoch by val, and the curve."""

    def __init__(self, shares, frames):
        self.shares, self.frames = shares, frames
        self.best, self.state, self.curve = -1.0, None, []
        self.begin = time.process_time()

    def on_train_epoch_end(self, trainer, pl_module):
        """Judges val."""
        score = judged(pl_module.net, self.shares["val"], self.frames["val"])
        pl_module.net.train()
        self.curve.append([time.process_time() - self.begin, score])
        if score > self.best:
            self.best, self.state = score, copy.deepcopy(pl_module.net.state_dict())


def lightnings(recipe, shares, frames, epochs, lr):
    """Lightning's BackboneFinetuning, opening the backbone after a third of the epochs."""
    net = make_net(recipe, shares["train"])
    watch = Watch(shares, frames)

    class Data(lightning.LightningDataModule):
        def train_dataloader(self):
            return batches(recipe, shares["train"], frames["train"], self.trainer.current_epoch)

    with quiet(), tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(
            max_epochs=epochs, callbacks=[BackboneFinetuning(max(1, epochs // 3)), watch], logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            reload_dataloaders_every_n_epochs=1, gradient_clip_val=1.0, default_root_dir=folder,
        )  # fmt: skip
        trainer.fit(Peer(net, lr, recipe.weight_decay), datamodule=Data())
    net.load_state_dict(watch.state)
    return net, watch.best, watch.curve


def ours(recipe, data):
    """finetune as it comes; decoding, the cache, its check and its filling count, and are set before the first epoch."""
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = finetune(recipe, data, out=Path(folder) / "run", console=Console(file=io.StringIO()))
    spent = time.process_time() - begin
    before = spent - sum(epoch.cpu_seconds for epoch in run.history)
    at = before + np.cumsum([epoch.cpu_seconds for epoch in run.history])
    curve = [
        [float(t), epoch.val_balanced_accuracy, epoch.open] for t, epoch in zip(at, run.history, strict=True)
    ]
    phases = [[phase.open, phase.epochs, phase.chosen, phase.gain, phase.kept] for phase in run.phases]
    return run.net, spent, curve, phases


def measured(given, folder, seed):
    """Measures every side on every fold of a data set."""
    job = JOBS[folder.name]
    size = (job.side, job.side)
    recipe = replace(job.recipe, backbone=given.backbone, size=size, seed=seed, good=None)
    fit = Fit(recipe.size)
    for fold, data in enumerate(folded(read(folder, good=None), job.folds)):
        todo = [side for side in given.sides if not done(given.results, folder.name, seed, fold, side)]
        if not todo:
            continue
        shares = {name: data.share(name) for name in ("train", "val", "test")}
        begin = time.process_time()
        frames = {name: load(shares[name], fit) for name in ("train", "val")}
        decoding = time.process_time() - begin
        frames["test"] = load(shares["test"], fit)
        for side in todo:
            found = one(given, recipe, side, data, shares, frames, rates(given, folder.name, side))
            if side != "ours":
                found["cpu"] += decoding
                found["curve"] = [[at + decoding, score] for at, score in found["curve"]]
            found = {"data": folder.name, "seed": seed, "fold": fold, "side": side, **found}
            with given.results.open("a") as file:
                file.write(json.dumps(found) + "\n")
            short = {k: v for k, v in found.items() if k not in ("curve", "labels", "named", "groups")}
            print(json.dumps(short), flush=True)


def one(given, recipe, side, data, shares, frames, tried):
    """Trains one side, and judges test once."""
    wall = time.perf_counter()
    found = {"size": recipe.size[0], "epochs": given.epochs}
    if side == "ours":
        net, spent, curve, phases = ours(recipe, data)
        found |= {"cpu": spent, "curve": curve, "phases": phases}
    else:
        train = full if side == "full" else lightnings
        runs = [(lr, *train(recipe, shares, frames, given.epochs, lr)) for lr in tried]
        lr, net, _, curve = max(runs, key=lambda run: run[2])
        found |= {"lr": lr, "cpu": curve[-1][0], "curve": curve}
        found["tried"] = {str(entry[0]): entry[2] for entry in runs}
    labels, named = label_indices(shares["test"]), named_by(net, frames["test"])
    return found | {
        "val": judged(net, shares["val"], frames["val"]),
        "test": balanced_accuracy(labels, named),
        "wall": time.perf_counter() - wall,
        "labels": labels.tolist(),
        "named": named.tolist(),
        "groups": [sample.group for sample in shares["test"]],
    }


def rates(given, name, side):
    """The rates to try: those given, or the one that was chosen before on this data set."""
    chosen = [
        r["lr"] for r in read_results(given.results) if (r["data"], r["side"]) == (name, side) and "lr" in r
    ]
    return chosen[:1] or given.rates


def done(results, name, seed, fold, side):
    """Whether a result stands already."""
    key = (name, seed, fold, side)
    return any((row["data"], row["seed"], row["fold"], row["side"]) == key for row in read_results(results))


def read_results(results):
    """The rows so far."""
    return [json.loads(line) for line in results.read_text().splitlines()] if results.is_file() else []


def main():
    """Measures, prints the table, and writes it if asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12, help="full epochs of the two peers")
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3])
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if unknown := [folder.name for folder in given.data if folder.name not in JOBS]:
        parser.error(f"expected folders named {', '.join(JOBS)}, got {', '.join(unknown)}")
    torch.set_num_threads(given.threads)
    for seed in range(given.seeds):
        for folder in given.data:
            measured(given, folder, seed)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "timm", "lightning"))
    text = (
        f"## Fine-tuning\n\n{platform.machine()}, {os.cpu_count()} shared cores, {given.threads} thread; {packages}; "
        f"{date.today()}. `scripts/measure_finetuning.py`: full by hand, Lightning's `BackboneFinetuning`, ours. "
        f"Peers: {given.epochs} epochs at the best of {given.rates} on val. `mobilenetv2_035`, input "
        f"{', '.join(f'{name} {job.side} px' for name, job in JOBS.items())}. "
        "The schedule of ours was settled on these sets, with tables like this one in view.\n\n"
        f"{table(read_results(given.results))}"
    )
    print(text)
    if given.write:
        benchmarks.put(__file__, text)


if __name__ == "__main__":
    sys.exit(main())

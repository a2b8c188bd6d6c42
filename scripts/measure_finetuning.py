"""Measures fine-tuning side by side: full fine-tuning by hand, Lightning's BackboneFinetuning, and ours.

    python scripts/measure_finetuning.py DATA [DATA ...] --backbone local-dir:PATH --results FILE.jsonl [--seeds 3] [--write]

Every side gets the same weights, pictures, input size, augmentation, batch and number of full epochs, decoded once in RAM, and
runs in this one process, one after the other within each data set and seed. The two peers try each of --rates and keep the one
with the best balanced accuracy on val; the CPU seconds of the chosen rate count, not of the search. Ours runs as it comes.
Test is judged once, with the weights that val chose. One JSON line per finished run is appended to --results, and what stands
there is not run again, so a measurement can be cut off and taken up. --write puts the table into docs/benchmarks.md.
"""

import argparse
import copy
import io
import json
import os
import platform
import re
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import BackboneFinetuning
from rich.console import Console

from visiontune.data.batches import Views, label_indices, training_batches
from visiontune.data.fit import Fit
from visiontune.data.store import load
from visiontune.tune import Recipe, finetune, policies, read, split
from visiontune.tune.finetune import make_net, quiet
from visiontune.tune.learner import balanced_accuracy
from visiontune.tune.unfreeze import rate

BENCHMARKS = Path(__file__).parents[1] / "docs" / "benchmarks.md"
SIDES = ("full", "lightning", "ours")


def judged(net, share, frames):
    """Balanced accuracy of a network on a share."""
    net.eval()
    named = []
    with torch.inference_mode():
        for start in range(0, len(frames), 64):
            named.append(
                net(torch.from_numpy(np.ascontiguousarray(frames[start : start + 64]))).argmax(1).numpy()
            )
    return balanced_accuracy(label_indices(share), np.concatenate(named))


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


def ours(recipe, data, frames):
    """finetune as it comes; the cache, its check and its filling count."""
    begin = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        run = finetune(recipe, data, out=Path(folder) / "run", console=Console(file=io.StringIO()))
    spent = time.process_time() - begin
    head = sum(epoch.cpu_seconds for epoch in run.history if epoch.open == 0)
    return (
        run.net,
        judged(run.net, data.share("val"), frames["val"]),
        spent,
        head / max(1, run.phases[0].epochs),
    )


def measured(given, folder, seed):
    """Yields one result per side for a data set and a seed."""
    policy = getattr(policies, given.policy.get(folder.name, "flat_sheet"))()
    recipe = Recipe(
        backbone=given.backbone, policy=policy, size=(given.size, given.size), seed=seed, good=None
    )
    data = split(read(folder, good=None))
    shares = {name: data.share(name) for name in ("train", "val", "test")}
    fit = Fit(recipe.size)
    frames = {name: load(share, fit) for name, share in shares.items()}
    for side in SIDES:
        if done(given.results, folder.name, seed, side):
            continue
        wall = time.perf_counter()
        found = {"data": folder.name, "seed": seed, "side": side, "size": given.size, "epochs": given.epochs}
        if side == "ours":
            net, val, spent, head = ours(recipe, data, frames)
            found |= {"cpu": spent, "cpu_per_head_epoch": head}
        else:
            train = full if side == "full" else lightnings
            tried = [(lr, *train(recipe, shares, frames, given.epochs, lr)) for lr in given.rates]
            lr, net, val, curve = max(tried, key=lambda entry: entry[2])
            found |= {"lr": lr, "cpu": curve[-1][0], "curve": curve}
        found |= {
            "val": val,
            "test": judged(net, shares["test"], frames["test"]),
            "wall": time.perf_counter() - wall,
        }
        with given.results.open("a") as file:
            file.write(json.dumps(found) + "\n")
        print(json.dumps({key: value for key, value in found.items() if key != "curve"}), flush=True)


def done(results, name, seed, side):
    """Whether a result stands already."""
    rows = read_results(results)
    return any((row["data"], row["seed"], row["side"]) == (name, seed, side) for row in rows)


def read_results(results):
    """The rows so far."""
    return [json.loads(line) for line in results.read_text().splitlines()] if results.is_file() else []


def table(rows):
    """Markdown: a row per data set and side, means over seeds with their range."""
    lines = [
        "| data | side | seeds | test balanced accuracy (range) | CPU s | share of full |", "|---|---|---|---|---|---|"
    ]  # fmt: skip
    for name in dict.fromkeys(row["data"] for row in rows):
        base = np.mean(
            [row["cpu"] for row in rows if row["data"] == name and row["side"] == "full"] or [np.nan]
        )
        for side in SIDES:
            part = [row for row in rows if row["data"] == name and row["side"] == side]
            if part:
                test = [row["test"] for row in part]
                cpu = float(np.mean([row["cpu"] for row in part]))
                lines.append(
                    f"| {name} | {side} | {len(part)} | {np.mean(test):.3f} ({min(test):.3f} to {max(test):.3f}) "
                    f"| {cpu:.0f} | {cpu / base:.2f} |"
                )
    return "\n".join(lines)


def write(text):
    """Replaces the section between its markers in docs/benchmarks.md, or appends it."""
    begin, end = "<!-- measure_finetuning -->", "<!-- /measure_finetuning -->"
    old = BENCHMARKS.read_text() if BENCHMARKS.is_file() else "# Benchmarks\n"
    section = f"{begin}\n{text}\n{end}"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    new = pattern.sub(lambda _: section, old) if pattern.search(old) else f"{old.rstrip()}\n\n{section}\n"
    BENCHMARKS.parent.mkdir(exist_ok=True)
    BENCHMARKS.write_text(new)


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
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 1e-3])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--policy", nargs="*", default=[], metavar="DATA=POLICY", help="default: flat_sheet")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    given.policy = dict(entry.split("=") for entry in given.policy)
    torch.set_num_threads(given.threads)
    for seed in range(given.seeds):
        for folder in given.data:
            measured(given, folder, seed)
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "timm", "lightning"))
    text = (
        f"## Fine-tuning\n\n{platform.machine()}, {os.cpu_count()} cores, {given.threads} thread; {packages}; {date.today()}. "
        f"Input {given.size} px, peers {given.epochs} epochs at the better of {given.rates}.\n\n"
        f"{table(read_results(given.results))}"
    )
    print(text)
    if given.write:
        write(text)


if __name__ == "__main__":
    sys.exit(main())

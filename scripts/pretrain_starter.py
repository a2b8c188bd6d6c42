"""Pretrains the starter backbone on pictures that this project paints itself: no photograph, no network, no foreign weights.

    python scripts/pretrain_starter.py OUT [--pictures 1000000] [--workers 1] [--threads 1] [--seed 0]

Each picture shows a texture and mostly a figure on it (starter_pictures.py); the network learns to tell the class and the
family of both, in one pass over pictures of which none comes twice and which grow harder over the first half of the run. OUT gets
last.pt every few minutes: the same command goes on from there, with the same pictures as if it had not been cut. At the end
OUT/starter holds the weights in timm's layout (config.json and model.safetensors in half precision), for
Recipe(backbone="local-dir:OUT/starter").
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import starter_figures
import starter_textures
import timm
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import save
from starter_pictures import NONE, Banks, banks, picture
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from visiontune.runtime.whole import whole

SIZES = (64, 64, 64, 96, 96, 128)  # pixels; each batch has one, so that features hold at several scales
HARDEST = 0.5  # of the run, from where on pictures are as hard as they come
DRAWS = 4  # of each class in the banks
SAID = 200  # steps between lines
EVERY = 180  # seconds between checkpoints


class Starting(nn.Module):
    """The backbone with a linear layer for each question."""

    def __init__(self, arch: str, textures: int, figures: int) -> None:
        super().__init__()
        self.backbone = timm.create_model(arch, pretrained=False, num_classes=0)
        features = getattr(self.backbone, "head_hidden_size", None) or self.backbone.num_features
        self.texture = nn.Linear(features, textures + len(starter_textures.FAMILIES))
        self.figure = nn.Linear(features, figures + len(starter_figures.FAMILIES))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the textures (N, T) and of the figures (N, F), then of their families, of pictures uint8 (N, h, w, 3)."""
        seen = (
            pictures.permute(0, 3, 1, 2)
            .float()
            .div(127.5)
            .sub(1)
            .contiguous(memory_format=torch.channels_last)
        )
        pooled = self.backbone(seen)
        return self.texture(pooled), self.figure(pooled)


class Pictures(Dataset[tuple[np.ndarray, int, int]]):
    """Picture `n`: the same whenever it is asked for. Its size and how hard it is travel with the number."""

    def __init__(self, painted: Banks, seed: int) -> None:
        self.painted, self.seed = painted, seed

    def __getitem__(self, at: tuple[int, int, float]) -> tuple[np.ndarray, int, int]:
        number, size, hard = at
        cv2.setNumThreads(0)
        return picture(np.random.default_rng([self.seed, 5, number]), self.painted, size, hard)


class Steps(Sampler[list[tuple[int, int, float]]]):
    """The numbers of the pictures of each step from `first` to `last`, with the size and the hardness that the step has."""

    def __init__(self, first: int, last: int, batch: int, seed: int) -> None:
        self.first, self.last, self.batch, self.seed = first, last, batch, seed

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[tuple[int, int, float]]]:
        for step in range(self.first, self.last):
            size = SIZES[int(np.random.default_rng([self.seed, 6, step]).integers(len(SIZES)))]
            hard = min(1.0, step / (HARDEST * self.last))
            yield [(step * self.batch + n, size, hard) for n in range(self.batch)]


def rate(step: int, steps: int, peak: float) -> float:
    """Learning rate: up over the first twentieth, then down by a cosine."""
    warm = max(1, steps // 20)
    return (
        peak * (step + 1) / warm
        if step < warm
        else peak * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
    )


def losses(net: Starting, pictures: Tensor, textures: Tensor, figures: Tensor) -> tuple[Tensor, float, float]:
    """The loss in nats, and how many of the textures and of the figures were told rightly, 0..1."""
    of_textures, of_figures = net(pictures)
    there = figures != NONE
    loss, right = torch.zeros(()), []
    for logits, labels, family, families in (
        (of_textures, textures, starter_textures.family, len(starter_textures.FAMILIES)),
        (of_figures[there], figures[there], starter_figures.family, len(starter_figures.FAMILIES)),
    ):
        classes, coarse = logits[:, :-families], logits[:, -families:]
        loss = loss + functional.cross_entropy(classes, labels, label_smoothing=0.05)
        loss = loss + functional.cross_entropy(coarse, torch.tensor([family(int(one)) for one in labels]))
        right.append(float((classes.argmax(1) == labels).float().mean()))
    return loss, right[0], right[1]


class Pretraining:
    """The network and its optimizer, between checkpoints that hold both."""

    def __init__(self, given: argparse.Namespace) -> None:
        names = ("pictures", "arch", "batch", "lr", "seed", "textures", "figures")
        self.asked = {name: getattr(given, name) for name in names}
        self.last = given.out / "last.pt"
        self.steps, self.lr = given.pictures // given.batch, given.lr
        torch.manual_seed(given.seed)
        self.net = Starting(given.arch, given.textures, given.figures).to(memory_format=torch.channels_last)
        matrices = [p for p in self.net.parameters() if p.ndim >= 2]
        vectors = [p for p in self.net.parameters() if p.ndim < 2]
        groups = [{"params": matrices, "weight_decay": 0.03}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=given.lr, fused=True)
        self.step, self.cpu, self.seconds = 0, 0.0, 0.0
        self.clock = time.process_time(), time.perf_counter()

    def resume(self) -> None:
        """From the last checkpoint, where there is one."""
        if not self.last.exists():
            return
        kept = torch.load(self.last, weights_only=True)
        if kept["asked"] != self.asked:
            raise SystemExit(
                f"{self.last}: belongs to {kept['asked']}, asked for {self.asked}; name another folder"
            )
        for name in ("net", "optimizer"):
            getattr(self, name).load_state_dict(kept[name])
        self.step, self.cpu, self.seconds = kept["done"]

    def save(self) -> None:
        """Writes the checkpoint."""
        cpu, seconds = time.process_time(), time.perf_counter()
        self.cpu, self.seconds = self.cpu + cpu - self.clock[0], self.seconds + seconds - self.clock[1]
        self.clock = cpu, seconds
        state = {name: getattr(self, name).state_dict() for name in ("net", "optimizer")}
        with whole(self.last) as draft:
            torch.save({**state, "done": [self.step, self.cpu, self.seconds], "asked": self.asked}, draft)

    def learn(self, pictures: Tensor, textures: Tensor, figures: Tensor) -> tuple[float, float, float]:
        """One step: loss, textures and figures told rightly."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.step, self.steps, self.lr)
        loss, *right = losses(self.net, pictures, textures, figures)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        self.step += 1
        return float(loss.detach()), right[0], right[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--arch", default="mobilenetv2_035")
    parser.add_argument("--textures", type=int, default=240, help="classes of textures")
    parser.add_argument("--figures", type=int, default=250, help="classes of figures")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--workers", type=int, default=1, help="processes that paint")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console()) as bar:
        train(given, bar)


def painted(given: argparse.Namespace, bar: Progress) -> Banks:
    """The banks, painted once and kept in OUT."""
    file = given.out / f"banks-{given.seed}-{given.textures}-{given.figures}-{DRAWS}.npz"
    if not file.exists():
        work = bar.add_task("painting classes", total=given.textures + given.figures)
        found = banks(
            given.seed, textures=given.textures, figures=given.figures, draws=DRAWS,
            workers=given.workers + given.threads, progress=lambda n: bar.advance(work, n),
        )  # fmt: skip
        with whole(file) as draft, draft.open("wb") as stream:
            np.savez(stream, textures=found.textures, figures=found.figures)
    kept = np.load(file)
    return Banks(kept["textures"], kept["figures"])


def train(given: argparse.Namespace, bar: Progress) -> None:
    """Trains from the last checkpoint, or from the start; writes checkpoints and the result."""
    run = Pretraining(given)
    run.resume()
    loader = DataLoader(
        Pictures(painted(given, bar), given.seed),
        batch_sampler=Steps(run.step, run.steps, given.batch, given.seed),
        num_workers=given.workers,
        prefetch_factor=8 if given.workers else None,
    )
    work = bar.add_task("training", total=run.steps, completed=run.step)
    seen, begun, saved = [], time.perf_counter(), time.perf_counter()
    run.net.train()
    for batch in loader:
        seen.append(run.learn(*batch))
        bar.advance(work)
        if len(seen) == SAID or run.step == run.steps:
            loss, textures, figures = np.mean(seen, axis=0)
            speed = len(seen) * given.batch / (time.perf_counter() - begun)
            bar.console.print(
                f"{run.step * given.batch:>9} pictures  loss {loss:.3f}  textures {textures:.1%}  figures {figures:.1%}"
                f"  {speed:.0f} a second",
                highlight=False,
            )
            seen, begun = [], time.perf_counter()
        if time.perf_counter() - saved > EVERY or run.step == run.steps:
            run.save()
            saved = time.perf_counter()
    write(given.out / "starter", run.net, given.arch)
    bar.console.print(
        f"{given.out / 'starter'}: {run.steps * given.batch} pictures, {run.seconds / 60:.0f} minutes, "
        f"{run.cpu / 60:.0f} CPU minutes of training, and those of the painting workers"
    )


def write(folder: Path, net: Starting, arch: str) -> None:
    """The backbone in timm's layout, half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {
        name: (value.half() if value.is_floating_point() else value).contiguous()
        for name, value in net.backbone.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    with whole(folder / "model.safetensors") as draft:
        draft.write_bytes(save(weights))
    config = {
        "architecture": arch,
        "num_classes": 0,
        "num_features": net.texture.in_features,
        "pretrained_cfg": {
            "tag": "visiontune",
            "custom_load": False,
            "input_size": [3, 224, 224],
            "fixed_input_size": False,
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "num_classes": 0,
            "license": "apache-2.0",
        },
    }
    with whole(folder / "config.json") as draft:
        draft.write_text(json.dumps(config, indent=2) + "\n")


if __name__ == "__main__":
    main()

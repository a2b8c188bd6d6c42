"""Pretrains the starter backbone on pictures that this project paints itself: no photograph, no network, no foreign weights.

    python scripts/pretrain_starter.py OUT [--pictures 1500000] [--arch mobilenetv2_035] [--seed 0]

Each picture shows a texture and mostly a figure on it (starter_pictures.py); the network learns to tell both classes, in one
pass over pictures of which none comes twice. OUT gets last.pt every few minutes: the same command goes on from there, with the
same pictures as if it had not been cut. At the end OUT/starter holds the averaged weights in timm's layout (config.json and
model.safetensors in half precision), for Recipe(backbone="local-dir:OUT/starter").
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import timm
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import save_file
from starter_pictures import NONE, Banks, banks, picture
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset, Sampler

from visiontune.runtime.whole import whole

SIZES = (64, 96, 128)  # pixels; each batch has one, so that features hold at several scales
EVERY = 180  # seconds between checkpoints
AVERAGED = 0.9995  # of each step's weights so much stays in the average that is shipped


@dataclass(frozen=True)
class Task:
    """What is told apart, and how many draws of each class the banks hold."""

    textures: int = 480
    figures: int = 500
    draws: int = 4


class Starting(nn.Module):
    """The backbone with a linear layer for each question."""

    def __init__(self, arch: str, task: Task) -> None:
        super().__init__()
        self.backbone = timm.create_model(arch, pretrained=False, num_classes=0)
        features = (
            self.backbone.num_features
            if not hasattr(self.backbone, "head_hidden_size")
            else self.backbone.head_hidden_size
        )
        self.texture = nn.Linear(features, task.textures)
        self.figure = nn.Linear(features, task.figures)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the textures (N, T) and of the figures (N, F) of pictures uint8 (N, h, w, 3)."""
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
    """Picture `n`: the same whenever it is asked for. `size` travels with the number."""

    def __init__(self, painted: Banks, seed: int) -> None:
        self.painted, self.seed = painted, seed

    def __getitem__(self, at: tuple[int, int]) -> tuple[np.ndarray, int, int]:
        number, size = at
        cv2.setNumThreads(0)
        return picture(np.random.default_rng([self.seed, 5, number]), self.painted, size)


class Steps(Sampler[list[tuple[int, int]]]):
    """The numbers of the pictures of each step from `first` on, with the size that the step has."""

    def __init__(self, first: int, last: int, batch: int, seed: int) -> None:
        self.first, self.last, self.batch, self.seed = first, last, batch, seed

    def __len__(self) -> int:
        return self.last - self.first

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.first, self.last):
            size = SIZES[int(np.random.default_rng([self.seed, 6, step]).integers(len(SIZES)))]
            yield [(step * self.batch + n, size) for n in range(self.batch)]


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
    loss = functional.cross_entropy(of_textures, textures, label_smoothing=0.05)
    loss = loss + functional.cross_entropy(of_figures[there], figures[there], label_smoothing=0.05)
    right = (
        (of_textures.argmax(1) == textures).float().mean(),
        (of_figures.argmax(1) == figures)[there].float().mean(),
    )
    return loss, float(right[0]), float(right[1])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--pictures", type=int, default=1_500_000)
    parser.add_argument("--arch", default="mobilenetv2_035")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=1, help="processes that paint")
    parser.add_argument("--threads", type=int, default=1, help="threads that train")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    train(given, Console())


def painted(given: argparse.Namespace, task: Task, bar: Progress) -> Banks:
    """The banks, painted once and kept in OUT."""
    file = given.out / f"banks-{given.seed}-{task.textures}-{task.figures}-{task.draws}.npz"
    if not file.exists():
        work = bar.add_task("painting classes", total=task.textures + task.figures)
        found = banks(
            given.seed, textures=task.textures, figures=task.figures, draws=task.draws,
            workers=given.workers + given.threads, progress=lambda n: bar.advance(work, n),
        )  # fmt: skip
        with whole(file) as draft, draft.open("wb") as stream:
            np.savez(stream, textures=found.textures, figures=found.figures)
    kept = np.load(file)
    return Banks(kept["textures"], kept["figures"])


def train(given: argparse.Namespace, console: Console) -> None:
    """Trains from the last checkpoint, or from the start; writes checkpoints and the result."""
    task, steps = Task(), given.pictures // given.batch
    torch.manual_seed(given.seed)
    net = Starting(given.arch, task).to(memory_format=torch.channels_last)
    average = torch.optim.swa_utils.AveragedModel(
        net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(AVERAGED), use_buffers=True
    )
    vectors = [p for p in net.parameters() if p.ndim < 2]
    matrices = [p for p in net.parameters() if p.ndim >= 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.03}, {"params": vectors, "weight_decay": 0.0}],
        lr=given.lr,
        fused=True,
    )
    last = given.out / "last.pt"
    asked = {name: getattr(given, name) for name in ("pictures", "arch", "batch", "lr", "seed")}
    done = {"step": 0, "cpu": 0.0, "seconds": 0.0}
    if last.exists():
        kept = torch.load(last, weights_only=True)
        if kept["asked"] != asked:
            raise SystemExit(f"{last}: belongs to {kept['asked']}, asked for {asked}; name another folder")
        net.load_state_dict(kept["net"])
        average.load_state_dict(kept["average"])
        optimizer.load_state_dict(kept["optimizer"])
        done = kept["done"]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        loader = DataLoader(
            Pictures(painted(given, task, bar), given.seed),
            batch_sampler=Steps(done["step"], steps, given.batch, given.seed),  # type: ignore[arg-type]
            num_workers=given.workers,
            prefetch_factor=8,
        )
        work = bar.add_task("training", total=steps, completed=done["step"])
        clock, cpu, seen, saved = time.perf_counter(), time.process_time(), np.zeros(3), time.perf_counter()
        net.train()
        for step, (pictures, textures, figures) in enumerate(loader, start=done["step"]):
            for group in optimizer.param_groups:
                group["lr"] = rate(step, steps, given.lr)
            loss, *right = losses(net, pictures, textures, figures)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimizer.step()
            average.update_parameters(net)
            seen += [float(loss.detach()), *right]
            bar.advance(work)
            if (step + 1) % 200 == 0:
                mean = seen / 200
                seen[:] = 0
                console.print(
                    f"{(step + 1) * given.batch:>9} pictures  loss {mean[0]:.3f}  textures {mean[1]:.1%}  figures {mean[2]:.1%}"
                    f"  {200 * given.batch / (time.perf_counter() - clock):.0f} a second",
                    highlight=False,
                )
                done = {
                    "step": step + 1,
                    "cpu": done["cpu"] + time.process_time() - cpu,
                    "seconds": done["seconds"] + time.perf_counter() - clock,
                }
                clock, cpu = time.perf_counter(), time.process_time()
                if time.perf_counter() - saved > EVERY or step + 1 == steps:
                    saved = time.perf_counter()
                    state = {
                        "net": net.state_dict(), "average": average.state_dict(),
                        "optimizer": optimizer.state_dict(), "done": done, "asked": asked,
                    }  # fmt: skip
                    with whole(last) as draft:
                        torch.save(state, draft)
    write(given.out / "starter", average.module, given.arch)
    console.print(
        f"{given.out / 'starter'}: {steps * given.batch} pictures, {done['seconds'] / 60:.0f} minutes, "
        f"{done['cpu'] / 60:.0f} CPU minutes of training and as many of painting as --workers had"
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
        save_file(weights, draft)
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

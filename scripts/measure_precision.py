"""Measures what fp16 and int8 cost and gain on this PC: size, time and error of five backbones with random weights.

Usage: .venv/bin/python scripts/measure_precision.py [BACKBONE ...] [--rounds N] [--seconds S] [--write]

Each network is exported, narrowed as `run.export(precision=...)` does it, put between the line's own pre- and postprocessing,
and timed frame by frame, the precisions taking turns. Random weights say nothing of verdicts, so only speed and size are judged
here; the error of the logits is given beside their spread. `--write` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import benchmarks
import numpy as np
import onnx
import onnxruntime
import timm
import torch
from numpy.typing import NDArray

from visiontune.heads import Classify
from visiontune.heads.head import Labels
from visiontune.runtime.bands import Bands
from visiontune.runtime.golden import golden_frames
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.half import halved
from visiontune.tune.net import Net
from visiontune.tune.precisions import LEAST_SPEEDUP, timings
from visiontune.tune.quantize import statistics
from visiontune.tune.sensitive import logits, rms, search

BACKBONES = ("resnet18", "convnext_atto", "vit_tiny_patch16_224", "efficientnet_b0", "mobilenetv3_small_100")
SIZE, SEEN, TRIED, BATCH = 224, 32, 8, 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbones", metavar="BACKBONE", nargs="*", default=list(BACKBONES))
    parser.add_argument("--rounds", type=int, default=100, help="calls of each graph")
    parser.add_argument(
        "--seconds", type=float, default=10, help="for the calls of one backbone, and for its search"
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into {benchmarks.PAGE.name}")
    given = parser.parse_args()
    torch.set_num_threads(1)
    lines = heading()
    for name in given.backbones:
        rows = measured(name, given.rounds, given.seconds)
        print("\n".join(rows), flush=True)
        lines += rows
    if given.write:
        benchmarks.put(__file__, "\n".join(lines))


def random_net(name: str) -> Net:
    """The backbone with random weights, running statistics and head."""
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    with torch.no_grad():
        features = backbone.eval()(torch.zeros(1, 3, SIZE, SIZE)).shape[1]
    head = Classify().build(features, Labels(classes=("good", "bad"), good="good", counts=(1, 1)))
    torch.nn.init.normal_(head.linear.weight, 0, 0.1)
    return Net(backbone, head, mean=(0.5,) * 3, std=(0.25,) * 3, size=(SIZE, SIZE)).eval()


def pictures(count: int) -> NDArray[np.float32]:
    """Painted pictures, normalised: float32 (count, 3, h, w)."""
    frames = golden_frames(0, count, (SIZE, SIZE)).astype(np.float32)
    return np.ascontiguousarray((frames / 255 - 0.5).transpose(0, 3, 1, 2) / 0.25)


def measured(name: str, rounds: int, seconds: float) -> list[str]:
    """Three lines of the table."""
    net, shown = random_net(name), pictures(SEEN)
    core = core_model(net, (SIZE, SIZE))
    found = statistics(core, [shown[at : at + BATCH] for at in range(0, SEEN, BATCH)])
    integers = search(core, found, shown[:TRIED], seconds=seconds)
    cores = {"float32": core, "fp16": halved(core), "int8": integers.core}
    graphs = {kind: whole(one, net) for kind, one in cores.items()}
    spent = timings(graphs, golden_frames(1, 1, (SIZE, SIZE))[0], rounds=rounds, seconds=seconds)
    truth = logits(core, shown[:TRIED])
    lines = []
    for kind, (p50, p99) in spent.items():
        error = rms(logits(cores[kind], shown[:TRIED]) - truth)
        speedup = spent["float32"][0] / p50
        note = {
            "float32": "",
            "fp16": "half the size, same arithmetic",
            "int8": f"{len(integers.layers)} layers, {len(integers.kept)} kept in float; "
            + ("pays" if speedup >= LEAST_SPEEDUP else f"refused: below {LEAST_SPEEDUP}"),
        }[kind]
        lines.append(
            f"| {name if kind == 'float32' else ''} | {kind} | {len(graphs[kind]) / 1e6:.1f} | {p50:.2f} | {p99:.2f} | "
            f"{speedup:.2f} | {error:.1e} of {rms(truth):.1e} | {note} |"
        )
    return lines


def whole(core: onnx.ModelProto, net: Net) -> bytes:
    """The graph of the line around a bare network."""
    return line_model(core, net, Bands(0.3, 0.7), roi=None).SerializeToString()


def heading() -> list[str]:
    """What stands above the table."""
    return [
        "## Precisions",
        "",
        f"Random weights, {SIZE} x {SIZE} px, {processor()}, {os.cpu_count()} cores that do other work too; one thread, a frame "
        f"a call, wall clock, the precisions taking turns. `scripts/measure_precision.py`, {datetime.now(UTC):%Y-%m-%d}, "
        f"onnxruntime {onnxruntime.__version__}, torch {version('torch')}, timm {version('timm')}, "
        f"Python {platform.python_version()}. The error is rms, of logits whose rms stands beside it.",
        "",
        "| backbone | precision | size MB | p50 ms | p99 ms | speed-up | error of the logits | |",
        "|---|---|---|---|---|---|---|---|",
    ]


def processor() -> str:
    """The instructions that int8 depends on, as far as the system tells."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.machine()
    known = [
        name for name in ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8") if name in text.split()
    ]
    return f"{platform.machine()} with {', '.join(known) or 'none of the usual extensions'}"


if __name__ == "__main__":
    main()

"""Measures other tools' own predict paths beside the Inspector, each on a file of its own exporter, with networks of like cost.

Usage: .venv/bin/python scripts/measure_peers.py --peer PYTHON [--peer PYTHON ...] [--rounds N] [--cold N] [--write]

PYTHON is the interpreter of an environment that has ultralytics (with onnx, onnxslim, onnxruntime) or anomalib (with openvino):
they are run for measuring only. One that is not there, or does not work, is left out, with the reason. The sides are processes of
one tree on one core, the same for all; blocks of calls take turns, and within a block a side's ways take turns call by call. CPU
time counts, of all threads, because other work may share the machine. `--write` puts each peer's section into
docs/benchmarks.md. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import benchmarks
import numpy as np
from measure_line import made

from visiontune import __version__

SIDE = Path(__file__).with_name("peer_side.py")
LIKE = {
    "ultralytics": ("mobilenetv3_large_100", 224),
    "anomalib": ("resnet18", 256),
}  # of about the same cost
CAMERA = "480x640"
BLOCK = 10
SEEDS = 24  # of hashes that are tried: anomalib takes one of a tensor's names out of a set
OURS = "visiontune"


class Unfit(Exception):
    """Why a peer is left out."""


class Side(NamedTuple):
    """One who judges: how it is started, and what with."""

    kind: str
    python: str
    file: Path
    network: str
    gmacs: float
    size: str
    versions: str
    env: dict[str, str]

    def ask(self, task: str, *size: str) -> float:
        """The number that a fresh process of this side gives."""
        return float(answer(self.python, self.env, self.file.parent, task, self.kind, str(self.file), *size))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--peer", metavar="PYTHON", action="append", default=[], help="a peer's interpreter; repeatable"
    )
    parser.add_argument(
        "--rounds", type=int, default=40, help=f"blocks of {BLOCK} calls (default: %(default)s)"
    )
    parser.add_argument("--cold", type=int, default=7, help="fresh processes (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"put the result into {benchmarks.PAGE.name}")
    given = parser.parse_args()
    found = set()
    for python in given.peer:
        with tempfile.TemporaryDirectory() as folder:
            try:
                peer = opened(python, Path(folder))
                section = beside(peer, ours(peer.kind, Path(folder)), given.rounds, given.cold)
            except Unfit as error:
                print(f"Left out: {error}.", flush=True)
                continue
        found.add(peer.kind)
        print("\n".join(section), flush=True)
        if given.write:
            benchmarks.put(f"{Path(__file__).stem}_{peer.kind}", "\n".join(section))
    for kind in sorted(set(LIKE) - found):
        print(f"Left out: {kind}: no environment where it works was given with --peer.")
    return 0


def opened(python: str, place: Path) -> Side:
    """The peer in an interpreter's environment, with a file of its own export; raises Unfit, saying why not."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and name[:3] != "OMP"}
    env |= {"YOLO_CONFIG_DIR": str(place), "YOLO_OFFLINE": "true", "YOLO_AUTOINSTALL": "false"}
    look = f"import importlib.util as u; print(*[n for n in {list(LIKE)} if u.find_spec(n)])"
    try:
        done = subprocess.run([python, "-c", look], env=env, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unfit(f"{python} does not start ({type(error).__name__})") from error
    kinds = done.stdout.split()
    if not kinds:
        raise Unfit(f"{python} has none of {', '.join(LIKE)}")
    kind = kinds[0]
    told = json.loads(answer(python, env, place, "make", kind, str(place)))
    size = "x".join([str(LIKE[kind][1])] * 2)
    reasons = []
    for seed in range(SEEDS if kind == "anomalib" else 1):
        env["PYTHONHASHSEED"] = str(seed)
        side = Side(
            kind,
            python,
            Path(told["file"]),
            told["network"],
            told["gmacs"],
            size,
            told["versions"],
            dict(env),
        )
        try:
            side.ask("once", CAMERA)
        except Unfit as error:
            reasons.append(str(error))
        else:
            return side
    raise Unfit(reasons[-1])


def ours(kind: str, place: Path) -> Side:
    """An Inspector on a network of about the peer's cost."""
    import timm
    import torch
    from peer_side import gmacs

    backbone, size = LIKE[kind]
    network = timm.create_model(backbone, num_classes=0).eval()
    with torch.no_grad():
        counted = gmacs(network, torch.zeros(1, 3, size, size))
    file = made(place, backbone, (size, size), core=True)
    env = {name: value for name, value in os.environ.items() if name[:3] != "OMP"}
    versions = f"visiontune {__version__} (onnxruntime {version('onnxruntime')})"
    return Side(OURS, sys.executable, file, backbone, counted, f"{size}x{size}", versions, env)


def answer(python: str, env: dict[str, str], folder: Path, *given: str) -> str:
    """What a fresh process of a side prints; raises Unfit with the last line of its complaint."""
    done = subprocess.run(
        [python, str(SIDE), *given], env=env, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Unfit(f"{given[1]}, asked to {given[0]}: {said[-1] if said else done.returncode}")
    return done.stdout


def beside(peer: Side, mine: Side, rounds: int, cold: int) -> list[str]:
    """The section of one peer: calls, then what processes take."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})  # the sides inherit it, so none has more threads than another
    try:
        ms = {
            side.kind: calls for side, calls in zip((peer, mine), called((peer, mine), rounds), strict=True)
        }
        started = starts((peer, mine), cold)
    finally:
        os.sched_setaffinity(0, allowed)
    idle = {side.kind: min(side.ask("idle", side.size) for _ in range(2)) for side in (peer, mine)}
    return [
        f"## Beside {peer.kind}",
        "",
        f"{peer.versions}, and {mine.versions}; {platform.machine()}, one of {os.cpu_count()} cores, shared with other work, "
        f"{platform.system()}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}. "
        "`scripts/measure_peers.py --peer PYTHON`. Random weights, one frame a call, each tool's own exporter and own predict "
        "path with its own defaults.",
        "",
        f"{peer.network}, {peer.gmacs:.2f} GMACs, {megabytes(peer.file)}, and {mine.network}, {mine.gmacs:.2f} GMACs, "
        f"{megabytes(mine.file)}: of like cost, not the same, so the columns of differences compare the tools. "
        f"{rounds * BLOCK} calls of each way; CPU ms but for the last column. 'File' is a bare call of each one's own file in "
        "the very session that its predict path uses; 'network' is the file without preparation and decision.",
        "",
        "| frame | | network | file | predict path | its p99 | above the file | above the network | wall |",
        "|---|---|---|---|---|---|---|---|---|",
        *(row(side, size, ms[side.kind][size]) for size in (peer.size, CAMERA) for side in (peer, mine)),
        "",
        *notes(peer, ms[peer.kind]),
        f"Medians; of {cold} fresh processes each below (file caches warm; CPU ms a frame at 20 Hz: best of 2, on all cores, "
        "waiting included):",
        "",
        "| | CPU s to the first verdict | best | peak MiB | CPU ms a frame at 20 Hz |",
        "|---|---|---|---|---|",
        *(
            f"| {side.kind} | {np.median(started[side.kind][0]):.2f} | {min(started[side.kind][0]):.2f} | "
            f"{np.median(started[side.kind][1]):.0f} | {idle[side.kind]:.1f} |"
            for side in (peer, mine)
        ),
    ]


Calls = dict[str, dict[str, Any]]  # frame size, way: (calls, 2) CPU and wall ms


def called(sides: tuple[Side, ...], rounds: int) -> list[Calls]:
    """Blocks of calls, the sides and the frame sizes taking turns."""
    workers = [
        subprocess.Popen(
            [side.python, str(SIDE), "serve", side.kind, str(side.file)],
            env=side.env,
            cwd=side.file.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for side in sides
    ]
    found: list[Calls] = [defaultdict(lambda: defaultdict(list)) for _ in sides]
    try:
        for turn in range(-1, rounds):  # the first only warms up
            for side, worker, calls in list(zip(sides, workers, found, strict=True))[
                :: 1 if turn % 2 else -1
            ]:
                for size in (side.size, CAMERA):
                    assert worker.stdin is not None and worker.stdout is not None
                    with suppress(BrokenPipeError):  # it ended: there is no answer either
                        print(size, BLOCK if turn >= 0 else 0, file=worker.stdin, flush=True)
                    said = worker.stdout.readline()
                    if not said:
                        raise Unfit(f"{side.kind} ended while it judged {size} frames")
                    for way, block in json.loads(said).items():
                        calls[size][way] += block
    finally:
        for worker in workers:
            worker.communicate()
    return [
        {size: {way: np.array(ms) for way, ms in ways.items()} for size, ways in calls.items()}
        for calls in found
    ]


def starts(sides: tuple[Side, ...], count: int) -> dict[str, tuple[list[float], list[float]]]:
    """CPU seconds from nothing to the first verdict, and peak MiB; taking turns, with warm file caches."""
    found: dict[str, tuple[list[float], list[float]]] = {side.kind: ([], []) for side in sides}
    for turn in range(-1, count):
        for side in sides:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            peak = side.ask("once", side.size)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if turn >= 0:
                found[side.kind][0].append(
                    after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                )
                found[side.kind][1].append(peak)
    return found


def row(side: Side, size: str, ways: dict[str, Any]) -> str:
    """One line of the table of calls."""
    cpu, wall = ways["predict"].T
    middle, file = float(np.median(cpu)), float(np.median(ways["file"][:, 0]))
    network = file if side.kind == "ultralytics" else None  # whose file holds nothing else
    if "network" in ways:
        network = float(np.median(ways["network"][:, 0]))
    bare, above = ("", "") if network is None else (f"{network:.2f}", f"{middle - network:.2f}")
    return (
        f"| {size.replace('x', ' x ')} | {side.kind} | {bare} | {file:.2f} | {middle:.2f} | {np.percentile(cpu, 99):.2f} | "
        f"{middle - file:.2f} | {above} | {np.median(wall):.2f} |"
    )


def notes(peer: Side, calls: Calls) -> list[str]:
    """What a reader should know of this peer's figures."""
    if peer.kind == "ultralytics":
        return [
            "Ultralytics' file holds the network alone: it resizes and normalises in Python, above the file; visiontune's file "
            "does that and decides. So only what stands above the network has the same work in it.",
            "",
        ]
    native, camera = (np.median(calls[size]["file in onnxruntime"][:, 0]) for size in (peer.size, CAMERA))
    seed = peer.env["PYTHONHASHSEED"]
    return [
        f"anomalib has no predict path on onnxruntime: this is its `OpenVINOInferencer` on its ONNX file, with OpenVINO's own "
        f"precision (bfloat16 where the processor has it); the same file takes {native:.2f} and {camera:.2f} ms in onnxruntime, "
        "float32. Its file resizes and normalises too, and draws a map. Whether its inferencer works hangs on the order of a "
        f"set: PYTHONHASHSEED={seed} was the first that did. It starts with its cache of the compiled file full.",
        "",
    ]


def megabytes(file: Path) -> str:
    """Of the file and what lies beside it under its name."""
    return (
        f"{sum(part.stat().st_size for part in (file, Path(f'{file}.data')) if part.exists()) / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())

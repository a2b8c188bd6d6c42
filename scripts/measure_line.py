"""Measures what the line costs: calls against bare onnxruntime, imports, cold start, memory, idle burn, several cameras.

Usage: .venv/bin/python scripts/measure_line.py [MODEL] [--size HxW] [--frames N] [--write]

Calls are interleaved one by one on the same frames and the same session, imports in fresh processes, so that a busy neighbour
troubles both sides alike. Without MODEL one is made first: mobilenetv2_035 at 224 px from random weights (needs the lab).
`--write` puts the result into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter, perf_counter_ns, process_time
from typing import Any, NamedTuple

import benchmarks
import numpy as np
import onnxruntime
import PIL

from visiontune import Inspector, Stream, VisiontuneError, __version__
from visiontune.runtime.golden import golden_frames
from visiontune.runtime.model import check_words

OVERHEAD = 0.10  # of a model that takes about 2 ms
IMPORT_S = 0.2  # on top of numpy and onnxruntime
ROUNDS = 9
COLD_S = 0.6  # of CPU, from nothing to the first verdict
PEAK_MIB = {(224, 224): 100, (2048, 2448): 130}  # of a MobileNet-class model
IDLE_MS = 5  # of CPU a frame at TRIGGER_HZ
TRIGGER_HZ, TRIGGERED = 20, 100
FREE_CORES = 1.8  # that two threads must get before their gain says anything
GAIN = 1.5  # of throughput, by a second camera's thread on two cores
CAMERAS, CAMERA_S, REPEATS = (1, 2, 4), 0.4, 25

FIRST = """
import sys
import numpy as np
from visiontune import Inspector
model, height, width = sys.argv[1], *map(int, sys.argv[2:4])
frame = np.empty((height, width, 3), np.uint8)
frame[:] = np.arange(width * 3).astype(np.uint8).reshape(width, 3)
inspector = Inspector(model)
"""
JUDGE = "inspector(frame)"
PEAK = f"""{FIRST}
for _ in range(20):
    inspector(frame)
with open("/proc/self/status") as status:
    print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024)
"""
IDLE = f"""{FIRST}
from time import process_time, sleep
inspector(frame)
begin = process_time()
for _ in range({TRIGGERED}):
    inspector(frame)
    sleep(1 / {TRIGGER_HZ})
print(1000 * (process_time() - begin) / {TRIGGERED})
"""
WARM = f"""{FIRST}
from time import process_time
times = [process_time()]
for _ in range(8):
    inspector(frame)
    times.append(process_time())
print(*(1000 * (after - before) for before, after in zip(times, times[1:])))
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a model that visiontune exported")
    parser.add_argument(
        "--size", type=size, default="224x224", metavar="HxW", help="of the frames (default: %(default)s)"
    )
    parser.add_argument("--frames", type=int, default=1000, help="calls on each side (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"put the result into {benchmarks.PAGE.name}")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = Path(given.model) if given.model else made(Path(folder))
        try:
            inspector = Inspector(model)
        except VisiontuneError as error:
            print(f"measure_line: {error}", file=sys.stderr)
            return 2
        lines = [*calls(inspector, given.size, given.frames), "", *imports(), "", *starts(model, given.size)]
        lines += ["", *cameras(inspector, given.size)]
    page = "\n".join(["## The line", "", *machine(), "", *lines])
    print(page)
    if given.write:
        benchmarks.put(__file__, page)
    return 0


def made(
    folder: Path, backbone: str = "mobilenetv2_035", size: tuple[int, int] = (224, 224), *, core: bool = False
) -> Path:
    """A model from random weights, exported as any other: it costs what a good one costs. `core` adds the bare network."""
    from rich.console import Console

    from visiontune.data.painter import paint_folder
    from visiontune.tune import Recipe, finetune, policies, read

    parts = paint_folder(folder / "parts", parts=40, exposures=1, size=(64, 64), seed=3)
    recipe = Recipe(
        backbone=backbone,
        pretrained=False,
        policy=policies.flat_sheet(),
        size=size,
        epochs=1,
        batch=16,
    )
    run = finetune(recipe, read(parts), out=folder / "run", console=Console(stderr=True, quiet=True))
    run.calibrate(escapes=0.5, overkill=0.5, confidence=0.5)
    return run.export(folder / f"{backbone}.onnx", core=core)


def size(text: str) -> tuple[int, int]:
    height, width = map(int, text.lower().split("x"))
    return height, width


def calls(inspector: Inspector, size: tuple[int, int], count: int) -> list[str]:
    """The table of calls: bare session.run, and the Inspector around it."""
    session = inspector._session  # the very same one, so that neither side has the caches to itself
    names = list(check_words(session, inspector.card))
    frames = golden_frames(1, 8, size)
    bare, whole = timed(
        lambda frame: session.run(names, {"frames": frame[np.newaxis]}), inspector, list(frames), count
    )
    ratio = np.median(whole) / np.median(bare)
    extra = np.median(whole) - np.median(bare)
    return [
        f"Judging one {size[0]} x {size[1]} frame with `{inspector.card.name}`, {count} calls each, interleaved:",
        "",
        "| | median ms | p99 ms |",
        "|---|---|---|",
        f"| bare `session.run` | {np.median(bare):.3f} | {np.percentile(bare, 99):.3f} |",
        f"| `Inspector` | {np.median(whole):.3f} | {np.percentile(whole, 99):.3f} |",
        "",
        f"The Inspector costs {1000 * extra:.0f} µs a frame, {100 * (ratio - 1):.1f} % "
        f"(budget {100 * OVERHEAD:.0f} % of a model of 2 ms: {kept(extra <= OVERHEAD * 2)}).",
    ]


def timed(
    first: Callable[[np.ndarray], object],
    second: Callable[[np.ndarray], object],
    frames: list[np.ndarray],
    count: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Milliseconds of `count` calls of each, taking turns; who begins changes each time."""
    sides = (first, second)
    ms: tuple[list[float], list[float]] = ([], [])
    for turn in range(-20, count):  # the first ones warm up
        frame = frames[turn % len(frames)]
        for side in (0, 1) if turn % 2 else (1, 0):
            begin = perf_counter_ns()
            sides[side](frame)
            if turn >= 0:
                ms[side].append((perf_counter_ns() - begin) / 1e6)
    return np.array(ms[0]), np.array(ms[1])


def imports() -> list[str]:
    """Seconds of CPU to import visiontune, against numpy and onnxruntime alone."""
    codes = ("import numpy, onnxruntime", "import visiontune")
    seconds: tuple[list[float], list[float]] = ([], [])
    for code in codes:
        cpu_seconds(code)  # fills the file cache
    for _ in range(ROUNDS):
        for taken, code in zip(seconds, codes, strict=True):
            taken.append(cpu_seconds(code))
    base, ours = (float(np.median(taken)) for taken in seconds)
    return [
        f"`{codes[1]}` takes {ours:.2f} s of CPU, `{codes[0]}` {base:.2f} s: {ours - base:+.2f} s "
        f"(budget {IMPORT_S} s: {kept(ours - base <= IMPORT_S)}; median of {ROUNDS} fresh processes each)."
    ]


def starts(model: Path, size: tuple[int, int]) -> list[str]:
    """What fresh processes take: to the first verdict, at their peak, and while they wait for the next frame."""
    first = f"{FIRST}{JUDGE}\n"
    cold = [cpu_seconds(first, model, *size) for _ in range(ROUNDS)]
    warm = np.median([said(WARM, model, *size) for _ in range(5)], axis=0)
    idle = min(said(IDLE, model, *size)[0] for _ in range(3))
    held = float(np.median(cold)) <= COLD_S
    lines = [
        f"From nothing to the first verdict, with seal and self-test: {np.median(cold):.2f} s of CPU (budget {COLD_S} s: "
        f"{kept(held)}; median of {ROUNDS} fresh processes, best {min(cold):.2f}). The first frame takes {warm[0]:.1f} ms of "
        f"CPU, the second {warm[1]:.1f}, later ones {np.median(warm[2:]):.1f}.",
        "",
        f"At {TRIGGER_HZ} frames a second a process burns {idle:.1f} ms of CPU a frame, waiting included (budget {IDLE_MS} ms: "
        f"{kept(idle <= IDLE_MS)}; best of 3).",
        "",
    ]
    if not Path("/proc/self/status").exists():
        return [*lines, "Peak memory is measured on Linux only."]
    for (height, width), most in PEAK_MIB.items():
        peak = said(PEAK, model, height, width)[0]
        lines.append(
            f"A process that judges {height} x {width} frames holds {peak:.0f} MiB at its peak "
            f"(budget {most} MiB: {kept(peak <= most)})."
        )
    return lines


def said(code: str, *arguments: object) -> list[float]:
    """The numbers that a fresh interpreter prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


class Rate(NamedTuple):
    """What one round gave: verdicts a second, CPU ms a verdict, and how many cores the system let it have."""

    frames_s: float
    cpu_ms: float
    cores: float


def cameras(inspector: Inspector, size: tuple[int, int]) -> list[str]:
    """The table of threads that share one Inspector, and of a Stream; rounds interleaved, the best of each."""
    frames = list(golden_frames(1, 8, size))
    ways = {f"{count} thread{'s' * (count > 1)}": partial(by_threads, count) for count in CAMERAS}
    ways.update({f"`Stream(workers={count})`": partial(by_stream, count) for count in CAMERAS[:2]})
    best = dict.fromkeys(ways, Rate(0, 0, 0))
    for _ in range(REPEATS):
        for name, way in ways.items():
            best[name] = max(best[name], rate(way, inspector, frames))
    one, two = (best[name] for name in list(ways)[:2])
    gain = two.frames_s / one.frames_s
    free = gain >= GAIN or two.cores >= FREE_CORES
    judged = kept(gain >= GAIN) if free else f"cannot be told here, two threads never had {FREE_CORES} cores"
    return [
        f"Cameras that share one Inspector, each in its thread ({size[0]} x {size[1]}, best of {REPEATS} rounds of "
        f"{CAMERA_S:g} s on a machine that does other things too):",
        "",
        "| | frames a second | CPU ms a frame | cores it got |",
        "|---|---|---|---|",
        *(f"| {name} | {r.frames_s:.0f} | {r.cpu_ms:.2f} | {r.cores:.2f} |" for name, r in best.items()),
        "",
        f"The second thread gives {gain:.2f} times the throughput (budget {GAIN} on two free cores: {judged}).",
    ]


def rate(way: Callable[[Inspector, list[np.ndarray]], int], *given: Any) -> Rate:
    """One round."""
    begin, cpu = perf_counter(), process_time()
    judged = way(*given)
    wall, cpu = perf_counter() - begin, process_time() - cpu
    return Rate(judged / wall, 1000 * cpu / judged, cpu / wall)


def by_threads(count: int, inspector: Inspector, frames: list[np.ndarray]) -> int:
    """Verdicts of `count` threads that judge as fast as they can."""
    end = perf_counter() + CAMERA_S

    def camera(_: int) -> int:
        judged = 0
        while perf_counter() < end:
            inspector(frames[judged % len(frames)])
            judged += 1
        return judged

    with ThreadPoolExecutor(count) as threads:
        return sum(threads.map(camera, range(count)))


def by_stream(workers: int, inspector: Inspector, frames: list[np.ndarray]) -> int:
    """Verdicts through a stream that is kept full."""
    end = perf_counter() + CAMERA_S
    judged = 0
    with Stream(inspector, workers=workers, maxsize=4) as stream:
        while perf_counter() < end:
            stream.submit(frames[judged % len(frames)])
            judged += 1
    return judged


def cpu_seconds(code: str, *arguments: object) -> float:
    """User and system time of a fresh interpreter that runs `code`."""
    before = os.times()
    subprocess.run([sys.executable, "-c", code, *map(str, arguments)], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def machine() -> list[str]:
    """Where this was measured, with what."""
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in info.read_text().splitlines()
        if line.startswith("model name")
    ]
    processor = names[0] if info.exists() and names else platform.processor() or platform.machine()
    versions = f"onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, Pillow {PIL.__version__}"
    return [
        f"{processor}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, {versions}, "
        f"visiontune {__version__}; one thread."
    ]


def kept(held: bool) -> str:
    return "kept" if held else "MISSED"


if __name__ == "__main__":
    sys.exit(main())

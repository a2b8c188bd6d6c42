"""Measures what the line costs: the Inspector against bare onnxruntime, and `import visiontune` against what it stands on.

Usage: .venv/bin/python scripts/measure_line.py MODEL [--size HxW] [--frames N] [--write]

Calls are interleaved one by one on the same frames and the same session, imports in fresh processes, so that a busy neighbour
troubles both sides alike. `--write` puts the result into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import numpy as np
import onnxruntime
import PIL

from visiontune import Inspector, VisiontuneError, __version__
from visiontune.runtime.golden import golden_frames
from visiontune.runtime.model import check_words

PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- measure_line: begin -->", "<!-- measure_line: end -->"
OVERHEAD = 0.10  # of a model that takes about 2 ms
IMPORT_S = 0.2  # on top of numpy and onnxruntime
ROUNDS = 9


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="a model that visiontune exported")
    parser.add_argument(
        "--size", type=size, default="224x224", metavar="HxW", help="of the frames (default: %(default)s)"
    )
    parser.add_argument("--frames", type=int, default=1000, help="calls on each side (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"put the result into {PAGE.name}")
    given = parser.parse_args()
    if given.model is None:
        print(
            "measure_line: expected a MODEL, found none; make one with `visiontune demo --out DIR`",
            file=sys.stderr,
        )
        return 2
    try:
        inspector = Inspector(given.model)
    except VisiontuneError as error:
        print(f"measure_line: {error}", file=sys.stderr)
        return 2
    lines = [*calls(inspector, given.size, given.frames), "", *imports()]
    page = "\n".join(["## The line", "", *machine(), "", *lines])
    print(page)
    if given.write:
        write(page)
    return 0


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


def cpu_seconds(code: str) -> float:
    """User and system time of a fresh interpreter that runs `code`."""
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True)
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


def write(section: str) -> None:
    """Puts the section between its markers in the page, which it makes if there is none."""
    text = PAGE.read_text("utf-8") if PAGE.exists() else "# Benchmarks\n"
    marked = f"{BEGIN}\n{section}\n{END}"
    if BEGIN in text and END in text:
        before, _, rest = text.partition(BEGIN)
        text = before + marked + rest.partition(END)[2]
    else:
        text = f"{text.rstrip()}\n\n{marked}\n"
    PAGE.parent.mkdir(exist_ok=True)
    draft = PAGE.with_name(f".{PAGE.name}.{os.getpid()}.tmp")
    draft.write_text(text, "utf-8")
    draft.replace(PAGE)


def kept(held: bool) -> str:
    return "kept" if held else "MISSED"


if __name__ == "__main__":
    sys.exit(main())

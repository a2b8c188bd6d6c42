"""What the same network costs and gives in float32, fp16 and int8 on this PC, and whether a narrower file is worth it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from rich.table import Table

from visiontune.runtime.answers import INPUT
from visiontune.runtime.model import open_session

LEAST_SPEEDUP = 1.3  # int8 that gains less is not worth other numbers
SLOWEST = 0.9  # fp16 may not cost time: this is the noise of a PC that does other things too
MOST_SIZE = 0.6  # of the float32 file that an fp16 file may have
MOST_REVIEWED = 0.01  # of the pictures, though always one, may go to review beyond those of float32
MOST_STRAYED = 0.05  # of the pictures, though always one, on which a region may appear or vanish
ROUNDS, WARM, FEWEST = 200, 5, 20
SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Precision:
    """One precision of a network, measured.

    size               of the file in bytes
    p50_ms, p99_ms     of one frame of the model's own size, wall clock, one thread, the whole graph
    difference         largest difference of severity to float32 on val, 0..1
    flips              val pictures that get another verdict than from the float32 file
    flips_old_bands    the same if the file kept the bands of float32
    outside_review     of the flips: passed or rejected, and not so by float32
    reviewed           of the flips: reviewed, and passed or rejected by float32
    strayed            val pictures on which a region of the heatmap appears, vanishes or lies elsewhere than in float32
    pictures           of val
    worse              a promise that the float32 file makes and this one does not, in words; None if it makes all
    """

    precision: str
    size: int
    p50_ms: float
    p99_ms: float
    difference: float = 0.0
    flips: int = 0
    flips_old_bands: int = 0
    outside_review: int = 0
    reviewed: int = 0
    strayed: int = 0
    pictures: int = 0
    worse: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def refusal(found: Precision, float32: Precision) -> str | None:
    """Why this precision should not be shipped, in words; None if it should.

    Its verdicts come first: none may pass or reject what float32 did not, at most 1 % of the pictures (or one) may go to
    review instead, and every promise must hold. Then its heatmap, where it has one: on at most 5 % of the pictures (or one) it
    may show other places. Then what it is for: int8 must be at least 1.3 times as fast, fp16 at most 0.6 of the size and not
    slower.
    """
    speedup = float32.p50_ms / found.p50_ms
    if found.outside_review:
        return f"{found.outside_review} of {found.pictures} verdicts flip outside review, expected none"
    if found.worse:
        return f"a promise of the bands no longer holds ({found.worse})"
    if found.reviewed > max(1, MOST_REVIEWED * found.pictures):
        return (
            f"{found.reviewed} of {found.pictures} pictures go to review that float32 decides, expected at most "
            f"{100 * MOST_REVIEWED:.0f} %"
        )
    if found.strayed > max(1, MOST_STRAYED * found.pictures):
        return (
            f"the heatmap shows other places than that of float32 on {found.strayed} of {found.pictures} pictures, expected at "
            f"most {100 * MOST_STRAYED:.0f} %"
        )
    if found.precision == "int8" and speedup < LEAST_SPEEDUP:
        return f"{speedup:.2f} times as fast as float32 on this PC, expected at least {LEAST_SPEEDUP}"
    if found.precision == "fp16" and found.size > MOST_SIZE * float32.size:
        return f"{found.size / float32.size:.2f} times the size of float32, expected at most {MOST_SIZE}"
    if found.precision == "fp16" and speedup < SLOWEST:
        return f"{speedup:.2f} times as fast as float32 on this PC, expected at least {SLOWEST}"
    return None


def timings(
    graphs: Mapping[str, bytes],
    frame: NDArray[np.uint8],
    *,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
) -> dict[str, tuple[float, float]]:
    """Median and 99th percentile, in ms of wall clock, of one frame uint8 (H, W, 3) in each graph, on one thread.

    The graphs take turns, so that a busy PC slows all of them alike. `rounds` each; fewer, but 20 at least, after `seconds`.
    """
    sessions = {name: open_session(graph) for name, graph in graphs.items()}
    spent: dict[str, list[float]] = {name: [] for name in sessions}
    feed = {INPUT: frame[np.newaxis]}
    for session in sessions.values():
        for _ in range(WARM):
            session.run(None, feed)
    end = time.monotonic() + seconds
    for done in range(rounds):
        if done >= FEWEST and time.monotonic() > end:
            break
        for name, session in sessions.items():
            spent[name].append(once(session, feed))
    return {name: (float(np.median(ms)), float(np.percentile(ms, 99))) for name, ms in spent.items()}


def once(session: onnxruntime.InferenceSession, feed: Mapping[str, NDArray[np.uint8]]) -> float:
    """How many ms one call takes."""
    start = time.perf_counter()
    session.run(None, feed)
    return 1000 * (time.perf_counter() - start)


def table(found: Sequence[Precision]) -> Table:
    """A row a precision, float32 first."""
    shown = Table(title=f"Precisions on this PC, {found[0].pictures} val pictures")
    headings = (
        "size MB",
        "p50 ms",
        "p99 ms",
        "speed-up",
        "severity within",
        "flips",
        "outside review",
        "more in review",
        "other places",
    )
    shown.add_column("precision")
    for heading in headings:
        shown.add_column(heading, justify="right")
    shown.add_column("worth it")
    for one in found:
        why = refusal(one, found[0]) if one.precision != found[0].precision else None
        shown.add_row(
            one.precision,
            f"{one.size / 1e6:.2f}",
            f"{one.p50_ms:.2f}",
            f"{one.p99_ms:.2f}",
            f"{found[0].p50_ms / one.p50_ms:.2f}",
            f"{one.difference:.1e}",
            str(one.flips),
            str(one.outside_review),
            str(one.reviewed),
            str(one.strayed),
            "" if one is found[0] else f"no: {why}" if why else "yes",
        )
    return shown

"""Measures the Monitor: false alarms, frames until an alarm, what the gate holds, microseconds a frame.

Usage: .venv/bin/python scripts/measure_drift.py [--lives N] [--write]

Scores are drawn as log-odds from a normal distribution; the painter gives the pictures of the gate. Needs the lab, for the
painter. `--write` puts the result into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterator
from time import perf_counter_ns

import benchmarks
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from visiontune import Verdict, __version__
from visiontune.data.painter import paint_part
from visiontune.runtime.bands import Bands
from visiontune.runtime.drift import SPANS, Drift
from visiontune.runtime.gate import Gate
from visiontune.runtime.look import FEATURES, Look, look
from visiontune.runtime.martingale import Martingale
from visiontune.runtime.p_chart import Rate
from visiontune.runtime.rates import Rates
from visiontune.runtime.reference import Reference

ALPHA = 0.05
MEAN, SIGMA = -5.0, 2.0  # of the log-odds of a good part
LONG = 5000
LOT, LOT_SIGMA = 500, 0.5  # frames to a lot; deviation of the lots' means in units of SIGMA
SIZE = (192, 192)
FRAMES = ((224, 224), (480, 640), (2048, 2448))
Array = NDArray[np.float64]


class Fixed(Martingale):
    """For contrast: the ranks among a reference that stays as it was."""

    def observe(self, value: float) -> bool:
        """As a Martingale, and forgets the value again."""
        raised = super().observe(value)
        self._counts[self._cell(value)] -= 1
        self._total -= 1
        return raised


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lives", type=int, default=400, help="simulated lives (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"put the result into {benchmarks.PAGE.name}")
    given = parser.parse_args()
    parts = (machine(), alarms(given.lives), delays(given.lives), charts(), gate(), costs())
    page = "\n\n".join(["## The monitor", *("\n".join(part) for part in parts)])
    print(page)
    if given.write:
        benchmarks.put(__file__, page)
    return 0


def alarms(lives: int) -> list[str]:
    """False alarms, and what one gets where the assumptions do not hold."""

    def plain(rng: np.random.Generator, count: int) -> Array:
        return rng.normal(MEAN, SIGMA, count)

    def tied(rng: np.random.Generator, count: int) -> Array:
        return np.round(plain(rng, count))

    def bad_lot(rng: np.random.Generator, count: int) -> Array:
        scores = plain(rng, count)
        half = np.arange(count) >= count // 2
        scores[
            (rng.random(count) < 0.1 * 0.01) & half
        ] = -3  # a tenth is defective, of which a hundredth passes
        return scores

    def lots(rng: np.random.Generator, count: int) -> Array:
        shifts = rng.normal(0, LOT_SIGMA * SIGMA, -(-count // LOT))
        return plain(rng, count) + np.repeat(shifts, LOT)[:count]

    rows = [
        ("nothing changes", Martingale, plain),
        ("nothing changes, scores in ties", Martingale, tied),
        ("a bad lot: from half of the life on 10 % defective, 1 % of which pass", Martingale, bad_lot),
        (f"lots of {LOT} whose means differ by {LOT_SIGMA:g} sigma: not exchangeable", Martingale, lots),
        ("nothing changes, but the reference does not grow (not what we do)", Fixed, plain),
    ]
    lines = [
        f"False alarms of one martingale at alpha {ALPHA:g}, in {lives} lives of {LONG:,} frames each, looked at after every "
        "frame; reference of 200 parts:",
        "",
        "| | lives with an alarm |",
        "|---|---|",
    ]
    for words, kind, draw in rows:
        count = 0
        for seed in range(lives):
            rng = np.random.default_rng(seed)
            watched = a_martingale(plain(rng, 200) if draw is not tied else tied(rng, 200), ALPHA, seed, kind)
            count += any(watched.observe(value) for value in draw(rng, LONG).tolist())
        lines.append(f"| {words} | {100 * count / lives:.1f} % |")
    return lines


def delays(lives: int) -> list[str]:
    """Frames from a change to its alarm, at the Monitor's own alpha."""
    lives = max(20, lives // 8)
    lines = [
        f"Frames that pass from a change of the scores of all good parts to the alarm, median (and 90th percentile) of {lives} "
        "lives, at alpha 0.005, which is half of the Monitor's 0.01:",
        "",
        "| shift | from the first frame, 30 parts | from the first frame, 300 parts | after 2,000 frames | after 50,000 frames |",
        "|---|---|---|---|---|",
    ]
    for shift in (0.5, 1.0, 2.0, -1.0):
        cells = [
            delay(shift, parts, before, lives if before < 10_000 else max(8, lives // 5))
            for parts, before in ((30, 0), (300, 0), (300, 2000), (300, 50_000))
        ]
        lines.append(f"| {shift:+g} sigma | " + " | ".join(cells) + " |")
    return lines


def delay(shift: float, parts: int, before: int, lives: int, most: int = 3000) -> str:
    """The cell of the table: "never" counts as `most`."""
    found = []
    for seed in range(lives):
        rng = np.random.default_rng([seed, before])
        watched = a_martingale(rng.normal(MEAN, SIGMA, parts), 0.005, seed)
        for value in rng.normal(MEAN, SIGMA, before).tolist():
            watched.observe(value)
        after = rng.normal(MEAN + shift * SIGMA, SIGMA, most).tolist()
        found.append(next((n for n, value in enumerate(after, 1) if watched.observe(value)), most))
    middle, late = np.percentile(found, (50, 90))
    told = [f"> {most:,}" if value >= most else f"{value:.0f}" for value in (middle, late)]
    return f"{told[0]} ({told[1]})"


def charts() -> list[str]:
    """Points outside the limits while the rate stays, and frames until a doubled rate is outside."""
    rng = np.random.default_rng(0)
    lines = [
        "P-chart, subgroups of 200 frames, rate learnt from the line's first 25; 20,000 subgroups each:",
        "",
        "| rate | outside though nothing changed (promised: 0.27 % on average over rates) | outside at twice the rate |",
        "|---|---|---|",
    ]
    for rate in (0.002, 0.01, 0.05, 0.2):
        limits = {k: Rate.seen(k, 5000).limits(200) for k in set(rng.binomial(5000, rate, 2000).tolist())}
        learnt = rng.choice(list(limits), 20_000)
        low, high = np.array([limits[k] for k in learnt.tolist()]).T
        cells = []
        for truth in (rate, 2 * rate):
            hits = rng.binomial(200, truth, 20_000)
            cells.append(f"{100 * ((hits < low) | (hits > high)).mean():.2f} %")
        lines.append(f"| {100 * rate:g} % | " + " | ".join(cells) + " |")
    return lines


def gate() -> list[str]:
    """What the gate holds of painted frames: limits from 100 frames of the first 50 parts, tried on 300 of others."""
    lines = [
        "Painted frames that the gate holds; its limits come from 100 frames of 50 parts, and 300 frames of 150 other parts are "
        "tried, spoilt in some way (a sensor's noise of one grey level comes last):",
        "",
        "| | one product, one style | any product, any style |",
        "|---|---|---|",
    ]
    stations = [shots(style="turned", product=5), shots(style=None, product=None)]
    gates = [gate_of(frames[:100]) for frames in stations]
    for words, spoil in spoils():
        shares = [
            np.mean([bool(one.reason(seen(spoil(frame)))) for frame in frames[100:]])
            for one, frames in zip(gates, stations, strict=True)
        ]
        lines.append(f"| {words} | " + " | ".join(f"{100 * share:.1f} %" for share in shares) + " |")
    return lines


def spoils() -> Iterator[tuple[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]]]:
    yield "as they are", lambda frame: frame
    for factor in (0.7, 0.3, 0.1):
        yield f"light x {factor:g}", lambda frame, factor=factor: noisy(frame * factor)
    for factor in (2, 4):
        yield f"light x {factor:g}", lambda frame, factor=factor: noisy(frame * float(factor))
    for sigma in (1, 1.5, 2, 3):
        yield (
            f"blur, sigma {sigma:g} px of {SIZE[0]}",
            lambda frame, sigma=sigma: noisy(ndimage.gaussian_filter(frame.astype(float), (sigma, sigma, 0))),
        )
    yield "motion of 7 px", lambda frame: noisy(ndimage.uniform_filter1d(frame.astype(float), 7, axis=1))
    yield "lens covered", lambda frame: noisy(0 * frame + 3.0)


def noisy(frame: Array) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).normal(0, 1, frame.shape[:2])[..., None]
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


def shots(*, style: str | None, product: int | None) -> list[NDArray[np.uint8]]:
    return [
        shot.image
        for part in range(200)
        for shot in paint_part(part, "good", exposures=2, size=SIZE, style=style, product=product)
    ]


def seen(frame: NDArray[np.uint8]) -> Look:
    return look(frame, size=SIZE, roi=None)


def gate_of(frames: list[NDArray[np.uint8]]) -> Gate:
    columns = np.array([seen(frame) for frame in frames])
    return Gate(
        a_reference(dict(zip(Look._fields, np.quantile(columns, (0.01, 0.99), axis=0).T, strict=True)))
    )


def a_reference(ranges: dict[str, Array] | None = None) -> Reference:
    found = ranges or dict.fromkeys(Look._fields, np.array([-1e3, 1e3]))
    return Reference(
        parts=300,
        frames=300,
        good=tuple(np.linspace(0.001, 0.1, 300).tolist()),
        defective=(0.9,),
        ranges={name: (float(pair[0]), float(pair[1])) for name, pair in found.items()},
        centre=(0.0,) * len(FEATURES),
        covariance=tuple(map(tuple, (1e4 * np.eye(len(FEATURES))).tolist())),
        looks=tuple((0.01, distance) for distance in np.linspace(0.5, 4, 150).tolist()),
    )


def costs() -> list[str]:
    """Microseconds that the watching adds to a frame that passes, over the Inspector's own time."""
    reference, bands = a_reference(), Bands(0.3, 0.7)
    watch = Gate(reference), Drift(reference, bands, alpha=0.01, seed=0), Rates(
        reference, bands, subgroup=200, defects=None
    )  # fmt: skip
    verdict = Verdict("pass", 0.01, "good", {"good": 0.99, "bad": 0.01})
    rng = np.random.default_rng(0)
    lines = [
        "Microseconds a frame that passes (median of 1000), on top of the Inspector; without a monitor nothing is added:",
        "",
        "| frame | its look | gate, martingales and charts |",
        "|---|---|---|",
    ]
    for height, width in FRAMES:
        frames = rng.integers(0, 256, (8, height, width, 3), dtype=np.uint8)
        looking, watching = [], []
        for turn in range(1000):
            begin = perf_counter_ns()
            found = look(frames[turn % 8], size=(224, 224), roi=None)
            middle = perf_counter_ns()
            held = bool(watch[0].reason(found))
            _ = [*watch[2].observe(verdict.decision, held=held), *watch[1].observe(verdict.severity, found)]
            looking.append(middle - begin)
            watching.append(perf_counter_ns() - middle)
        lines.append(
            f"| {height} x {width} | {np.median(looking) / 1000:.0f} | {np.median(watching) / 1000:.0f} |"
        )
    return lines


def a_martingale(
    reference: Array, alpha: float, seed: int, kind: type[Martingale] = Martingale
) -> Martingale:
    low, high = SPANS["scores"]
    return kind(reference.tolist(), low=low, high=high, alpha=alpha, seed=seed)


def machine() -> list[str]:
    return [
        f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}, "
        f"numpy {np.__version__}, visiontune {__version__}; one thread."
    ]


if __name__ == "__main__":
    sys.exit(main())

"""Finds the layers that must stay in float: where rounding to 8 bits moves the logits most, within a limit of time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from visiontune.runtime.model import open_session
from visiontune.tune.layers import Layer, layers
from visiontune.tune.quantize import Statistics, quantised

GOAL = 0.1  # rms error of the logits at which the search is content: it moves a severity by 0.025 at most
MOST_FLOAT = 0.25  # share of the multiplications that may stay in float: with more, int8 cannot pay
SECONDS = 60.0
LEAST = 1e-30  # a probability of 0 has no logarithm
Logits = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Quantisation:
    """A core in integers, the layers that stayed in float, and the rms error of its logits before and after the search."""

    core: onnx.ModelProto
    layers: tuple[Layer, ...]
    kept: tuple[Layer, ...]
    before: float
    after: float

    def __str__(self) -> str:
        kept = f"{len(self.kept)} of them kept in float" if self.kept else "all in integers"
        error = f"{self.before:.2g}" + (f", then {self.after:.2g}" if self.kept else "")
        return f"{len(self.layers)} layers, {kept}; error of the logits {error} (rms)"


def search(
    core: onnx.ModelProto,
    found: Statistics,
    pictures: NDArray[np.float32],
    *,
    goal: float = GOAL,
    most_float: float = MOST_FLOAT,
    seconds: float = SECONDS,
) -> Quantisation:
    """Quantises every layer of the core, then gives back those to float whose rounding hurts most, until the goal is met.

    found       what the layers read and write, as `quantize.statistics` gives it
    pictures    normalised, float32 (n, 3, h, w): on these the logits are compared with those of the core
    goal        rms error of the logits, in nats, that is good enough
    most_float  share 0..1 of the multiplications that may stay in float
    seconds     after which no further layer is tried

    Greedy: each layer alone is given back and the error measured; then the layers are given back for good, the most
    harmful first, as long as that lowers the error. Where nothing can be quantised the core comes back as it is.
    """
    end = time.monotonic() + seconds
    every = tuple(layers(core))
    truth = logits(core, pictures)

    def error(kept: Iterable[Layer]) -> float:
        names = {layer.name for layer in every} - {layer.name for layer in kept}
        return rms(logits(quantised(core, found, names), pictures) - truth)

    before = after = error(())
    kept: tuple[Layer, ...] = ()
    if before > goal:
        alone = {}
        for layer in from_both_ends(every):
            if layer.share <= most_float and time.monotonic() < end:
                alone[layer] = error((layer,))
        for layer in sorted(alone, key=alone.__getitem__):
            more = (*kept, layer)
            if after <= goal or time.monotonic() >= end:
                break
            if sum(one.share for one in more) <= most_float and (now := error(more)) < after:
                kept, after = more, now
    names = {layer.name for layer in every} - {layer.name for layer in kept}
    return Quantisation(
        core=quantised(core, found, names), layers=every, kept=kept, before=before, after=after
    )


def from_both_ends(every: tuple[Layer, ...]) -> list[Layer]:
    """First, last, second, last but one, ...: the most sensitive are mostly near the ends, and time may be short."""
    half = (len(every) + 1) // 2
    first, last = every[:half], every[half:][::-1]
    return [layer for at in range(half) for layer in (first[at : at + 1] + last[at : at + 1])]


def logits(core: onnx.ModelProto, pictures: NDArray[np.float32]) -> Logits:
    """What the softmax of `kinds` was made of, up to a constant a picture: float64 (n, C), mean 0."""
    session = open_session(core.SerializeToString())
    rows = [session.run(["kinds"], {core.graph.input[0].name: one[np.newaxis]})[0] for one in pictures]
    found = np.log(np.maximum(np.concatenate(rows).astype(np.float64), LEAST))
    centred: Logits = found - found.mean(axis=1, keepdims=True)
    return centred


def rms(difference: Logits) -> float:
    """Root mean square; inf where there is a NaN."""
    value = float(np.sqrt(np.mean(difference**2)))
    return value if np.isfinite(value) else float("inf")

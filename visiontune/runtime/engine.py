"""An engine that runs the graph, the frames to try it with, and how far apart the answers of two engines are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.answers import INPUT
from visiontune.runtime.card import ModelCard
from visiontune.runtime.golden import MOST_PIXELS, frame_sizes, golden_frames
from visiontune.runtime.model import open_session
from visiontune.runtime.regions import roi_pixels

Frames: TypeAlias = NDArray[np.uint8]  # (N, H, W, 3)
Answers: TypeAlias = tuple[
    NDArray[Any], NDArray[Any], NDArray[Any]
]  # severity (N,), kinds (N, C), decision (N,)
Run: TypeAlias = Callable[[Frames], Answers]
WORDS = ("severity", "kinds", "decision")
SEED = 7
LEAST = 1e-30  # a probability of 0 has no logarithm


@dataclass(frozen=True, kw_only=True)
class Engine:
    """Something that runs the graph. `precise` is the same engine told to compute in float32, where it can be told."""

    name: str
    about: str  # version and device
    run: Run
    precise: Run | None = None


def on_cpu(data: bytes) -> Run:
    """onnxruntime on the CPU with the model file `data`: the reference."""
    session = open_session(data)
    return lambda frames: tuple(session.run(WORDS, {INPUT: frames}))


def judged(run: Run, batches: Sequence[Frames], *, turned: bool = False) -> Answers:
    """The answers to all frames, one after the other; `turned` gives the frames as B, G, R."""
    answers = [run(np.ascontiguousarray(frames[..., ::-1]) if turned else frames) for frames in batches]
    severity, kinds, decision = (np.concatenate([one[word] for one in answers]) for word in range(3))
    return severity, kinds, decision


def apart(one: Answers, two: Answers) -> float:
    """The largest difference of severity and kinds; inf for other shapes or NaN."""
    worst = 0.0
    for a, b in zip(one[:2], two[:2], strict=True):
        if a.shape != b.shape or not np.isfinite(a).all():
            return float("inf")
        worst = max(worst, float(np.abs(a.astype(np.float64) - b).max(initial=0)))
    return worst


def logits_apart(one: Answers, two: Answers) -> float:
    """Root mean square difference of the logits, up to a constant a frame: what a softmax makes of kinds, undone.

    It shows what probabilities near 0 and 1 hide.
    """
    first, second = (np.log(np.maximum(answers[1].astype(np.float64), LEAST)) for answers in (one, two))
    difference = first - second
    return float(np.sqrt(np.mean((difference - difference.mean(axis=1, keepdims=True)) ** 2)))


def painted(card: ModelCard, each: int = 4) -> list[Frames]:
    """Painted frames for a model, `each` of every size that tries its resize, a batch a size."""
    return [golden_frames(SEED, each, size) for size in frame_sizes(card.input.size, card.input.roi)]


def unresized(card: ModelCard, each: int = 4) -> list[Frames]:
    """Painted frames whose region of interest has the very size of the model's input; none where no frame gives that."""
    x0, y0, x1, y1 = card.input.roi or (0.0, 0.0, 1.0, 1.0)
    high, wide = card.input.size
    for height, width in product(_near(high / (y1 - y0)), _near(wide / (x1 - x0))):
        left, top, right, bottom = roi_pixels(height, width, card.input.roi)
        if (bottom - top, right - left) == (high, wide) and height * width <= MOST_PIXELS:
            return [golden_frames(SEED, each, (height, width))]
    return []


def _near(side: float) -> range:
    return range(max(1, math.floor(side) - 1), math.ceil(side) + 2)

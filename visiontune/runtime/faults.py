"""Why an engine judges otherwise: what each fault that engines are known for would answer is computed and compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.engine import (
    Answers,
    Engine,
    Frames,
    apart,
    judged,
    logits_apart,
    on_cpu,
    unresized,
)
from visiontune.runtime.golden import TOLERANCE
from visiontune.runtime.model import open_session, read_card
from visiontune.runtime.wire import FLOAT, tensors, with_attribute

HALF = 0.5  # of the difference must be gone before a fault is believed
LOGITS = 0.02  # float32 engines differ by 1e-5, resizes that round otherwise by 1e-2, what changes decisions by 1e-1 and more
SLACK = 4.0  # an engine that rounds every intermediate result strays further than one that rounds the weights alone
Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One fault that explains an engine's answers."""

    name: str  # "antialias", "border", "channels", "resize", "precision", "bf16" or "fp16"
    says: str


ALIASED = Cause(
    name="antialias",
    says="it ignores antialias in Resize: fine texture turns into patterns that are not on the part",
)
BORDER = Cause(name="border", says="it ignores exclude_outside in Resize: pixels along the border are off")
TURNED = Cause(name="channels", says="it takes the channels as B, G, R")
RESIZE = Cause(
    name="resize", says="it agrees where a frame needs no resize: its resize rounds to other grey levels"
)
PRECISION = Cause(
    name="precision",
    says="it computes in less than float32 unless it is told otherwise (OpenVINO: INFERENCE_PRECISION_HINT=f32)",
)


@dataclass(frozen=True, kw_only=True)
class Theory:
    """A supposition: these causes, that is this graph, these channels, and so these answers."""

    causes: tuple[Cause, ...]
    data: bytes
    answers: Answers

    @property
    def turned(self) -> bool:
        """Whether the frames go in as B, G, R."""
        return TURNED in self.causes


def explain(
    data: bytes, engine: Engine, batches: Sequence[Frames], expected: Answers, found: Answers
) -> tuple[tuple[Cause, ...], float]:
    """The faults that explain what the engine found where onnxruntime expected something else, and the difference they leave.

    What is compared are logits. A fault must explain half of what is left, or it is none. An engine that can be told to
    compute precisely is asked to, lest its precision hide its other faults.
    """
    clear = found if engine.precise is None else judged(engine.precise, batches)
    nothing, *faults = theories(data, batches, expected)
    best = min(faults, key=lambda theory: logits_apart(clear, theory.answers))
    if logits_apart(clear, best.answers) > HALF * logits_apart(clear, expected):
        best = nothing
    far, left = logits_apart(found, best.answers), apart(found, best.answers)
    if engine.precise is not None and logits_apart(clear, best.answers) <= HALF * far:
        return (*best.causes, PRECISION), apart(clear, best.answers)
    if left <= TOLERANCE and far <= LOGITS:
        return best.causes, left
    return (*best.causes, *rounding(engine, batches, best, far)), left


def theories(data: bytes, batches: Sequence[Frames], expected: Answers) -> Iterator[Theory]:
    """No fault, then each and two together."""
    border = with_attribute(data, "Resize", "exclude_outside", 0)
    aliased = with_attribute(border, "Resize", "antialias", 0)  # without it the other means nothing
    yield Theory(causes=(), data=data, answers=expected)
    for causes, file in (((), data), ((ALIASED,), aliased), ((BORDER,), border)):
        run = on_cpu(file)
        if causes:
            yield Theory(causes=causes, data=file, answers=judged(run, batches))
        yield Theory(causes=(*causes, TURNED), data=file, answers=judged(run, batches, turned=True))


def rounding(engine: Engine, batches: Sequence[Frames], best: Theory, far: float) -> Iterator[Cause]:
    """What the size of the rest tells: rounding in the resize, or in the arithmetic."""
    still = unresized(read_card(open_session(best.data)))
    if still:
        here, there = judged(engine.run, still), judged(on_cpu(best.data), still, turned=best.turned)
        if logits_apart(here, there) <= far / SLACK:
            yield RESIZE
            return
    for name, to in (("fp16", to_fp16), ("bf16", to_bf16)):
        stray = judged(on_cpu(with_weights(best.data, to)), batches, turned=best.turned)
        if far <= SLACK * logits_apart(stray, best.answers):
            yield Cause(name=name, says=f"what is left is of the size that arithmetic in {name} gives")
            return


def with_weights(data: bytes, to: Callable[[Floats], Floats]) -> bytes:
    """The file with its weights, all float32 initialisers of two or more dimensions, rounded to another precision."""
    changed = bytearray(data)
    for tensor in tensors(data):
        if tensor.dtype == FLOAT and len(tensor.shape) > 1 and tensor.end:
            weights = np.frombuffer(data, "<f4", (tensor.end - tensor.start) // 4, tensor.start)
            changed[tensor.start : tensor.end] = to(weights).astype("<f4").tobytes()
    return bytes(changed)


def to_fp16(values: Floats) -> Floats:
    """Rounded to the nearest half-precision number; what is larger than those becomes the largest."""
    return np.clip(values, -65504, 65504).astype(np.float16).astype(np.float32)


def to_bf16(values: Floats) -> Floats:
    """Rounded to the nearest number with 8 significant bits, ties to even."""
    bits = values.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)

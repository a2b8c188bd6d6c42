"""Judges labelled parts one by one with the very Inspector of the line, and keeps what it said."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.errors import BadData, BadModel
from visiontune.runtime.frame import decode
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.verdict import Verdict


class Part(Protocol):
    """A picture whose label is known; `visiontune.data`'s Sample is one.

    It may also have `attributes`, a mapping of texts such as camera and lot, and `mask`, the path of a picture that is not 0
    where the defect is, or None.
    """

    @property
    def path(self) -> Path:
        """Of the picture."""

    @property
    def label(self) -> str | None:
        """One of the card's classes."""

    @property
    def group(self) -> str:
        """Parts of one group (lot, tile, patient) are not independent."""


@dataclass(frozen=True)
class Judged:
    """What an Inspector said of pictures, a row each. Classes are positions in the list of classes it was asked for.

    truth, named         (n,) the true class, the class that the verdict names
    kinds                (n, C) its probabilities
    severity             (n,) its severity
    decisions            (n,) positions in DECISIONS
    judge_ms, decode_ms  from a decoded frame to the verdict; from the path to the frame
    """

    truth: NDArray[np.int64]
    named: NDArray[np.int64]
    kinds: NDArray[np.float64]
    severity: NDArray[np.float64]
    decisions: NDArray[np.int64]
    judge_ms: list[float]
    decode_ms: list[float]


def judge(
    inspector: Inspector,
    parts: Sequence[Part],
    classes: Sequence[str],
    progress: Callable[[int], None] | None = None,
    seen: Callable[[Part, tuple[int, int], Verdict], None] | None = None,
) -> Judged:
    """The verdicts on `parts`; `classes` are the card's, in any order. `progress` is called with 1 for each part.

    seen  called with each part, its frame's (H, W) and the whole verdict, of which only a row is kept; not in judge_ms

    Raises BadData if there are no parts, or parts without a label or with one the model does not know; BadFrame, with the
    path, if a picture cannot be read; BadModel if the model gives no usable answer.
    """
    _check_labels(parts, classes)
    position = {name: index for index, name in enumerate(classes)}
    named, kinds, severity, decisions, judge_ms, decode_ms = [], [], [], [], [], []
    for part in parts:
        begin = perf_counter()
        frame = decode(part.path, window=inspector.card.input.window)
        decoded = perf_counter()
        verdict = inspector(frame)
        judge_ms.append((perf_counter() - decoded) * 1e3)
        decode_ms.append((decoded - begin) * 1e3)
        named.append(position[_kind(verdict, part)])
        kinds.append([verdict.kinds[name] for name in classes])
        severity.append(verdict.severity)
        decisions.append(DECISIONS.index(verdict.decision))
        if seen is not None:
            seen(part, (frame.shape[0], frame.shape[1]), verdict)
        if progress is not None:
            progress(1)
    truth = [position[part.label or ""] for part in parts]
    return Judged(
        truth=np.array(truth),
        named=np.array(named),
        kinds=np.array(kinds),
        severity=np.array(severity),
        decisions=np.array(decisions),
        judge_ms=judge_ms,
        decode_ms=decode_ms,
    )


def _check_labels(parts: Sequence[Part], classes: Sequence[str]) -> None:
    if not parts:
        raise BadData("expected parts to measure, found none; name a share that holds some")
    for wrong, found in (
        ([part for part in parts if not part.label], "without a label"),
        ([part for part in parts if part.label and part.label not in classes], "with an unknown label"),
    ):
        if wrong:
            some = ", ".join(
                f"{part.path} ({part.label})" if part.label else f"{part.path}" for part in wrong[:5]
            )
            more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
            raise BadData(
                f"expected labels out of {', '.join(classes)}, "
                f"found {len(wrong)} parts {found}: {some}{more}; label them or leave them out"
            )


def _kind(verdict: Verdict, part: Part) -> str:
    if not verdict.kind:
        raise BadModel(f"expected probabilities, found NaN for {part.path}; the model must not be used")
    return verdict.kind

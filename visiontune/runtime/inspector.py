"""The Inspector: opens an exported model once, then judges frame after frame, from any number of threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnxruntime import RunOptions

from visiontune.runtime import seal
from visiontune.runtime.alarm import Alarm
from visiontune.runtime.answers import DECISIONS, INPUT
from visiontune.runtime.budget import run_within
from visiontune.runtime.card import ModelCard
from visiontune.runtime.errors import BadFrame, BadModel, TooSlow, one_line
from visiontune.runtime.frame import MAX_PIXELS, Frame, Source, Window, decode
from visiontune.runtime.model import Model, check_words, named, open_session, read_card, read_model, self_test
from visiontune.runtime.monitor import Monitor
from visiontune.runtime.region_bands import DEFAULT
from visiontune.runtime.regions import boxed, likeliest_defect, regions, roi_pixels
from visiontune.runtime.verdict import Proposals, Region, Verdict

REVIEW = DECISIONS[1]
UINT8 = np.dtype(np.uint8)


class Inspector:
    """Judges frames with one exported model.

        inspector = Inspector("model.onnx")
        verdict = inspector(frame)

    model      path or bytes of a file that visiontune exported
    threads    used inside one call; leave it at 1 and give each camera its own Python thread on one shared
               Inspector
    providers  onnxruntime's execution providers; CPU if None
    budget_ms  milliseconds that the graph may take for one frame, a batch so many times as much; then it is ended and
               the frame raises TooSlow. None is no limit, and costs nothing

    Before the first verdict the file's seal, card and outputs are checked and the model must answer its
    golden frames, within a minute, as it did at export. Raises BadModel, in one line, when any of that fails;
    ValueError for threads < 1 or a budget that is no positive number.
    """

    def __init__(
        self,
        model: Model,
        *,
        threads: int = 1,
        providers: Sequence[str] | None = None,
        budget_ms: float | None = None,
    ) -> None:
        if budget_ms is not None and not 0 < budget_ms < math.inf:
            raise ValueError(f"budget_ms: expected a number > 0, found {budget_ms!r}")
        try:
            data = read_model(model)
            seal.check(data)
            self._session = open_session(data, threads=threads, providers=providers)
            self._card = read_card(self._session)
            self._names = list(check_words(self._session, self._card))
            self_test(self._session, self._card)
        except BadModel as error:
            raise BadModel(f"{named(model)}: {error}") from error
        self._run = self._session.run if budget_ms is None else self._run_within
        self._budget_s = 0.0 if budget_ms is None else budget_ms / 1000
        self._classes = self._card.classes
        self._window = self._card.input.window
        self._regions = self._card.regions or DEFAULT
        self._hot_from = float(np.float32(self._regions.high))  # as a heatmap's float32 compares with it
        # In float32, as the graph compares; kept as floats because those compare faster.
        self._review_from = float(np.float32(self._card.bands.review_from))
        self._reject_from = float(np.float32(self._card.bands.reject_from))
        self._optional = self._names[3:]  # severity, kinds, decision are always there, in this order

    @property
    def card(self) -> ModelCard:
        """The model's papers."""
        return self._card

    def __call__(self, frame: Source) -> Verdict:
        """The verdict on one frame: RGB uint8 (H, W, 3), grey uint8 (H, W), encoded bytes or a path; see `decode`.

        16-bit grey, file or array, is read through the card's window, as it was in training.

        Raises BadFrame when the frame cannot be judged, TooSlow (a BadFrame) when that took longer than the budget.
        Whoever catches it must not let the part pass.
        """
        ready = _ready(frame, self._window)
        answers = self._judge(ready[np.newaxis])
        return self._verdict(answers, 0, ready)

    def many(self, frames: Iterable[Source], *, batch: int = 8) -> list[Verdict]:
        """The verdicts on many frames, in their order; up to `batch` neighbours of one size run together.

        Frames are taken from the iterable `batch` at a time, so it may be longer than the memory. Raises
        BadFrame at the first frame that cannot be judged; ValueError for batch < 1.
        """
        if batch < 1:
            raise ValueError(f"batch: expected a whole number >= 1, found {batch}")
        source = iter(frames)
        verdicts: list[Verdict] = []
        while some := [_ready(frame, self._window) for frame in islice(source, batch)]:
            verdicts += self._judge_some(some)
        return verdicts

    def monitor(
        self,
        *,
        alpha: float = 0.01,
        subgroup: int = 200,
        defects: float | None = None,
        gate: bool = True,
        seed: int = 0,
        state: str | Path | Mapping[str, Any] | None = None,
        on_alarm: Callable[[Alarm], object] | None = None,
    ) -> Monitor:
        """A Monitor: judges as this Inspector does, and watches whether all is still as in validation.

        alpha     0..1: while nothing changes, the chance of a drift alarm, ever, is at most this
        subgroup  frames to a point of the charts of review and reject rates
        defects   0..1: share of the line's parts that are defective, where it is known; None learns the rates from the
                  line's own first 25 subgroups
        gate      whether frames that could not be inspected (too dark, too bright, blurred) are reviewed instead of passed
        seed      of the draws that split ties between scores
        state     what `Monitor.state()` gave, or the file that `Monitor.save` wrote: goes on from there, with the settings
                  of then; those given here are left aside
        on_alarm  called with each Alarm, in the thread of the frame that raised it, before the verdict is given; what it
                  raises goes to whoever asked for that verdict

        Raises BadModel for a file whose card has no reference (exported before there was one); BadData for the state of
        another model or bands, or a damaged one; ValueError for a number out of range.
        """
        if state is not None:
            return Monitor.resumed(self, state, on_alarm)
        return Monitor(
            self, alpha=alpha, subgroup=subgroup, defects=defects, gate=gate, seed=seed, on_alarm=on_alarm
        )

    def _judge_some(self, some: list[Frame]) -> Iterator[Verdict]:
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, frame in enumerate(some):
            groups.setdefault(frame.shape, []).append(index)
        found: dict[int, Verdict] = {}
        for members in groups.values():
            answers = self._judge(np.stack([some[index] for index in members]))
            found.update(
                {index: self._verdict(answers, row, some[index]) for row, index in enumerate(members)}
            )
        return (found[index] for index in range(len(some)))

    def _judge(self, frames: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """The graph's answers for uint8 (N, H, W, 3), in the order of `self._names`."""
        try:
            options = (_frugal(),) if _is_huge(frames) else ()
            answers: list[NDArray[Any]] = self._run(self._names, {INPUT: frames}, *options)
        except TooSlow as error:
            raise TooSlow(f"frame of shape {frames.shape[1:]}: {error}; judge it by hand") from error
        except Exception as error:  # onnxruntime's exceptions have no common root
            raise BadFrame(
                f"frame of shape {frames.shape[1:]}: the model failed on it ({one_line(error)}); judge it by hand"
            ) from error
        return answers

    def _run_within(self, names: list[str], feed: dict[str, NDArray[np.uint8]], *options: RunOptions) -> Any:
        """`session.run` under the budget."""
        return run_within(self._budget_s * len(feed[INPUT]), self._session.run, names, feed, *options)

    def _verdict(self, answers: list[NDArray[Any]], row: int, frame: Frame) -> Verdict:
        """The verdict on one row of a batch; "review" for NaN, a severity outside 0..1, a decision against the card.

        This runs for every frame of the line: it stays short.
        """
        severity = float(answers[0][row])
        chances = answers[1][row].tolist()
        named = math.isfinite(sum(chances))
        kind = self._classes[chances.index(max(chances))] if named else ""
        index = (severity >= self._review_from) + (severity >= self._reject_from)
        sound = named and 0.0 <= severity <= 1.0 and index == answers[2][row]
        decision = DECISIONS[index] if sound else REVIEW
        kinds = dict(zip(self._classes, chances, strict=True))
        if not self._optional:
            return Verdict(decision, severity, kind, kinds)
        return self._located(Verdict(decision, severity, kind, kinds), answers, row, frame)

    def _located(self, verdict: Verdict, answers: list[NDArray[Any]], row: int, frame: Frame) -> Verdict:
        """The verdict with its places: from the boxes if the model gives them, else from its heatmap."""
        spoken = {name: answer[row] for name, answer in zip(self._optional, answers[3:], strict=True)}
        heatmap = spoken.get("heatmap")
        places: tuple[Region, ...] | None = ()
        proposed = None
        if "boxes" in spoken:
            proposed = self._proposed(spoken["boxes"], spoken["box_scores"], spoken["box_kinds"])
            places = None if proposed is None else boxed(proposed, self._classes, self._card.regions)
        elif heatmap is not None and heatmap.size:
            places = self._heated(heatmap, verdict, frame)
        decision = REVIEW if places is None else verdict.decision
        return Verdict(
            decision,
            verdict.severity,
            verdict.kind,
            verdict.kinds,
            places or (),
            heatmap,
            proposals=proposed,
        )

    def _proposed(
        self, boxes: NDArray[np.float32], scores: NDArray[np.float32], kinds: NDArray[np.int64]
    ) -> Proposals | None:
        """Boxes (K, 4), scores (K,), kinds (K,) strongest first, without padding; None for nonsense."""
        if not np.isfinite(scores).all():
            return None
        order = np.argsort(-scores, kind="stable")
        real = order[: np.count_nonzero(scores > 0)]
        found = Proposals(boxes[real], scores[real], kinds[real])
        known = ((found.kinds >= 0) & (found.kinds < len(self._classes))).all()
        return found if known and np.isfinite(found.corners).all() else None

    def _heated(
        self, heatmap: NDArray[np.float32], verdict: Verdict, frame: Frame
    ) -> tuple[Region, ...] | None:
        """Regions from a heatmap (h, w); None if it holds NaN."""
        peak = float(heatmap.max())
        if math.isnan(peak):
            return None
        if peak < self._hot_from:  # most frames of a line end here
            return ()
        span = roi_pixels(frame.shape[0], frame.shape[1], self._card.input.roi)
        kind = likeliest_defect(verdict.kinds, self._card.good) or verdict.kind
        return regions(heatmap, kind=kind, span=span, bands=self._regions)


def _frugal() -> RunOptions:
    """Options of one run after which the session gives its memory back; made anew, for a budget writes into them."""
    options = RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _is_huge(frames: NDArray[np.uint8]) -> bool:
    """Whether the session would keep hundreds of megabytes of such frames for ever, in case another comes."""
    return frames.size > 3 * 2**26 or frames.shape[1] > 2**17


def _ready(frame: Source, window: Window | None) -> Frame:
    """The frame as the graph takes it. RGB uint8, as a camera gives it, gets through for almost nothing."""
    if (
        type(frame) is np.ndarray
        and frame.dtype == UINT8
        and frame.ndim == 3
        and frame.shape[2] == 3
        and 0 < frame.size <= 3 * MAX_PIXELS
    ):
        return frame
    return decode(frame, window=window)

"""The Monitor: watches what an Inspector sees and says, and raises an alarm when it is no longer as in validation."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visiontune.runtime.alarm import Alarm
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.card import ModelCard
from visiontune.runtime.drift import Drift
from visiontune.runtime.errors import BadData, BadFrame, BadModel, one_line
from visiontune.runtime.frame import Source, decode
from visiontune.runtime.gate import Gate
from visiontune.runtime.look import Look, look
from visiontune.runtime.rates import HELD, Rates
from visiontune.runtime.reference import Reference
from visiontune.runtime.verdict import Verdict
from visiontune.runtime.whole import whole

if TYPE_CHECKING:
    from visiontune.runtime.inspector import Inspector

PASS, REVIEW, REJECT = DECISIONS
KEPT = 16  # alarms that are remembered
SCHEMA = 1  # of the state


class Monitor:
    """Judges through an Inspector and watches; made by `Inspector.monitor`, which explains the arguments.

        monitor = inspector.monitor(on_alarm=print)
        verdict = monitor(frame)      # or monitor.observe(frame, inspector(frame))

    - the gate: a frame far darker, brighter, flatter or softer than those of validation was not inspected. Its verdict
      gets the reason, and a pass becomes a review; a reject stays one
    - two martingales on the frames that pass, on their scores and on their looks: if nothing changed, the chance that they
      ever raise an alarm is at most alpha, however long they run and however often one looks (see runtime.martingale)
    - three p-charts, of reviews and rejects among the frames that the gate lets through and of those it holds (see
      runtime.p_chart): these may be wrong once in 370 subgroups each

    What the martingales promise holds for parts that are independent of each other: give one frame a part. Memory is
    constant; threads may share a monitor, as they may share the Inspector.
    """

    def __init__(
        self,
        inspector: Inspector,
        *,
        alpha: float,
        subgroup: int,
        defects: float | None,
        gate: bool,
        seed: int,
        on_alarm: Callable[[Alarm], object] | None,
    ) -> None:
        card = inspector.card
        reference = _reference(card)
        if not 0 < alpha < 1:
            raise ValueError(f"alpha: expected a chance between 0 and 1, found {alpha}")
        if defects is not None and not (0 <= defects < 1 and (reference.defective or not defects)):
            raise ValueError(
                f"defects: expected a share from 0 to 1 of a model with a good class, found {defects}"
            )
        self._inspector = inspector
        self._reference = reference
        self._settings: dict[str, Any] = {
            "alpha": alpha,
            "subgroup": subgroup,
            "defects": defects,
            "gate": gate,
            "seed": seed,
        }
        self._of = _fingerprint(card)
        self._on_alarm = on_alarm
        self._gate = Gate(reference) if gate else None
        self._lock, self._saving = threading.Lock(), threading.Lock()
        self._begin()

    def __call__(self, frame: Source) -> Verdict:
        """Judges and observes one frame, given as to the Inspector. Raises as it does; such a frame is only counted."""
        ready, verdict = self._judged(frame)
        return self._observed(self._look(ready), verdict)

    def observe(self, frame: Source, verdict: Verdict) -> Verdict:
        """Takes a frame that the Inspector has judged; gives the verdict as it stands after the gate. Raises BadFrame."""
        return self._observed(self._look(decode(frame, window=self._inspector.card.input.window)), verdict)

    def master(self, frame: Source, *, expect: str = REJECT) -> Verdict:
        """Judges a master part (red rabbit) whose decision is known; the alarm "master" if it gets another one.

        It counts neither as a frame nor for any watch. Raises BadFrame, and ValueError for an unknown decision.
        """
        if expect not in DECISIONS:
            raise ValueError(f"expect: expected {', '.join(DECISIONS)}, found {expect!r}")
        ready, found = self._judged(frame)
        verdict = self._gated(self._look(ready), found)
        with self._lock:
            self._masters += 1
            wrong = verdict.decision != expect
            found_text = f"a master part to {expect} got {verdict.decision} (severity {verdict.severity:.4f})"
            alarms = [self._raised("master", found_text)] if wrong else []
        self._tell(alarms)
        return verdict

    @property
    def alarms(self) -> tuple[Alarm, ...]:
        """The latest 16, oldest first."""
        with self._lock:
            return tuple(self._alarms)

    def status(self) -> dict[str, Any]:
        """JSON-able: frames and decisions so far, and for every watch where it stands."""
        with self._lock:
            return {
                "frames": self._frames,
                "decisions": {name: self._decisions[name] for name in DECISIONS},
                HELD: self._decisions[HELD],
                "unreadable": self._unreadable,
                "masters": self._masters,
                "drift": self._drift.status(),
                "rates": self._rates.status(),
                "alarms": [asdict(alarm) for alarm in self._alarms],
            }

    def restart(self) -> None:
        """Forgets what it saw and begins anew: after the cause of an alarm was mended. Alpha then counts anew, too."""
        with self._lock:
            self._begin()

    def state(self) -> dict[str, Any]:
        """All of it, JSON-able: `Inspector.monitor(state=...)` goes on from there as if nothing had been between."""
        with self._lock:
            return {
                "schema": SCHEMA,
                "model": self._of,
                "settings": dict(self._settings),
                "frames": self._frames,
                "decisions": dict(self._decisions),
                "unreadable": self._unreadable,
                "masters": self._masters,
                "drift": self._drift.state(),
                "rates": self._rates.state(),
                "alarms": [asdict(alarm) for alarm in self._alarms],
            }

    def save(self, path: str | Path) -> None:
        """Writes the state, whole or not at all. Raises BadData where it cannot be written."""
        with self._saving:
            text = json.dumps(self.state()) + "\n"
            try:
                with whole(Path(path)) as draft:
                    draft.write_text(text, encoding="utf-8")
            except OSError as error:
                found = one_line(error)
                raise BadData(f"{path}: expected to write the monitor's state, found {found}") from error

    @classmethod
    def resumed(
        cls,
        inspector: Inspector,
        state: str | Path | Mapping[str, Any],
        on_alarm: Callable[[Alarm], object] | None = None,
    ) -> Monitor:
        """The monitor that gave this `state`, or saved it in this file, ready to go on.

        Raises BadData for a file that cannot be read, a damaged state and one of another model or other bands.
        """
        _reference(inspector.card)
        name, found = ("state", state) if isinstance(state, Mapping) else (str(state), _read(Path(state)))
        try:
            if (found["schema"], found["model"]) != (SCHEMA, _fingerprint(inspector.card)):
                raise ValueError(
                    f"that of a monitor of another model than {inspector.card.name} with its bands of today"
                )
            monitor = cls(inspector, on_alarm=on_alarm, **found["settings"])
            monitor._restore(found)
        except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            raise BadData(
                f"{name}: expected the state of a monitor of this model, found {one_line(error)}; begin a new one"
            ) from error
        return monitor

    def _restore(self, state: Mapping[str, Any]) -> None:
        self._frames, self._unreadable = int(state["frames"]), int(state["unreadable"])
        self._masters = int(state["masters"])
        self._decisions.update({name: int(count) for name, count in state["decisions"].items()})
        self._drift.restore(state["drift"])
        self._rates.restore(state["rates"])
        self._alarms.extend(Alarm(**alarm) for alarm in state["alarms"])

    def _begin(self) -> None:
        given, reference, bands = self._settings, self._reference, self._inspector.card.bands
        self._frames = self._unreadable = self._masters = 0
        self._decisions: Counter[str] = Counter()
        self._alarms: deque[Alarm] = deque(maxlen=KEPT)
        self._drift = Drift(reference, bands, alpha=given["alpha"], seed=given["seed"])
        self._rates = Rates(reference, bands, subgroup=given["subgroup"], defects=given["defects"])

    def _judged(self, frame: Source) -> tuple[Any, Verdict]:
        try:
            ready = decode(frame, window=self._inspector.card.input.window)
            return ready, self._inspector(ready)
        except BadFrame:
            with self._lock:
                self._unreadable += 1
            raise

    def _look(self, frame: Any) -> Look:
        spec = self._inspector.card.input
        return look(frame, size=spec.size, roi=spec.roi)

    def _gated(self, seen: Look, verdict: Verdict) -> Verdict:
        reason = "" if self._gate is None else self._gate.reason(seen)
        if not reason:
            return verdict
        return replace(
            verdict, decision=REVIEW if verdict.decision == PASS else verdict.decision, reason=reason
        )

    def _observed(self, seen: Look, verdict: Verdict) -> Verdict:
        verdict = self._gated(seen, verdict)
        with self._lock:
            self._frames += 1
            self._decisions[verdict.decision] += 1
            alarms = [self._raised(what, text) for what, text in self._findings(seen, verdict)]
        self._tell(alarms)
        return verdict

    def _findings(self, seen: Look, verdict: Verdict) -> Iterator[tuple[str, str]]:
        held = bool(verdict.reason)
        self._decisions[HELD] += held
        yield from self._rates.observe(verdict.decision, held=held)
        if verdict.decision == PASS:
            yield from self._drift.observe(verdict.severity, seen)

    def _raised(self, what: str, text: str) -> Alarm:
        alarm = Alarm(what, text, self._frames)
        self._alarms.append(alarm)
        return alarm

    def _tell(self, alarms: list[Alarm]) -> None:
        if self._on_alarm is not None:
            for alarm in alarms:
                self._on_alarm(alarm)


def _reference(card: ModelCard) -> Reference:
    if card.reference is None:
        raise BadModel(
            f"{card.name}: expected a reference in the card, found none: it was exported before there was one; "
            "export the model again"
        )
    return card.reference


def _fingerprint(card: ModelCard) -> str:
    """What a state belongs to: reference, thresholds and input, whatever the file is called."""
    found = card.as_dict()
    bands = {name: found["bands"][name] for name in ("review_from", "reject_from")}
    text = json.dumps([found["reference"], bands, found["input"]], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadData(
            f"{path}: expected the state of a monitor, found {one_line(error)}; name another or begin a new one"
        ) from error

"""Says whether another engine judges as onnxruntime on the CPU does, how many decisions change if not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from visiontune.runtime.engine import Answers, Engine, Frames, apart, judged, logits_apart, on_cpu
from visiontune.runtime.errors import VisiontuneError, one_line
from visiontune.runtime.faults import LOGITS, Cause, explain
from visiontune.runtime.golden import TOLERANCE
from visiontune.runtime.model import open_session, read_card, replay, self_test
from visiontune.runtime.seal import check


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What the doctor found.

    frames, flips  judged, and how many got another decision than by onnxruntime on the CPU
    difference     the largest of severity and kinds; None if the engine failed or gave nonsense
    logits         root mean square difference of the logits, which shows what probabilities near 0 and 1 hide
    causes         what explains it; rest: the largest difference that they leave unexplained
    failure        why it could not run; None if it ran
    tolerance      the difference that the model allows its engines: more than 1e-4 where it computes in integers
    """

    engine: str
    about: str
    frames: int
    flips: int
    difference: float | None = None
    logits: float | None = None
    causes: tuple[Cause, ...] = ()
    rest: float | None = None
    failure: str | None = None
    tolerance: float = TOLERANCE

    @property
    def equivalent(self) -> bool:
        """Whether it may take the place of onnxruntime on the CPU: same decisions, answers within tolerance, logits too.

        Logits count where the network computes in float: integers that round otherwise now and then move them more.
        """
        if self.difference is None or self.logits is None or self.flips:
            return False
        return self.difference <= self.tolerance and (self.logits <= LOGITS or self.tolerance > TOLERANCE)

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**asdict(self), "equivalent": self.equivalent}


def examine(data: bytes, engine: Engine, batches: Sequence[Frames]) -> Diagnosis:
    """The diagnosis of one engine for the model file `data`, on these frames; they are gone through several times.

    Raises BadModel if onnxruntime's CPU provider itself does not answer as at export: then there is nothing to compare with.
    """
    check(data)
    session = open_session(data)
    card = read_card(session)
    self_test(session, card)
    for probe in card.probes:
        replay(session, probe, card.bands)
    expected = judged(on_cpu(data), batches)
    count = len(expected[0])
    tolerance = card.golden.tolerance if card.golden is not None else TOLERANCE
    blank = Diagnosis(engine=engine.name, about=engine.about, frames=count, flips=count, tolerance=tolerance)
    try:
        found: Answers = judged(engine.run, batches)
    except VisiontuneError:
        raise
    except Exception as error:  # whatever a foreign engine raises
        return replace(blank, failure=one_line(error))
    difference = apart(found, expected)
    if not np.isfinite(difference) or found[2].shape != expected[2].shape:
        return replace(blank, failure="it gives other shapes, or NaN")
    diagnosis = replace(
        blank,
        flips=int((found[2] != expected[2]).sum()),
        difference=difference,
        logits=logits_apart(found, expected),
    )
    if diagnosis.equivalent:
        return diagnosis
    causes, rest = explain(data, engine, batches, expected, found)
    return replace(diagnosis, causes=causes, rest=rest)

"""A Monitor whose state lives in a file, for a command that judges picture after picture."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from visiontune.runtime.alarm import Alarm
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.verdict import Verdict

SAVE_S = (
    5.0  # between two saves; a kill loses what was observed since the last, which does the promises no harm
)


class Monitored:
    """Judges through a Monitor that goes on from the state in `path`, if there is one, and is saved there.

    Alarms are printed to stderr, one line each, and at the start those of drift that still stand. Raises BadModel for a model
    without a reference, BadData for a state that cannot be read or written or belongs to another model.
    """

    def __init__(self, inspector: Inspector, path: Path) -> None:
        self._path = path
        self._news: list[str] = []
        self._monitor = inspector.monitor(state=path if path.exists() else None, on_alarm=self._heard)
        for name, watched in self._monitor.status()["drift"].items():
            if watched["alarm_at"] is not None:
                stands = f"the alarm of {name} stands ('{watched['alarm']}', raised at passed frame"
                print(
                    f"visiontune: {stands} {watched['alarm_at']}); with its cause mended begin a new state",
                    file=sys.stderr,
                )
        self.save()  # at once, so that a place that cannot be written is found before the first frame

    def __call__(self, path: Path) -> Verdict:
        """The verdict on a picture's file, after the gate."""
        try:
            return self._monitor(path)
        finally:
            if self._news or time.monotonic() - self._saved > SAVE_S:
                self.save()

    def news(self) -> str:
        """The alarms since the last call, in one line; "" for none."""
        news, self._news = self._news, []
        return "; ".join(f"alarm: {text}" for text in news)

    def save(self) -> None:
        """Writes the state."""
        self._monitor.save(self._path)
        self._saved = time.monotonic()

    def _heard(self, alarm: Alarm) -> None:
        self._news.append(str(alarm))
        print(f"visiontune: alarm: {alarm}", file=sys.stderr, flush=True)

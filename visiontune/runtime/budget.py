"""Ends a run of the graph that takes longer than it may, so that a model that never answers cannot hold up the line.

onnxruntime looks between operators whether its RunOptions say terminate: a loop is ended at once, one huge operator only when it
is done. One thread watches the runs of all sessions; it exists only while something runs under a budget, and for a moment after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any

from onnxruntime import RunOptions

from visiontune.runtime.errors import TooSlow

LINGER_S = 1.0  # how long the thread waits for the next run: starting one for each frame would cost more than a glance


class Watch:
    """Watches over runs, each with its own deadline. Safe to share between threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._deadlines: dict[RunOptions, float] = {}
        self._wakes = 0.0  # when the thread will look next
        self._thread: threading.Thread | None = None

    def begin(self, options: RunOptions, seconds: float) -> None:
        """From now on the run with these options has so long."""
        deadline = monotonic() + seconds
        with self._changed:
            self._deadlines[options] = deadline
            if self._thread is None or not self._thread.is_alive():  # a forked process has none
                self._wakes = deadline
                self._thread = threading.Thread(target=self._look, name="visiontune-budget", daemon=True)
                self._thread.start()
            elif deadline < self._wakes:
                self._changed.notify()

    def end(self, options: RunOptions) -> bool:
        """The run is over; whether it was ended by its deadline."""
        with self._changed:
            return self._deadlines.pop(options, None) is None

    def _look(self) -> None:
        with self._changed:
            while True:
                now = monotonic()
                for options in [one for one, deadline in self._deadlines.items() if deadline <= now]:
                    options.terminate = True
                    del self._deadlines[options]
                idle = not self._deadlines
                self._wakes = now + LINGER_S if idle else min(self._deadlines.values())
                self._changed.wait(max(0.0, self._wakes - monotonic()))
                if idle and not self._deadlines:
                    self._thread = None
                    return


WATCH = Watch()


def run_within(
    seconds: float,
    run: Callable[..., Any],
    names: Sequence[str],
    feed: Mapping[str, Any],
    options: RunOptions | None = None,
) -> Any:
    """What `run(names, feed, options)` gives, `InferenceSession.run` of a session.

    Raises TooSlow if it takes longer than `seconds`, and whatever `run` raises. `options` are those of this one run.
    """
    options = RunOptions() if options is None else options
    WATCH.begin(options, seconds)
    try:
        answers = run(names, feed, options)
    except Exception as error:
        if WATCH.end(options):
            raise TooSlow(f"no answer within the budget of {1000 * seconds:.3g} ms") from error
        raise
    except BaseException:
        WATCH.end(options)
        raise
    WATCH.end(options)
    return answers

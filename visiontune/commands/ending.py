"""Ends a command that runs until someone ends it: Ctrl-C and SIGTERM let it finish what it has in hand."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Ended:
    """Whether someone asked for the end; a second Ctrl-C does not wait for it."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        """True from the first signal on."""
        return self._asked

    def ask(self, number: int, _: object) -> None:
        """The signal handler: the frame at hand is finished first."""
        self._asked = True
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


@contextmanager
def ending() -> Iterator[Ended]:
    """Ctrl-C and SIGTERM ask for the end instead of breaking off; they are as before when the block is left."""
    ended = Ended()
    if threading.current_thread() is not threading.main_thread():  # only there can signals be caught
        yield ended
        return
    before = {number: signal.signal(number, ended.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

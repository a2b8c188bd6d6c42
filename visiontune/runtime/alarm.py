"""What a Monitor reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something is not as in validation.

    what   "scores", "looks" (martingales), "review", "reject", "not inspectable" (p-charts) or "master"
    text   the finding, in one line
    frame  how many frames had been observed, this one included
    """

    what: str
    text: str
    frame: int

    def __str__(self) -> str:
        return f"{self.what}: {self.text} (frame {self.frame})"

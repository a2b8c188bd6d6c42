"""What a layout hands to `read`: samples as the source tells them, before good class, groups and checks are settled."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from visiontune.data.problems import Problem
from visiontune.data.samples import Sample

NOTHING = ""  # the label of a picture that is known to hold nothing; `read` gives it the good class


@dataclass(kw_only=True)
class Reading:
    """The outcome of one layout's `read`.

    A sample labelled NOTHING gets the good class from `read`. `split_by` names what decided the splits. `grouped` says that
    the source itself named groups.
    """

    title: str
    samples: list[Sample] = field(default_factory=list)
    split_by: str | None = None
    grouped: bool = False
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Layout(Protocol):
    """The face of a layout's module."""

    @property
    def NAME(self) -> str:
        """How `read(layout=...)` calls it."""

    @property
    def EXPECTS(self) -> str:
        """What `recognise` looks for, for the message that says that nothing was recognised."""

    def recognise(self, root: Path) -> str | None:
        """Why the folder looks like this layout, None where it does not. Cheap: opens no picture and no annotation."""

    def read(self, root: Path, *, ignore: Set[str]) -> Reading:
        """Reads the folder; `ignore` may name "split" and, where the layout has such, "mask", "boxes" or columns.

        What is wrong with single files is collected in the reading's problems; BadData is raised where the source as a
        whole cannot be understood.
        """

"""A box that a person drew, as the line reads it."""

from __future__ import annotations

from typing import Protocol


class Annotation(Protocol):
    """One object in a picture, in pixels of it; `visiontune.data`'s Box is one."""

    @property
    def kind(self) -> str:
        """One of the card's classes."""

    @property
    def x0(self) -> float: ...  # noqa: D102
    @property
    def y0(self) -> float: ...  # noqa: D102
    @property
    def x1(self) -> float: ...  # noqa: D102
    @property
    def y1(self) -> float: ...  # noqa: D102
    @property
    def ignore(self) -> bool:
        """Neither to be found nor wrong to find."""

"""Writes a file whole or not at all: under a temporary name beside it, renamed when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(target: Path) -> Iterator[Path]:
    """Gives the temporary path to write; it becomes `target` when the block ends well, and goes when it does not.

    Makes the folder where there is none. A kill leaves at most a hidden file that ends in .tmp; what stood at `target` stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def remove_drafts(folder: Path) -> None:
    """Takes away what killed processes left in a folder. Only for a folder that no other process writes to."""
    for draft in folder.glob(".*.tmp"):
        draft.unlink(missing_ok=True)

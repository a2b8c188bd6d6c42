"""One process at a time: a lock on a file or folder that goes by itself when the process ends, however it ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from visiontune.runtime.errors import BadData, one_line


def claim(path: Path) -> int:
    """Locks a file or folder for this process; gives the descriptor that holds the lock, for `release`.

    Raises BadData if another process holds it or it cannot be opened. A kill releases the lock, so nothing stale can keep a
    line from starting again. Where there are no such locks (Windows, some network shares) nothing is locked.
    """
    if sys.platform == "win32":
        return -1
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        found = one_line(error)
        raise BadData(f"{path}: expected to open it, found {found}; check path and permissions") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise BadData(
            f"{path}: expected to be the only one that works on it, found another process that does; end that one first"
        ) from None
    except OSError:  # a share that knows no locks must not keep the line from working
        pass
    return descriptor


def release(descriptor: int) -> None:
    """Gives back what `claim` gave."""
    if descriptor >= 0:
        os.close(descriptor)

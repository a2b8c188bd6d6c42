"""A full or locked disk said in one line: what could not be written, and how to go on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from visiontune.runtime.errors import VisiontuneError

FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}
LOCKED = {errno.EACCES, errno.EPERM, errno.EROFS}


class Unwritable(VisiontuneError):
    """A folder that cannot be written to, because the disk is full or does not allow it."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turns the OSError of a full or locked disk into Unwritable. Everything else passes as it is."""
    try:
        yield
    except OSError as problem:
        where = problem.filename if isinstance(problem.filename, str) else folder
        if problem.errno in FULL:
            raise Unwritable(
                f"{where}: expected room to write, found none ({problem.strerror}); what was written before is whole: "
                "free some disk space, and continue with --resume (in Python resume=True)"
            ) from problem
        if problem.errno in LOCKED:
            raise Unwritable(
                f"{where}: expected to be allowed to write, found not ({problem.strerror}); choose another folder, or "
                "change its permissions"
            ) from problem
        raise

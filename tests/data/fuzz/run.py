"""Puts every hostile file and folder before the lab and the line, in a process of its own; writes what happened as JSON.

python -m tests.data.fuzz.run FOLDER > results.json

Each case goes the whole way: read (as `audit` does and as training does), load from memory and from a store, split, digest,
and the Inspector. Allowed ends are pixels, findings and a VisiontuneError of one line, and line and lab must come to the same.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.data.fuzz.folders import Build, folders
from tests.data.fuzz.pictures import pictures
from tests.data.test_forms import FIT, MIRROR, seen
from visiontune.data.layouts import tree
from visiontune.data.read import read
from visiontune.data.splits import split
from visiontune.data.store import load
from visiontune.data.trainable import check_trainable
from visiontune.runtime.errors import VisiontuneError

SEED = 20_261_122
HANGS = 60  # seconds that a case may take before the process is shot, with a traceback of where it was
STATUS = Path("/proc/self/status")


class Case:
    """One case on its way: what it ended in, what it took, and what is wrong."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ends: list[str] = []
        self.wrong: list[str] = []
        self.seconds = 0.0  # of CPU, of the slowest step: the machine may be busy with other things
        self.megabytes = 0.0  # that the process held at most, in the largest step

    def step(self, name: str, do: Callable[[], Any]) -> Any:
        """The result of a step, None where it was refused."""
        forget()
        begin = time.process_time()
        try:
            result = do()
            self.ends.append("ok")
        except VisiontuneError as error:
            result = None
            text = str(error)
            self.ends.append(type(error).__name__)
            if not text.strip() or not text.isprintable():
                self.wrong.append(f"{name}: the message is not one printable line: {text[:300]!r}")
            if len(text) > 3000:
                self.wrong.append(f"{name}: the message has {len(text)} characters: {text[:200]!r}")
        except Exception:
            result = None
            self.ends.append("crash")
            self.wrong.append(f"{name}: {traceback.format_exc(limit=-3)}")
        finally:
            self.seconds = max(self.seconds, time.process_time() - begin)
            self.megabytes = max(self.megabytes, peak())
        return result


def walk(case: Case, root: Path, store: Path) -> None:
    """Everything that can be done with a folder."""
    found = case.step("read loosely", lambda: read(root, strict=False))
    case.step("read", lambda: read(root))
    if found is not None:
        case.ends += ["finding"] * bool(found.problems)
        case.wrong += [f"finding: {str(p)!r}" for p in found.problems if not str(p).isprintable()]
        case.step("split", lambda: check_trainable(split(found)))
        case.step("digest", found.digest)
        plain = case.step("load", lambda: load(found, FIT))
        kept = case.step("load into a store", lambda: load(found, FIT, folder=store))
        if (plain is None) != (kept is None) or (plain is not None and not np.array_equal(plain, kept[:])):
            case.wrong.append("the store changes what is loaded")
        if plain is not None and len(plain) < 50:
            for sample, pixels in zip(found, plain, strict=True):
                there = case.step("inspect", lambda sample=sample: seen(MIRROR, sample.path))
                if there is None or not np.array_equal(there, pixels):
                    case.wrong.append(f"{sample.id!r}: the line sees other pixels than the lab")
            return
    for path in tree.pictures(root, deep=True)[:50] if root.is_dir() else [root]:
        case.step("inspect", lambda path=path: MIRROR(path))


def cases(random: Random) -> Iterator[tuple[str, Build]]:
    """All of them: what it is, and what builds the folder."""
    for name, suffix, data in pictures(random):
        yield f"picture: {name}", with_picture(suffix, data)
    for name, build in folders(random):
        yield f"folder: {name}", build


def with_picture(suffix: str, data: bytes) -> Build:
    """A folder that holds one picture."""

    def build(root: Path) -> None:
        (root / "good").mkdir(parents=True)
        (root / f"good/part.{suffix}").write_bytes(data)

    return build


def peak() -> float:
    """Most memory in MB that this process has held since `forget`; of the whole run where the system does not tell."""
    if STATUS.exists():
        return int(STATUS.read_text().partition("VmHWM:")[2].split()[0]) / 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1024 * 1024 if sys.platform == "darwin" else 1024)


def forget() -> None:
    """Lets the peak start from what is in use now, without what malloc keeps of earlier steps for later ones."""
    if STATUS.exists():
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
        Path("/proc/self/clear_refs").write_text("5")


def main() -> None:
    """Runs them all in the folder that the command line names."""
    warnings.simplefilter("ignore")
    root = Path(sys.argv[1])
    results = []
    for number, (name, build) in enumerate(cases(Random(SEED))):
        case, place = Case(name), root / str(number)
        place.mkdir()
        faulthandler.dump_traceback_later(HANGS, exit=True)
        build(place / "data")
        walk(case, place / "data", place / "store")
        faulthandler.cancel_dump_traceback_later()
        results.append(vars(case))
        shutil.rmtree(place)
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()

"""Runs a fine-tuning in a process of its own, killed at a chosen moment or on a disk that fills up; compares what runs left.

The processes are forked from a clean server that has imported everything once, so each costs a fraction of a second. Nothing is
replaced: a real function is wrapped, and when its turn comes the process sends itself SIGKILL, before or after the call, or
amid a write.
"""

from __future__ import annotations

import ctypes
import importlib
import io
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

HERE = "tests.cut_off"
KILLED = -signal.SIGKILL if hasattr(signal, "SIGKILL") else None
TIMES = {"seconds", "cpu_seconds"}
NO_DISK = 77
CLONE_NEWNS, CLONE_NEWUSER, MS_REC, MS_PRIVATE = 0x20000, 0x10000000, 0x4000, 0x40000
FORKED = [
    pytest.mark.skipif(
        "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs a system that forks"
    ),
    pytest.mark.xdist_group("cut off"),  # one worker starts the server
]


@dataclass(frozen=True)
class Moment:
    """The `nth` call of `where` ("module:attribute" as it is looked up), "before" it, "after" it, or "amid" its first write."""

    where: str
    when: str = "before"
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.where.rpartition('.')[2]} {self.nth}"


def needs_fork(test):
    """For a single test that cooks in a process of its own; a module of them has `pytestmark = FORKED`."""
    for mark in FORKED:
        test = mark(test)
    return test


def cook(
    recipe,
    parts,
    out,
    *,
    moment=None,
    after=None,
    resume=False,
    verbs=False,
    limit=None,
    disk=None,
    **keywords,
):
    """Fine-tunes in a process of its own; gives its exit status, negative for a signal, and what it said.

    `after` seconds it is killed from outside; `limit` is the largest file in bytes that it may write, `disk` the size in bytes
    of the disk that `out` is on; `verbs` calibrates, exports and reports too. Skips the test where no disk can be mounted.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [HERE, "visiontune.tune", "visiontune.report.page", "visiontune.tune.findings"]
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.with_name(f"{out.name}.log")
    arguments = (recipe, parts, out, log, moment, resume, verbs, limit, disk, keywords)
    process = context.Process(target=child, args=arguments)
    process.start()
    if after is not None:
        time.sleep(after)
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    process.join(300)
    assert process.exitcode is not None, "it hangs"
    if process.exitcode == NO_DISK:
        pytest.skip("needs a system on which a user may mount a disk of their own")
    return process.exitcode, log.read_text() if log.is_file() else ""


def child(recipe, parts, out, log, moment, resume, verbs, limit, disk, keywords):
    """What the process does. The exit status is that of the recipe's command line."""
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", buffering=1), os.fdopen(2, "w", buffering=1)
    torch.set_num_threads(1)
    from rich.console import Console

    from visiontune.tune import finetune, main, read

    def cook(recipe, data, out, resume=False):
        run = finetune(
            recipe,
            read(data),
            out=out,
            resume=resume,
            console=Console(file=io.StringIO()),
            accelerator="cpu",
            **keywords,
        )
        if verbs:
            run.calibrate(escapes=0.2, overkill=0.2, confidence=0.8)
            run.export()
            run.report()

    cook.__module__ = HERE
    if moment is not None:
        arm(moment)
    if limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    words = [str(parts), "--out", str(out), *(["--resume"] if resume else [])]
    if disk is None:
        return main(recipe, cook, words)
    real = out.with_name(f"{out.name}.real")
    out.mkdir(exist_ok=True)
    mount(out, disk)
    try:
        main(recipe, cook, words)
    finally:  # the small disk goes with the process: what is on it is put aside
        shutil.copytree(out, real)


def mount(folder, size):
    """Mounts a disk of `size` bytes in memory on a folder, for this process alone; ends it with NO_DISK where it may not."""
    library = ctypes.CDLL(None, use_errno=True)
    user = os.geteuid()
    try:
        if library.unshare(CLONE_NEWNS | (CLONE_NEWUSER if user else 0)):
            sys.exit(NO_DISK)
        if user:
            Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    except (AttributeError, OSError):
        sys.exit(NO_DISK)
    options = f"size={size}".encode()
    if library.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) or library.mount(
        b"none", bytes(folder), b"tmpfs", 0, options
    ):
        sys.exit(NO_DISK)


def arm(moment):
    """Makes this process kill itself at a moment."""
    module, _, path = moment.where.partition(":")
    *owners, name = path.split(".")
    owner = importlib.import_module(module)
    for inner in owners:
        owner = getattr(owner, inner)
    original, calls = getattr(owner, name), [0]

    def wrapped(*arguments, **options):
        calls[0] += 1
        turn = calls[0] == moment.nth
        if turn and moment.when == "before":
            die()
        if turn and moment.when == "amid":
            arguments = tuple(Dying(a) if hasattr(a, "write") else a for a in arguments)
        result = original(*arguments, **options)
        if turn and moment.when == "after":
            die()
        return result

    setattr(owner, name, wrapped)


class Dying:
    """A file in the middle of whose first large write the process is killed."""

    def __init__(self, file):
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data):
        half = bytes(data)[: len(data) // 2]
        written = self.file.write(half)
        if written > 100:
            self.file.flush()
            die()
        return written + self.file.write(bytes(data)[written:])


def die():
    """As `kill -9` from outside: nothing is flushed, no handler runs."""
    os.kill(os.getpid(), signal.SIGKILL)


def left(out):
    """What a run left that must not depend on when it was cut off: weights, the last checkpoint, run.json without times."""
    found = {}
    for file in (out / "checkpoints").glob("*.safetensors"):
        found[file.name] = file.read_bytes()
    last = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)
    found.update(flat(last, "last.ckpt"))
    if (out / "run.json").is_file():
        found.update(flat(json.loads((out / "run.json").read_text()), "run.json"))
    return found


def flat(thing, path):
    """Every tensor (as bytes) and plain value under its path, without times."""
    if isinstance(thing, dict):
        items = [(str(key), value) for key, value in thing.items() if key not in TIMES]
    elif isinstance(thing, (list, tuple)):
        items = [(str(index), value) for index, value in enumerate(thing)]
    else:
        plain = thing
        if isinstance(thing, torch.Tensor):
            plain = (
                str(thing.dtype),
                tuple(thing.shape),
                thing.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes(),
            )
        return {path: plain}
    return {where: value for key, inner in items for where, value in flat(inner, f"{path}/{key}").items()}


def differing(here, there):
    """The paths at which two runs differ; a NaN equals itself."""
    return sorted(k for k in here.keys() | there.keys() if repr(here.get(k)) != repr(there.get(k)))


def rubbish(out):
    """Unfinished files in a run's folder."""
    return [path for path in Path(out).rglob("*") if path.name.endswith(".tmp")]

"""Keeps OpenCV to one thread while a policy runs, without changing its setting for anyone else."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

inside = {"policies": 0, "threads": 0}
door = threading.Lock()


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep OpenCV to one thread while any policy runs, and give its setting back after the last one.

    Its results do not depend on the number of threads (tested), but already at 224 pixels a warp starts some,
    which fight with the loader's workers for the cores and do not survive a fork.
    """
    with door:
        if inside["policies"] == 0:
            inside["threads"] = cv2.getNumThreads()
            cv2.setNumThreads(1)
        inside["policies"] += 1
    try:
        yield
    finally:
        with door:
            inside["policies"] -= 1
            if inside["policies"] == 0:
                cv2.setNumThreads(inside["threads"])


def after_fork() -> None:
    """A child has only the thread that forked: nobody else is inside, or holds the door."""
    global door
    door = threading.Lock()
    inside["policies"] = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=after_fork)

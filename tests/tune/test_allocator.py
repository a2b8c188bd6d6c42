import os
import subprocess
import sys

import pytest

from visiontune.tune import allocator
from visiontune.tune.allocator import CHOSEN, glibc, keeping_memory

# In a process of its own: what other tests left in the heap would be handed out again with no page fault at all.
FRESH = """
import resource
import runpy
import sys
from pathlib import Path

import numpy

keeping_memory = runpy.run_path(sys.argv[1])["keeping_memory"]  # without the rest of the lab, which takes seconds to load
SIZE = 48 << 20  # above the largest block that glibc keeps by itself


def faults(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        numpy.ones(SIZE, numpy.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


outside = faults(20)
with keeping_memory():
    faults(1)
    inside = faults(20)
    many = [numpy.ones(SIZE, numpy.uint8) for _ in range(6)]
    del many
    kept = held()
print(outside, inside, (kept - held()) // SIZE)
"""


def steps(**chosen: str) -> tuple[int, int, int]:
    """Page faults of 20 large blocks outside and inside, and how many blocks go back to the system at the end."""
    environment = {name: value for name, value in os.environ.items() if name not in CHOSEN} | chosen
    done = subprocess.run(
        [sys.executable, "-c", FRESH, allocator.__file__],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    outside, inside, returned = map(int, done.stdout.split())
    return outside, inside, returned


@pytest.mark.skipif(glibc() is None, reason="not glibc, or malloc's thresholds are set in the environment")
def test_memory_is_used_again_and_given_back() -> None:
    outside, inside, returned = steps()
    assert inside < outside / 5
    assert returned >= 4


@pytest.mark.skipif(glibc() is None, reason="not glibc, or malloc's thresholds are set in the environment")
def test_a_users_own_choice_stands() -> None:
    outside, inside, returned = steps(
        MALLOC_MMAP_THRESHOLD_="1000000"
    )  # then every large block is a mapping of its own
    assert inside > outside / 2
    assert returned == 0


@pytest.mark.parametrize("name", CHOSEN)
def test_any_choice_counts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert glibc() is None


def test_the_block_may_fail() -> None:
    with pytest.raises(KeyError), keeping_memory():
        raise KeyError

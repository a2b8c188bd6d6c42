import resource
from pathlib import Path

import pytest
import torch

from visiontune.tune.allocator import CHOSEN, glibc, keeping_memory

MEGABYTES = 48  # above the largest block that glibc keeps by itself


def faults(steps: int) -> int:
    """Page faults of steps that each make and free a large tensor."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(steps):
        torch.ones(MEGABYTES * 2**18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def held() -> int:
    """Bytes that the process holds in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.skipif(glibc() is None, reason="not glibc, or malloc's thresholds are set in the environment")
def test_memory_is_used_again_and_given_back() -> None:
    outside = faults(20)
    with keeping_memory():
        faults(1)
        inside = faults(20)
        many = [torch.ones(MEGABYTES * 2**18) for _ in range(6)]
        del many
        kept = held()
    assert inside < outside / 5
    assert held() < kept - 4 * MEGABYTES * 2**20


@pytest.mark.parametrize("name", CHOSEN)
def test_a_users_own_choice_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "1")
    assert glibc() is None
    with keeping_memory():
        assert faults(2) > 0


def test_the_block_may_fail() -> None:
    with pytest.raises(KeyError), keeping_memory():
        raise KeyError

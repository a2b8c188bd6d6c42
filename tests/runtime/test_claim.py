"""The claim: one process at a time, and a kill leaves nothing behind."""

import os
import signal
import subprocess
import sys

import pytest

from visiontune.runtime.claim import claim, release
from visiontune.runtime.errors import BadData

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nothing is locked there")


def test_a_second_is_refused_until_the_first_gives_it_back(tmp_path):
    held = claim(tmp_path)
    with pytest.raises(BadData, match="found another process"):
        claim(tmp_path)
    release(held)
    release(claim(tmp_path))


def test_a_kill_gives_it_back(tmp_path):
    code = "import sys, time, pathlib\nfrom visiontune.runtime.claim import claim\n"
    code += "claim(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(BadData):
        claim(tmp_path)
    os.kill(other.pid, signal.SIGKILL)
    other.communicate()
    release(claim(tmp_path))


def test_nothing_held_is_nothing_to_give_back():
    release(-1)


def test_what_cannot_be_opened_is_told(tmp_path):
    with pytest.raises(BadData, match="expected to open it"):
        claim(tmp_path / "gone")


def test_a_share_without_locks_is_used_all_the_same(tmp_path, monkeypatch):
    import fcntl

    def no_locks(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    release(claim(tmp_path))

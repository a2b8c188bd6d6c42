"""Hostile pictures, manifests and folders end in pixels, in findings or in one clear line: no crash, no hang, no gigabyte."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.xdist_group("fuzz"),  # one worker runs all cases, once
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="the cases make pipes, sockets and links"),
]
ROOT = Path(__file__).parents[2]
SECONDS = 5.0  # of CPU that one step of one case may take
MEGABYTES = 1e9 / 2**20  # that the process may hold


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What came of every case, from one process; a crash or a hang of that process fails all tests with its traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.data.fuzz.run", tmp_path_factory.mktemp("fuzz")],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(done.stdout)


def test_nothing_is_wrong_with_any_case(results):
    wrong = [f"{case['name']}: {line}" for case in results for line in case["wrong"]]
    assert not wrong, "\n".join(wrong[:20])


def test_no_case_takes_long(results):
    slow = {case["name"]: case["seconds"] for case in results if case["seconds"] > SECONDS}
    assert not slow


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="the peak of one case is known on Linux only"
)
def test_no_case_takes_a_gigabyte(results):
    large = {case["name"]: case["megabytes"] for case in results if case["megabytes"] > MEGABYTES}
    assert not large


def test_the_cases_are_many_and_end_in_every_way(results):
    assert len(results) >= 700 and len({case["name"] for case in results}) == len(results)
    ends = Counter(end for case in results for end in set(case["ends"]))
    assert ends["ok"] > 500 and ends["BadFrame"] > 200 and ends["BadData"] > 200 and ends["finding"] > 50
    assert set(ends) == {"ok", "BadFrame", "BadData", "finding"}


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("picture: png rgb", "ok"),
        ("picture: jpeg called png", "ok"),
        ("picture: eps called png", "BadFrame"),
        ("picture: no bytes", "BadFrame"),
        ("picture: png promises 65535 x 65535", "BadFrame"),
        ("picture: bomb, colour, 100 megapixels", "ok"),
        ("picture: bomb, colour, 250 megapixels", "BadFrame"),
        ("picture: tiff, 50000 pages", "BadFrame"),
        ("folder: manifest sound", "ok"),
        ("folder: manifest path NUL", "finding"),
        ("folder: manifest path up", "finding"),
        ("folder: manifest in latin-1", "BadData"),
        ("folder: manifest columns twice", "BadData"),
        ("folder: manifest a cell of a million", "BadData"),
        ("folder: link out of the folder", "finding"),
        ("folder: coco deep", "BadData"),
    ],
)
def test_some_cases_end_as_they_must(results, name, end):
    [case] = [case for case in results if case["name"] == name]
    steps = {"finding": case["ends"], "BadData": case["ends"][:1]}  # the other ends are of the last step
    assert end in steps.get(end, case["ends"][-1:]), case["ends"]

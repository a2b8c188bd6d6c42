"""An exported file opens and judges alike in the oldest onnxruntime, numpy and Pillow that the line admits, as in the newest."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("install")  # one worker makes environments
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "measure_runtimes.py"
UNREACHABLE = 3


@pytest.mark.slow
@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="onnxruntime 1.16 is built for Python 3.11 at most"
)
def test_the_oldest_admitted_runtime_gives_the_same_verdicts(cooked):
    done = subprocess.run(
        [sys.executable, SCRIPT, cooked.model, "--data", cooked.data.root, "--only", "1.16.0"],
        capture_output=True,
        text=True,
    )
    if done.returncode == UNREACHABLE:
        pytest.skip(f"no package index: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| 1.16.0 | 1.26.0 | 10.1.0 | ok |" in done.stdout


def test_the_oldest_that_is_tried_is_the_oldest_that_is_admitted():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    oldest = dict(one.split(">=") for one in wanted)
    tried = SCRIPT.read_text("utf-8")
    assert (
        f'"{oldest["onnxruntime"]}.0": ("numpy=={oldest["numpy"]}.0", "pillow=={oldest["pillow"]}.0")'
        in tried
    )

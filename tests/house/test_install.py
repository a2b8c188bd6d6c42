"""The line installs and judges without the lab: a clean virtual environment, no extras, torch nowhere to be found."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("install")  # one worker makes the environment
ROOT = Path(__file__).parents[2]
JUDGE = """
import importlib.util, json, sys
import numpy as np
for name in ("torch", "timm", "lightning", "albumentations", "onnx", "scipy", "cv2", "rich"):
    assert importlib.util.find_spec(name) is None, name
from visiontune import Inspector
inspector = Inspector(sys.argv[1])
verdicts = [inspector(path) for path in sys.argv[2:]] + [inspector(np.zeros((90, 120, 3), np.uint8))]
print(json.dumps([[v.decision, v.severity, v.kind] for v in verdicts]))
"""


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """A virtual environment that holds `pip install .` and nothing else."""
    home = tmp_path_factory.mktemp("line") / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    uv = shutil.which("uv", path=os.fspath(Path(sys.executable).parent)) or shutil.which("uv")
    pins = os.fspath(ROOT / "pins.txt")
    python = os.fspath(home / "bin" / "python")
    command = (
        [uv, "pip", "install", "--quiet", "--python", python]
        if uv
        else [python, "-m", "pip", "install", "--quiet"]
    )
    subprocess.run([*command, "--constraint", pins, os.fspath(ROOT)], check=True)
    return home / "bin"


@pytest.mark.slow
def test_frames_are_judged_with_torch_absent(line, cooked):
    import json

    from visiontune import Inspector

    paths = [os.fspath(sample.path) for sample in cooked.data.samples[:6]]
    done = subprocess.run(
        [line / "python", "-c", JUDGE, cooked.model, *paths],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    found = json.loads(done.stdout)
    inspector = Inspector(cooked.model)
    for path, (decision, severity, kind) in zip(paths, found, strict=False):
        here = inspector(path)
        assert (decision, kind) == (here.decision, here.kind)
        assert severity == pytest.approx(here.severity, abs=1e-6)


@pytest.mark.slow
def test_the_commands_of_the_line_work(line, cooked, tmp_path):
    def call(*arguments):
        return subprocess.run(
            [line / "visiontune", *map(os.fspath, arguments)], capture_output=True, text=True, cwd=tmp_path
        )

    frame = cooked.data.samples[0].path
    assert call("card", cooked.model).returncode == 0
    assert call("verify", cooked.model).returncode == 0
    assert call("inspect", cooked.model, frame).stdout.split()[0] in ("pass", "review", "reject")
    measured = call("measure", cooked.model, cooked.data.root, "--split", "test")
    assert measured.returncode == 0, measured.stderr
    assert call("copy", "surface_defects", "mine.py").returncode == 0 and (tmp_path / "mine.py").is_file()
    lab = call("demo", "--out", "x")
    assert lab.returncode == 2 and 'pip install "visiontune[train]"' in lab.stderr
    assert "Traceback" not in lab.stderr and len(lab.stderr.strip().splitlines()) == 1

"""An exported file opens and judges alike in the oldest onnxruntime, numpy and Pillow that the line admits, as in the newest."""

import io
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.xdist_group("install")  # one worker makes environments
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "measure_runtimes.py"
UNREACHABLE = 3


@pytest.fixture(scope="module")
def tiled(tiny_recipe, parts_folder, tmp_path_factory):
    """A model that draws a heatmap over tiles, in a loop of its own."""
    from rich.console import Console

    from visiontune.tune import Segment, Tiles, Unfreeze, finetune, read

    recipe = replace(
        tiny_recipe,
        head=Segment(width=8),
        unfreeze=Unfreeze.never(),
        size=(64, 96),
        tile=(32, 8),
        tiles=Tiles(per_frame=2, around=0.5),
        epochs=1,
        lr=2e-3,
    )
    out = tmp_path_factory.mktemp("tiled")
    run = finetune(recipe, read(parts_folder), out=out, console=Console(file=io.StringIO()))
    run.calibrate(escapes=0.2, overkill=0.2, confidence=0.8)
    run.export()
    return run


@pytest.mark.slow
@pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="onnxruntime 1.16 is built for Python 3.11 at most"
)
@pytest.mark.parametrize("made", ["cooked", "tiled"])
def test_the_oldest_admitted_runtime_gives_the_same_verdicts(made, request):
    run = request.getfixturevalue(made)
    done = subprocess.run(
        [sys.executable, SCRIPT, run.model, "--data", run.data.root, "--only", "1.16.0"],
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

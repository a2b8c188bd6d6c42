"""The programs in examples/ give the Inspector's decisions for the same frames, without visiontune."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.line_models import line_model
from visiontune import Inspector
from visiontune.runtime.golden import golden_frames

EXAMPLES = Path(__file__).parents[2] / "examples"
SIZE = (37, 53)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A folder with a model and 24 frames as PNG and as raw bytes, and the lines that are expected of them."""
    folder = tmp_path_factory.mktemp("scene")
    (folder / "model.onnx").write_bytes(line_model())
    inspector = Inspector(folder / "model.onnx")
    lines = []
    dark = np.array([0.2, 1.0])
    for index, frame in enumerate(golden_frames(5, 24, SIZE)):
        frame = (frame * dark[index % 2]).astype(np.uint8)
        Image.fromarray(frame).save(folder / f"{index:02}.png")
        verdict = inspector(frame)
        lines.append(f"{verdict.decision}\t{verdict.severity:.4f}\t{index:02}")
    assert len({line.partition("\t")[0] for line in lines}) > 1
    return folder, lines


def ran(folder, *command, **more):
    done = subprocess.run(list(map(str, command)), cwd=folder, capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stderr
    return [
        line.rpartition(".")[0] if line.endswith((".png", ".rgb")) else line
        for line in done.stdout.splitlines()
    ]


def raw(folder):
    """The raw frames, written by the example that does that."""
    pictures = sorted(folder.glob("*.png"))
    told = ran(folder, sys.executable, EXAMPLES / "python" / "rgb.py", *[path.name for path in pictures])
    assert told[0] == f"{SIZE[0]} {SIZE[1]} 00"
    return [path.with_suffix(".rgb").name for path in pictures]


def test_python(scene):
    folder, lines = scene
    program = EXAMPLES / "python" / "judge.py"
    assert "visiontune" not in program.read_text()
    names = [f"{index:02}.png" for index in range(len(lines))]
    assert ran(folder, sys.executable, program, "model.onnx", *names) == lines


def test_node(scene):
    """With the package under examples/node/node_modules, or where NODE_PATH says."""
    folder, lines = scene
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    probe = [node, "-e", "require('onnxruntime-node')"]
    if subprocess.run(probe, cwd=EXAMPLES / "node", capture_output=True).returncode:
        pytest.skip("onnxruntime-node is not installed; run npm install --ignore-scripts in examples/node")
    program = EXAMPLES / "node" / "judge.js"
    assert ran(folder, node, program, "model.onnx", *SIZE, *raw(folder)) == lines


def test_cpp(scene):
    """With the built program named by VISIONTUNE_EXAMPLE_CPP."""
    folder, lines = scene
    program = os.environ.get("VISIONTUNE_EXAMPLE_CPP")
    if program is None:
        pytest.skip("build examples/cpp and name the program in VISIONTUNE_EXAMPLE_CPP")
    assert ran(folder, program, "model.onnx", *SIZE, *raw(folder)) == lines


def test_every_program_is_in_the_list():
    text = (EXAMPLES / "README.md").read_text("utf-8")
    for path in EXAMPLES.iterdir():
        if path.is_dir():
            assert f"]({path.name}/" in text

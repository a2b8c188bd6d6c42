"""What the README shows runs as it stands, and its picture of the house is true."""

import re
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MY_PART = """
from visiontune.tune import Recipe, policies
recipe = Recipe(backbone="test_resnet", pretrained=False, policy=policies.flat_sheet(), size=(64, 64), batch=8)
"""


@pytest.mark.slow
def test_every_python_block_runs(tmp_path, cooked, parts_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_part.py").write_text(MY_PART)
    shutil.copytree(parts_folder, tmp_path / "data" / "tiles")
    shutil.copy(cooked.model, tmp_path / "model.onnx")
    shutil.copy(next((parts_folder / "images").iterdir()), tmp_path / "frame.png")
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 3
    space = {}
    exec("from visiontune.tune import *", space)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), space)
    assert (tmp_path / "tiles.onnx").is_file()


def test_it_is_short_enough_to_be_read():
    assert 60 <= len(README.splitlines()) <= 100


def test_the_picture_names_every_folder_and_nothing_that_is_not_there():
    picture = re.search(r"```\n(visiontune/\n.*?)```", README, re.DOTALL).group(1)
    named = set(re.findall(r"^ {0,2}(\w+)/", picture, re.MULTILINE))
    packages = {p.name for p in (ROOT / "visiontune").iterdir() if p.is_dir() and not p.name.startswith("__")}
    tops = {"visiontune", "recipes", "scripts", "tests"}
    assert packages - {"commands"} <= named
    assert named <= packages | tops


def test_its_files_and_scripts_exist():
    for script in re.findall(r"^(scripts/\w+)", README, re.MULTILINE):
        assert (ROOT / script).is_file()
    for link in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / link).exists()

"""The front door: what `import visiontune` offers, and that it opens where the lab is not installed."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import visiontune
from visiontune.cli import COMMANDS

LAB = "torch torchvision timm lightning albumentations onnx onnxscript cv2 scipy sklearn rich jinja2 matplotlib safetensors"

# Runs before anything else in a fresh interpreter: as if these packages were not installed.
WALL = f"""
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {LAB.split()!r}:
            raise ModuleNotFoundError('walled off: ' + name, name=name)

sys.meta_path.insert(0, Wall())
"""


def behind_the_wall(code, *arguments):
    """Runs `code` in a fresh interpreter without the lab; its output."""
    done = subprocess.run(
        [sys.executable, "-c", WALL + code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_door_lists_its_names_in_order():
    assert visiontune.__all__ == sorted(visiontune.__all__)
    assert all(hasattr(visiontune, name) for name in visiontune.__all__)


def test_everything_the_door_imports_is_listed():
    tree = ast.parse(Path(visiontune.__file__).read_text("utf-8"))
    names = {
        alias.asname or alias.name
        for n in ast.walk(tree)
        if isinstance(n, ast.ImportFrom)
        for alias in n.names
    }
    assert names == set(visiontune.__all__)


def test_the_whole_family_of_errors_is_at_the_door():
    from visiontune.runtime import errors

    family = {n for n, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert family <= set(visiontune.__all__)
    assert all(issubclass(getattr(errors, name), visiontune.VisiontuneError) for name in family)


def test_imports_without_the_lab():
    assert (
        behind_the_wall("import visiontune; print(visiontune.__version__)").strip() == visiontune.__version__
    )


def test_the_wall_holds():
    code = "\ntry:\n    import scipy\nexcept ModuleNotFoundError as error:\n    print(error)"
    assert "walled off: scipy" in behind_the_wall(code)


@pytest.mark.parametrize("name", [command.__name__.rpartition(".")[2] for command in COMMANDS])
def test_the_command_works_without_the_lab(name):
    code = f"""
from visiontune.cli import main
try:
    main(['{name}', '--help'])
except SystemExit as end:
    assert end.code == 0
"""
    assert f"usage: visiontune {name}" in behind_the_wall(code)


def test_judges_and_measures_without_the_lab(tmp_path):
    from PIL import Image

    from tests.line_models import level, line_model

    (tmp_path / "model.onnx").write_bytes(line_model())
    for label in ("good", "crack"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for value in range(20):
            Image.fromarray(level(value)).save(tmp_path / "data" / label / f"{value}.png")
    code = """
from visiontune.cli import main
model, data = sys.argv[1:]
assert main(['inspect', model, data]) == 0
assert main(['measure', model, data, '--split', 'all', '--prevalence', '0.02']) == 0
assert main(['compare', model, model, data, '--split', 'all']) == 0
"""
    out = behind_the_wall(code, str(tmp_path / "model.onnx"), str(tmp_path / "data"))
    assert out.count("\n") > 40 and "escapes" in out


def test_the_lab_says_what_to_install():
    code = """
import visiontune
try:
    import visiontune.tune
except visiontune.MissingExtra as error:
    print(error)
"""
    assert 'pip install "visiontune[train]"' in behind_the_wall(code)


@pytest.mark.parametrize(
    "arguments",
    [
        ["pod", "model.onnx", "good", "--out", "pod"],
        ["msa", "plan", "model.onnx", "data", "--out", "study"],
        ["msa", "analyse", "study"],
    ],
)
def test_a_study_says_what_to_install(arguments):
    code = f"""
from visiontune.cli import main
sys.stderr = sys.stdout
assert main({arguments!r}) == 2
"""
    out = behind_the_wall(code)
    assert 'pip install "visiontune[train]"' in out and out.count("\n") == 1

"""A model file and pictures for the subcommands, and a way to run them."""

from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from tests.line_models import a_card, level, line_model, table_model
from visiontune.cli import main


@dataclass
class Result:
    """What a subcommand left behind."""

    status: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()


@pytest.fixture
def visiontune(capfd):
    """Runs `visiontune` with these arguments."""

    def run(*arguments):
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code
        return Result(status, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Its severity is the first red value over 255; from half of it on it says crack. Bands 0.3 and 0.7."""
    severity = np.linspace(0, 1, 256)
    kinds = np.column_stack([1 - severity, severity, 0 * severity])
    path = tmp_path_factory.mktemp("models") / "model.onnx"
    path.write_bytes(table_model({"severity": severity, "kinds": kinds}, a_card()))
    return path


@pytest.fixture(scope="session")
def golden_model(tmp_path_factory):
    """A model with golden frames."""
    path = tmp_path_factory.mktemp("models") / "golden.onnx"
    path.write_bytes(line_model())
    return path


@pytest.fixture
def camera(tmp_path):
    """A folder with a passing, a doubtful and a rejected picture, one in a folder below, and a text."""
    folder = tmp_path / "camera"
    (folder / "b").mkdir(parents=True)
    for name, value in (("a.png", 0), ("b/c.PNG", 128), ("d.bmp", 255)):
        Image.fromarray(level(value)).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder

"""The `visiontune` command as a whole: help that teaches, one-line complaints, exit status, pipes."""

import subprocess
import sys

import pytest
from PIL import Image

from tests.line_models import level, line_model
from visiontune import __version__
from visiontune.cli import COMMANDS, main, parser

NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n    {name} " in text for name in NAMES)
    assert "Exit status" in text


@pytest.mark.parametrize("name", NAMES)
def test_every_command_shows_examples(name, capsys):
    with pytest.raises(SystemExit):
        main([name, "--help"])
    text = capsys.readouterr().out
    assert f"\n  visiontune {name} " in text


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"visiontune {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["jugde"],
        ["inspect"],
        ["inspect", "model.onnx"],
        ["measure", "m", "d", "--split", "tset"],
        ["card", "gone.onnx"],
        ["inspect", "gone.onnx", "frame.png"],
        ["card", "model.onnx", "--jsn"],
    ],
)
def test_wrong_use_ends_with_2_and_one_line(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as end:
        status = end.code
    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert shown.err.startswith("visiontune: ") and shown.err.count("\n") == 1


def test_an_interrupted_run_ends_quietly(monkeypatch, capsys):
    def interrupted(given):
        raise KeyboardInterrupt

    whole = parser()
    monkeypatch.setattr(whole, "parse_args", lambda arguments: type("Given", (), {"run": interrupted}))
    monkeypatch.setattr("visiontune.cli.parser", lambda: whole)
    assert main([]) == 130
    assert capsys.readouterr().err == ""


def test_a_reader_that_goes_away_leaves_no_traceback(tmp_path):
    (tmp_path / "model.onnx").write_bytes(line_model())
    Image.fromarray(level(0)).save(tmp_path / "a.png")
    code = "import sys; from visiontune.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = [sys.executable, "-c", code, "inspect", "model.onnx", *["a.png"] * 4]
    with subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (1, b"")

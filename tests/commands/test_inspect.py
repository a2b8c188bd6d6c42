"""`visiontune inspect`: one line a frame, never a pass for what cannot be read."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.line_models import a_card, level, table_model
from visiontune.runtime.region_bands import RegionBands


def test_one_line_a_frame_with_tabs(visiontune, model, camera):
    found = visiontune("inspect", model, camera)
    assert (found.status, found.err) == (0, "")
    assert [line.split("\t") for line in found.lines] == [
        ["pass", "0.0000", "good", str(camera / "a.png")],
        ["review", "0.5020", "crack", str(camera / "b/c.PNG")],
        ["reject", "1.0000", "crack", str(camera / "d.bmp")],
    ]


def test_json_lines(visiontune, model, camera):
    found = visiontune("inspect", model, camera / "d.bmp", camera / "a.png", "--json")
    first, second = map(json.loads, found.lines)
    assert (first["path"], first["decision"], first["kind"]) == (str(camera / "d.bmp"), "reject", "crack")
    assert set(second) == {"path", "decision", "severity", "kind", "kinds", "regions"}
    assert second["kinds"] == {"good": 1.0, "crack": 0.0, "scratch": 0.0}


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_what_cannot_be_read_is_reviewed_and_the_rest_still_judged(visiontune, model, camera, options):
    bad = camera / "bad.png"
    bad.write_bytes((camera / "a.png").read_bytes()[:-30])
    found = visiontune("inspect", model, bad, camera / "gone.png", camera / "a.png", *options)
    assert found.status == 1
    assert len(found.lines) == 3
    if options:
        rows = [json.loads(line) for line in found.lines]
        assert [row["decision"] for row in rows] == ["review", "review", "pass"]
        assert (rows[0]["severity"], rows[0]["kind"]) == (None, None)
        assert "expected a" in rows[0]["reason"] and "nothing there" in rows[1]["reason"]
    else:
        rows = [line.split("\t") for line in found.lines]
        assert [row[:3] for row in rows[:2]] == [["review", "-", "-"]] * 2
        assert "expected a" in rows[0][4] and rows[2][0] == "pass"


def test_odd_names_stay_on_their_line(visiontune, model, tmp_path):
    odd = tmp_path / "a\nb\tc\x1b[31m.png"
    Image.fromarray(level(0)).save(odd, "PNG")
    found = visiontune("inspect", model, odd)
    assert len(found.lines) == 1
    assert found.lines[0].endswith("a\\nb\\tc\\x1b[31m.png")
    assert found.lines[0].count("\t") == 3


def test_names_that_are_no_text(visiontune, model, tmp_path):
    try:
        odd = tmp_path / b"\xff.png".decode("utf-8", "surrogateescape")
        Image.fromarray(level(0)).save(odd, "PNG")
    except (OSError, UnicodeError):
        pytest.skip("this file system takes only text for names")
    assert visiontune("inspect", model, odd).lines[0].endswith("\\udcff.png")
    (line,) = visiontune("inspect", model, odd, "--json").lines
    assert json.loads(line)["path"] == str(odd)


def test_a_folder_without_pictures_is_wrong_use(visiontune, model, tmp_path):
    found = visiontune("inspect", model, tmp_path)
    assert (found.status, found.out) == (2, "")
    assert found.err.startswith("visiontune: ") and found.err.count("\n") == 1


@pytest.fixture
def boxes(tmp_path):
    """A model that sees a crack and a weak scratch in the right half of every frame."""
    rows = {"severity": np.full(256, 0.9)}
    rows["boxes"] = np.tile([[80.0, 40, 140, 60], [82, 80, 140, 90]], (256, 1, 1))
    rows["box_scores"], rows["box_kinds"] = np.tile([0.9, 0.2], (256, 1)), np.tile([1, 2], (256, 1))
    path = tmp_path / "boxes.onnx"
    path.write_bytes(table_model(rows, a_card(regions=RegionBands(high=0.5))))
    return path


def test_regions_are_drawn(visiontune, boxes, tmp_path):
    for name in ("a.png", "x/b.png", "y/b.png"):
        (tmp_path / "camera" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(level(7, (120, 160))).save(tmp_path / "camera" / name)
    (tmp_path / "camera/broken.png").write_bytes(b"no picture")
    found = visiontune("inspect", boxes, tmp_path / "camera", "--draw", tmp_path / "drawn")
    assert (found.status, len(found.lines)) == (1, 4)
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["a.png", "b-1.png", "b.png"]
    pixels = np.asarray(Image.open(tmp_path / "drawn/b-1.png"))
    assert pixels.shape == (120, 160, 3)
    assert (pixels[:, :78] == 7).all()  # the left half is as it was
    assert pixels[50, 80].tolist() == pixels[50, 139].tolist() == [86, 180, 233]  # the second class's colour
    assert (pixels[62:] == 7).all()  # what is too weak is not drawn


def test_a_drawing_never_takes_the_place_of_a_frame(visiontune, boxes, camera):
    before = {path: path.read_bytes() for path in camera.rglob("*.*")}
    found = visiontune("inspect", boxes, camera, "--draw", camera)
    assert found.status == 2 and "found the frame" in found.err and len(found.err.splitlines()) == 1
    assert {path: path.read_bytes() for path in camera.rglob("*.*")} == before


def test_a_folder_that_cannot_be_written_is_said(visiontune, boxes, camera, tmp_path):
    (tmp_path / "file").write_text("")
    found = visiontune("inspect", boxes, camera, "--draw", tmp_path / "file")
    assert found.status == 2 and "expected to write it" in found.err

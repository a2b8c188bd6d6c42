"""`visiontune pod`: the files it leaves, the table it prints, the complaints it makes."""

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.study.dark_model import dark_model


@pytest.fixture(scope="module")
def dark(tmp_path_factory):
    path = tmp_path_factory.mktemp("dark") / "dark.onnx"
    path.write_bytes(dark_model(50))
    return path


@pytest.fixture
def good(tmp_path):
    folder = tmp_path / "good"
    folder.mkdir()
    stream = np.random.default_rng(0)
    for number in range(24):
        levels = stream.normal(150, 6, (48, 60, 1)).repeat(3, 2).clip(0, 255).astype(np.uint8)
        Image.fromarray(levels).save(folder / f"part{number // 2:02}_{number % 2}.png")
    return folder


FEW = ("--plantings", 24, "--kinds", "spot", "--contrasts=-90", "--sizes", "2,20")


def test_table_and_files(visiontune, dark, good, tmp_path):
    out = tmp_path / "pod"
    done = visiontune("pod", dark, good, "--out", out, *FEW, "--pixel-mm", 0.1)
    assert (done.status, done.err) == (0, "")
    assert "not your real ones" in done.lines[0]
    assert any(line.startswith("spot") and "/24" in line for line in done.lines)
    assert {path.name for path in out.iterdir()} == {"pod.json", "planted.csv", "planted.png", "pod.html"}
    said = json.loads((out / "pod.json").read_text())
    assert (said["pictures"], said["pixel_mm"]) == (24, 0.1)
    with (out / "planted.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24 and {row["kind"] for row in rows} == {"spot"}
    found = [row["decision"] != "pass" for row in rows]
    assert sum(found) == said["series"][0]["curve"]["found"]
    page = (out / "pod.html").read_text()
    assert "not your real ones" in page and "<script" not in page and "data:image/" in page


def test_json_is_what_the_file_holds(visiontune, dark, good, tmp_path):
    done = visiontune("pod", dark, good, "--out", tmp_path / "pod", *FEW, "--json")
    assert json.loads(done.out) == json.loads((tmp_path / "pod" / "pod.json").read_text())


def test_parts_by_a_pattern(visiontune, dark, good, tmp_path):
    done = visiontune("pod", dark, good, "--out", tmp_path / "pod", *FEW, "--group", r"(part\d+)_")
    assert done.status == 0
    curve = json.loads((tmp_path / "pod" / "pod.json").read_text())["series"][0]["curve"]
    assert (curve["planted"], curve["groups"]) == (24, 12)


def test_of_labelled_data_the_good_ones_are_taken(visiontune, dark, good, tmp_path):
    data = tmp_path / "data"
    shutil.copytree(good, data / "good")
    (data / "dark").mkdir()
    Image.fromarray(np.full((48, 60, 3), 10, np.uint8)).save(data / "dark" / "x.png")
    done = visiontune("pod", dark, data, "--out", tmp_path / "pod", *FEW, "--json")
    said = json.loads(done.out)
    assert (said["pictures"], said["false_calls"]["hits"]) == (24, 0)


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--kinds", "dot"], "expected kinds of spot, stain, scratch, crack"),
        (["--contrasts=0"], "1 to 255 grey levels"),
        (["--contrasts=dark"], "expected numbers"),
        (["--sizes", "5"], "expected --sizes LOW,HIGH"),
        (["--pixel-mm", "-1"], "expected millimetres > 0"),
        (["--group", "part"], "expected (...) around the part's name"),
        (["--group", "(dent)"], "to find the part, found none"),
        (["--group", "("], "expected a regular expression"),
        (["--seed", "-1"], "from 0"),
        (["--plantings", "3"], "at least 10 plantings"),
        (["--where", "nowhere.png"], "nowhere.png"),
    ],
)
def test_wrong_use_is_one_line_and_writes_nothing(visiontune, dark, good, tmp_path, more, complaint):
    done = visiontune("pod", dark, good, "--out", tmp_path / "pod", *more)
    assert (done.status, done.out) == (2, "")
    assert complaint in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "pod").exists()


def test_no_folder_of_pictures(visiontune, dark, tmp_path):
    done = visiontune("pod", dark, tmp_path / "gone", "--out", tmp_path / "pod")
    assert done.status == 2 and "expected a folder of good pictures" in done.err

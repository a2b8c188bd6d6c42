"""`visiontune audit`: results alone on stdout, exit status by harm, nothing overwritten, at work without the lab."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image

from tests.house.test_doors import behind_the_wall


@pytest.fixture
def tiles(tmp_path):
    """Class folders: 30 good and 30 cracked tiles, each with a grain of its own."""
    rng = np.random.default_rng(0)
    for label in ("good", "crack"):
        folder = tmp_path / "tiles" / label
        folder.mkdir(parents=True)
        for i in range(30):
            Image.fromarray(rng.integers(60, 190, (48, 48), dtype=np.uint8)).save(folder / f"{label}_{i}.png")
    return tmp_path / "tiles"


@pytest.fixture
def spoilt(tiles):
    """The same with a broken file and a copy under the other label."""
    (tiles / "good" / "good_0.png").write_bytes(b"broken")
    (tiles / "good" / "again.png").write_bytes((tiles / "crack" / "crack_0.png").read_bytes())
    return tiles


def test_a_clean_set_is_status_0(visiontune, tiles):
    found = visiontune("audit", tiles)
    assert (found.status, found.err) == (0, "")
    assert "0 serious" in found.out and len(found.lines) <= 60


def test_serious_findings_are_status_1_and_come_first(visiontune, spoilt):
    found = visiontune("audit", spoilt)
    assert (found.status, found.err) == (1, "")
    assert "3 serious" in found.out and "SERIOUS" in found.out
    assert "good/good_0.png" in found.out and "crack/crack_0.png" in found.out
    assert found.out.index("SERIOUS") < found.out.index("TO KNOW")


def test_json_is_one_object_with_every_file(visiontune, spoilt):
    found = visiontune("audit", spoilt, "--json")
    assert found.status == 1 and len(found.lines) == 1
    said = json.loads(found.out)
    assert said["schema"] == 1 and said["data"]["good"] == "good" and said["data"]["pictures"] == 61
    codes = {finding["code"]: finding for finding in said["findings"]}
    assert codes["unreadable"]["files"] == ["good/good_0.png"]
    assert codes["copies-disagree"]["sets"] == [["crack/crack_0.png", "good/again.png"]]


def test_fix_writes_once(visiontune, spoilt, tmp_path):
    found = visiontune("audit", spoilt, "--fix", tmp_path / "cleaned.csv", "--json")
    assert found.status == 1 and json.loads(found.out)
    assert "rows 58" in found.err and "unreadable 1" in found.err
    assert (tmp_path / "cleaned.csv").read_text().startswith("path,label,mask,boxes,group,split,audit\n")
    again = visiontune("audit", spoilt, "--fix", tmp_path / "cleaned.csv")
    assert (again.status, again.out) == (2, "")
    assert again.err.startswith("visiontune: ") and again.err.count("\n") == 1


def test_html_is_one_page_that_needs_nothing(visiontune, spoilt, tmp_path):
    found = visiontune("audit", spoilt, "--html", tmp_path / "out" / "audit.html")
    assert found.status == 1
    page = (tmp_path / "out" / "audit.html").read_text()
    assert "3 serious findings" in page and "data:image/jpeg;base64," in page
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["audit.html"]


def test_the_page_escapes_foreign_names(visiontune, tiles, tmp_path):
    (tiles / "good" / "<b>&.png").write_bytes(b"broken")
    visiontune("audit", tiles, "--html", tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert "<b>&.png" not in page and "&lt;b&gt;&amp;.png" in page


@pytest.mark.parametrize(
    "arguments",
    [
        ["gone"],
        ["tiles", "--good", "perfect"],
        ["tiles", "--group", "no_group"],
        ["tiles", "--ignore", "nothing_such"],
        ["tiles", "--ignore", ","],
        ["tiles", "--augment", "no_such_policy"],
    ],
)
def test_wrong_use_is_status_2_and_one_line(visiontune, tiles, monkeypatch, arguments):
    monkeypatch.chdir(tiles.parent)
    found = visiontune("audit", *arguments)
    assert (found.status, found.out) == (2, "")
    assert found.err.startswith("visiontune: ") and found.err.count("\n") == 1


def test_groups_by_a_pattern(visiontune, tiles):
    found = json.loads(visiontune("audit", tiles, "--group", r"_(\d+)", "--json").out)
    assert found["data"]["groups"] == 30
    assert any(finding["code"] == "labels-differ" for finding in found["findings"])


def test_a_policy_from_a_file(visiontune, tiles, tmp_path):
    from visiontune.data.policies import flat_sheet

    (tmp_path / "mine.json").write_text(json.dumps(flat_sheet().to_json()))
    found = visiontune("audit", tiles, "--augment", tmp_path / "mine.json")
    assert found.status == 0 and "flat_sheet" in found.out
    (tmp_path / "bad.json").write_text("{")
    assert visiontune("audit", tiles, "--augment", tmp_path / "bad.json").status == 2


def test_it_works_without_the_lab(spoilt):
    code = """
from visiontune.cli import main
assert main(['audit', sys.argv[1]]) == 1
"""
    out = behind_the_wall(code, os.fspath(spoilt))
    assert "good/good_0.png" in out and "needs scikit-learn" in out


def test_what_needs_the_lab_says_so(tiles):
    code = """
from visiontune.cli import main
for options in (['--html', 'x.html'], ['--embed', 'resnet18'], ['--augment', 'flat_sheet']):
    print(main(['audit', sys.argv[1], *options]))
"""
    out = behind_the_wall(code, os.fspath(tiles))
    assert out.split()[:2] == ["2", "2"]


def test_the_page_shows_no_file_outside_the_folder(visiontune, tiles, tmp_path):
    secret = tmp_path / "secret.png"
    Image.fromarray(np.full((60, 60), 200, np.uint8)).save(secret)
    rows = [f"good/good_{i}.png,good" for i in range(30)] + ["../secret.png,good"]
    (tiles / "manifest.csv").write_text("\n".join(["path,label", *rows]))
    found = visiontune("audit", tiles, "--html", tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert found.status == 1 and "../secret.png" in page and "data:image" not in page


def test_the_contact_sheet_of_a_policy_lies_beside_the_page(tmp_path, parts_folder):
    from PIL import Image

    from visiontune.commands.audit import draw_sheet
    from visiontune.data.policies import flat_sheet

    sheet = draw_sheet(flat_sheet(), parts_folder, tmp_path / "page.html")
    assert sheet == tmp_path / "page-flat_sheet.png"
    assert min(Image.open(sheet).size) > 150

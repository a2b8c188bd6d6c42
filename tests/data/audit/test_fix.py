"""The cleaned manifest: `read` reads it, it holds what can be trained on, groups are the found parts, pictures stay untouched."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace

import pytest

from visiontune.data.audit import audit
from visiontune.data.read import read
from visiontune.runtime.errors import BadData


def state(root):
    return {
        path.relative_to(root): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def fixed(bench, tmp_path_factory):
    """A set with faults, read without its groups, and what --fix made of it."""
    b = bench()
    good, scratch, stain = (b.parts(kind) for kind in ("good", "scratch", "stain"))
    (b.root / good[0][0]).write_bytes(b"broken")
    b.add("images/copy.png", (b.root / good[1][0]).read_bytes(), "good")
    b.add("images/other.png", (b.root / good[2][0]).read_bytes(), "stain")
    b.rows[scratch[0][0]] |= {"label": "good", "mask": "", "boxes": "none"}
    b.write()
    before = state(b.root)
    found = audit(b.root, ignore=("group",))
    path = tmp_path_factory.mktemp("fixed") / "cleaned.csv"
    counts = found.fix(path)
    assert state(b.root) == before
    return b, path, counts, (good, scratch, stain)


def test_it_counts_what_it_left_out(fixed):
    _, path, counts, _ = fixed
    assert counts["unreadable"] == 1 and counts["copies"] == 1 and counts["copies_that_disagree"] == 2
    assert counts["rows"] == 178 - 4 == len(path.read_text().splitlines()) - 1


def test_read_reads_it_in_place(fixed, tmp_path):
    b, path, _, (good, scratch, stain) = fixed
    shutil.copytree(b.root, tmp_path / "set")
    shutil.copy(path, tmp_path / "set" / "manifest.csv")
    data = {sample.id: sample for sample in read(tmp_path / "set")}
    assert good[0][0] not in data and good[2][0] not in data and "images/other.png" not in data
    assert ("images/copy.png" in data) != (good[1][0] in data)
    one, other = stain[3]
    assert data[one].group == data[other].group != data[stain[4][0]].group
    assert data[one].mask is not None and data[one].boxes
    assert data[one].attributes["camera"] == b.rows[one]["camera"]
    assert "another label" in data[scratch[0][0]].attributes["audit"]
    assert not data[one].attributes["audit"]


def test_the_cleaned_set_gives_no_serious_alarm(fixed, tmp_path):
    b, path, _, _ = fixed
    shutil.copytree(b.root, tmp_path / "set")
    shutil.copy(path, tmp_path / "set" / "manifest.csv")
    again = audit(tmp_path / "set")
    assert not again.serious
    assert {finding.code for finding in again.findings if finding.harm == "check"} == {"labels-differ"}


def test_it_refuses_to_overwrite(clean, tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("mine")
    with pytest.raises(BadData, match="expected no file there yet"):
        clean.fix(path)
    assert path.read_text() == "mine"
    with pytest.raises(BadData, match="expected to write there"):
        clean.fix(tmp_path / "gone" / "x.csv")
    assert [p.name for p in tmp_path.iterdir()] == ["mine.csv"]


def test_given_groups_stay_and_torn_splits_are_taken_back(painted, tmp_path):
    data = read(painted.root)
    (one, other), (third, fourth) = painted.parts("good")[:2]
    shares = {one: "train", other: "test", third: "val", fourth: "val"}
    samples = tuple(replace(sample, split=shares.get(sample.id, "train")) for sample in data)
    found = audit(replace(data, samples=samples))
    assert found.fix(tmp_path / "x.csv")["splits_taken_back"] == 2
    rows = {line.split(",")[0]: line.split(",") for line in (tmp_path / "x.csv").read_text().splitlines()}
    assert rows[one][4] == rows[other][4] == "part_0"
    assert (rows[one][5], rows[other][5], rows[third][5]) == ("", "", "val")

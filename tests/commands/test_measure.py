"""`visiontune measure`: reads and splits by the card's rule, prints only the result on stdout."""

import json

import numpy as np
import pytest
from PIL import Image

from tests.line_models import a_card, level, table_model


@pytest.fixture
def parts(tmp_path):
    """Class folders: 40 good (0..39) and 40 cracked (180..219) parts, in groups of two by name."""
    for label, first in (("good", 0), ("crack", 180)):
        folder = tmp_path / "parts" / label
        folder.mkdir(parents=True)
        for value in range(first, first + 40):
            Image.fromarray(level(value)).save(folder / f"{label}{value // 2:03}_{value}.png")
    return tmp_path / "parts"


def test_the_test_share_by_default_as_a_table(visiontune, model, parts):
    found = visiontune("measure", model, parts)
    assert (found.status, found.err) == (0, "")
    n = int(found.lines[0].split()[0])
    assert 0 < n < 40
    assert any(line.startswith("escapes") for line in found.lines)


def test_the_shares_add_up(visiontune, model, parts):
    counts = {}
    for share in ("train", "val", "test", "all"):
        found = visiontune("measure", model, parts, "--split", share, "--json")
        assert len(found.lines) == 1
        counts[share] = json.loads(found.out)["n"]
    assert counts["all"] == 80 == counts["train"] + counts["val"] + counts["test"]


def test_the_cards_rule_is_used(visiontune, parts, tmp_path):
    severity = np.linspace(0, 1, 256)
    rule = {**a_card().data, "group_pattern": r"/([a-z]+\d+)_", "split_seed": 3, "fractions": [0.2, 0.2, 0.6]}
    path = tmp_path / "grouped.onnx"
    path.write_bytes(table_model({"severity": severity}, a_card(data=rule)))
    found = json.loads(visiontune("measure", path, parts, "--json").out)
    assert 36 < found["n"] < 64
    assert found["groups"] == found["n"] / 2


def test_the_cards_seed_is_used(visiontune, parts, tmp_path):
    shares = set()
    for seed in range(4):
        path = tmp_path / f"{seed}.onnx"
        card = a_card(data={**a_card().data, "split_seed": seed})
        path.write_bytes(table_model({"severity": np.linspace(0, 1, 256)}, card))
        found = json.loads(visiontune("measure", path, parts, "--json").out)
        shares.add((found["n"], found["escapes"]["of"]))
    assert len(shares) > 1


def test_an_empty_share_names_the_others(visiontune, model, parts):
    rows = [f"{path.relative_to(parts).as_posix()},{path.parent.name},lot 1" for path in parts.rglob("*.png")]
    (parts / "manifest.csv").write_text("\n".join(["path,label,group", *rows]) + "\n")
    found = {
        share: visiontune("measure", model, parts, "--split", share) for share in ("train", "val", "test")
    }
    (full,) = [share for share, result in found.items() if result.status == 0]  # one group, one share
    for share, result in found.items():
        if share != full:
            assert (result.status, result.out) == (2, "")
            assert f"'{share}', found {full} 80;" in result.err and result.err.count("\n") == 1


def test_unknown_labels_are_named(visiontune, model, parts):
    (parts / "crack").rename(parts / "dent")
    found = visiontune("measure", model, parts, "--split", "all")
    assert found.status == 2
    assert "dent" in found.err and found.err.count("\n") == 1


def test_data_that_is_not_there(visiontune, model, tmp_path):
    found = visiontune("measure", model, tmp_path / "gone")
    assert (found.status, found.out) == (2, "")
    assert "gone" in found.err

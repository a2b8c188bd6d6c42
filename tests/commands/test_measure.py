"""`visiontune measure`: reads and splits by the card's rule, prints only the result on stdout."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tests.line_models import a_card, labelled_parts, level, table_model
from visiontune.data.read import read
from visiontune.data.splits import split
from visiontune.runtime.card import Proof
from visiontune.runtime.proof import fingerprint


@pytest.fixture
def parts(tmp_path):
    """Good and cracked parts, in groups of two by name."""
    return labelled_parts(tmp_path / "parts", lambda label, grey: f"{label}{grey // 2:03}_{grey}")


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


# new lots, the line's rate, groups


def test_a_new_lot_without_a_good_part(visiontune, model, parts):
    shutil.rmtree(parts / "good")
    found = visiontune("measure", model, parts, "--split", "all", "--json")
    assert (found.status, found.err) == (0, "")
    measured = json.loads(found.out)
    assert (measured["escapes"]["of"], measured["overkill"]["of"], measured["overkill"]["rate"]) == (
        40,
        0,
        None,
    )
    assert visiontune("measure", model, parts, "--split", "all").status == 0


def test_a_new_lot_of_good_parts_only(visiontune, model, parts):
    shutil.rmtree(parts / "crack")
    found = json.loads(visiontune("measure", model, parts, "--split", "all", "--json").out)
    assert (found["escapes"]["of"], found["escapes"]["upper"], found["overkill"]["of"]) == (0, 1, 40)
    at_line = visiontune("measure", model, parts, "--split", "all", "--prevalence", "0.01")
    assert at_line.status == 0 and "nan" not in at_line.out.lower()


def test_a_new_lot_need_not_have_the_columns_that_fine_tuning_ignored(visiontune, parts, tmp_path):
    rule = {**a_card().data, "ignored": ["camera"]}
    (tmp_path / "m.onnx").write_bytes(table_model({"severity": np.linspace(0, 1, 256)}, a_card(data=rule)))
    rows = [f"{path.relative_to(parts).as_posix()},{path.parent.name}" for path in parts.rglob("*.png")]
    (parts / "manifest.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    assert visiontune("measure", tmp_path / "m.onnx", parts, "--split", "all").status == 0


def test_a_good_class_of_another_name_is_still_told(visiontune, model, parts):
    (parts / "good").rename(parts / "goood")
    found = visiontune("measure", model, parts, "--split", "all")
    assert found.status == 2
    assert "did you mean 'goood'?" in found.err


def made_from(parts, **changes):
    """A card that says its model was made from these parts."""
    divided = split(read(parts))
    return a_card(data={**a_card().data, "counts": divided.counts(), "digest": divided.digest()}, **changes)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        ("test", "has learnt nothing from its test share"),
        ("val", "warning: the thresholds were set on its val share"),
        ("train", "warning: the model learnt from its train share"),
        ("all", "warning: the model learnt from most of them"),
    ],
)
def test_the_data_of_fine_tuning_are_recognised(visiontune, parts, tmp_path, share, said):
    path = tmp_path / "made.onnx"
    path.write_bytes(table_model({"severity": np.linspace(0, 1, 256)}, made_from(parts)))
    found = visiontune("measure", path, parts, "--split", share)
    assert found.lines[1].startswith("data: those of fine-tuning") and said in found.lines[1]
    assert json.loads(visiontune("measure", path, parts, "--split", share, "--json").out)["data"]["same"]


def test_one_changed_pixel_makes_other_data(visiontune, parts, tmp_path):
    path = tmp_path / "made.onnx"
    path.write_bytes(table_model({"severity": np.linspace(0, 1, 256)}, made_from(parts)))
    Image.fromarray(level(3)).save(next((parts / "good").iterdir()))
    found = visiontune("measure", path, parts)
    assert "not those of fine-tuning, or changed since" in found.lines[1]
    assert "--split all takes a whole new lot" in found.lines[1]


def test_val_pictures_in_a_new_lot_are_told(visiontune, parts, tmp_path):
    known = tuple(fingerprint(path) for path in sorted((parts / "good").iterdir())[:3])
    proof = Proof(
        frames=3, max_severity_difference=0.0, flips=0, worst=known[0], sha256=known, severity=(0.5,) * 3
    )
    path = tmp_path / "m.onnx"
    path.write_bytes(table_model({"severity": np.linspace(0, 1, 256)}, a_card(proof=proof)))
    found = visiontune("measure", path, parts, "--split", "all")
    assert "warning: 3 of these pictures are of the val share" in found.lines[1]


def test_the_lines_rate_and_costs(visiontune, model, parts):
    options = ("--prevalence", "0.02", "--costs", "escape=100,overkill=5,review=1")
    found = visiontune("measure", model, parts, "--split", "all", *options)
    assert (found.status, found.err) == (0, "")
    assert "on a line where 2.00% of the parts are defective" in found.out
    assert "warning: 50.00% of the measured parts are defective" in found.out
    line = json.loads(visiontune("measure", model, parts, "--split", "all", *options, "--json").out)["line"]
    assert (line["shipped_escapes"]["value"], line["cost"]["value"]) == (0, 0)
    assert line["cost"]["upper"] > 0


def test_attributes_of_a_manifest_are_compared(visiontune, model, parts):
    rows = [
        f"{path.relative_to(parts).as_posix()},{path.parent.name},{'AB'[int(path.stem[-1]) % 2]},{path.stem}"
        for path in parts.rglob("*.png")
    ]
    (parts / "manifest.csv").write_text("\n".join(["path,label,camera,serial", *rows]) + "\n")
    found = visiontune("measure", model, parts, "--split", "all")
    assert "escapes by camera, worst first" in found.out
    assert "nearly every part: serial" in found.out
    by = json.loads(visiontune("measure", model, parts, "--split", "all", "--by", "serial", "--json").out)
    assert {one["by"] for one in by["slices"]} == {"kind", "serial"}
    wrong = visiontune("measure", model, parts, "--split", "all", "--by", "colour")
    assert wrong.status == 2 and "there are camera, serial" in wrong.err


@pytest.mark.parametrize(
    "option",
    [
        ("--prevalence", "2"),
        ("--costs", "escape=1,overkill=1,review=1"),
        ("--prevalence", "0.1", "--costs", "escape=1"),
        ("--confidence", "0"),
    ],
)
def test_wrong_options_are_one_line(visiontune, model, parts, option):
    found = visiontune("measure", model, parts, *option)
    assert (found.status, found.out) == (2, "")
    assert found.err.startswith("visiontune: ") and found.err.count("\n") == 1


def test_masks_are_compared_with_the_heatmap(visiontune, parts, tmp_path):
    heat = np.zeros((256, 2, 2), np.float32)
    heat[200:, 0, 1] = 1
    rows = {"severity": np.linspace(0, 1, 256), "heatmap": heat}
    (tmp_path / "m.onnx").write_bytes(table_model(rows))
    Image.fromarray(np.array([[0, 255], [0, 0]], np.uint8)).save(parts / "mask.png")
    lines = ["path,label,mask"]
    for path in sorted(parts.rglob("*_*.png")):
        name = path.relative_to(parts).as_posix()
        lines.append(f"{name},{path.parent.name},{'mask.png' if path.parent.name == 'crack' else ''}")
    (parts / "manifest.csv").write_text("\n".join(lines) + "\n")
    found = visiontune("measure", tmp_path / "m.onnx", parts, "--split", "all")
    assert (found.status, found.err) == (0, "")
    (line,) = [line for line in found.lines if line.startswith("found")]
    assert "20/40" in line
    where = json.loads(visiontune("measure", tmp_path / "m.onnx", parts, "--split", "all", "--json").out)[
        "localisation"
    ]
    assert where["found"]["hits"] == 20 and where["good"] == 40
    assert where["iou"]["crack"] == 0.5

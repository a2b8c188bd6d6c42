"""`visiontune compare`: the same share for both, what is printed, go and no-go as exit status."""

import json
import shutil

import numpy as np
import pytest

from tests.line_models import a_card, labelled_parts, table_model
from visiontune.data.read import read
from visiontune.data.splits import split
from visiontune.runtime.bands import Bands
from visiontune.runtime.card import Proof
from visiontune.runtime.proof import fingerprint

SEVERITY = np.linspace(0, 1, 256)
KINDS = np.column_stack([1 - SEVERITY, SEVERITY, 0 * SEVERITY])


@pytest.fixture
def parts(tmp_path):
    """Good and cracked parts."""
    return labelled_parts(tmp_path / "parts", lambda label, grey: grey)


@pytest.fixture
def save(tmp_path):
    """Writes a model with a card that differs in these fields."""

    def write(name, **changes):
        card = a_card(**changes)
        (tmp_path / name).write_bytes(table_model({"severity": SEVERITY, "kinds": KINDS}, card))
        return tmp_path / name

    return write


def test_the_same_model_goes(visiontune, model, parts):
    found = visiontune("compare", model, model, parts)
    assert (found.status, found.err) == (0, "")
    assert found.lines[-1] == "GO: NEW may replace OLD"
    assert found.lines[1].startswith("data: not those of fine-tuning")
    assert 0 < int(found.lines[0].split()[0]) < 40


def test_a_model_that_lets_parts_pass_does_not_go(visiontune, model, save, parts):
    lax = save("lax.onnx", bands=Bands(0.75, 0.9))  # 180..191 of the cracked pass
    found = visiontune("compare", model, lax, parts, "--split", "all")
    assert found.status == 1
    assert found.lines[-1].startswith("NO-GO: 12 of 40 defective parts pass that did not with OLD")
    shown = [line for line in found.lines if line.startswith("  new escape")]
    assert len(shown) == 12
    assert shown[0] == "  new escape          crack: reject (crack) -> pass (crack)  crack/180.png"
    assert visiontune("compare", model, lax, parts, "--split", "all", "--allow", "0.5").status == 0
    back = visiontune("compare", lax, model, parts, "--split", "all")
    assert back.status == 0 and "mended" in back.out


def test_json_has_every_flip(visiontune, model, save, parts):
    lax = save("lax.onnx", bands=Bands(0.85, 0.9))
    result = visiontune("compare", model, lax, parts, "--split", "all", "--json")
    found = json.loads(result.out)
    assert result.status == 1 and result.out.count("\n") == 1
    assert (found["go"], len(found["flips"]), found["escapes"]["worse"]) == (False, 40, 37)
    assert found["data"]["share"] == "all"


def test_both_judge_the_share_of_the_old_card(visiontune, model, save, parts):
    old = save("old.onnx", data={**a_card().data, "split_seed": 5})
    shares = [
        {flip["path"] for flip in json.loads(visiontune("compare", *pair, parts, "--json").out)["flips"]}
        for pair in ((old, save("lax.onnx", bands=Bands(2, 2))), (old, save("lax.onnx", bands=Bands(2, 2))))
    ]
    wanted = {str(s.path) for s in split(read(parts), seed=5).share("test")}
    assert {path for path in shares[0] if "crack" in path} == {path for path in wanted if "crack" in path}


def test_another_split_of_the_new_model_is_told(visiontune, model, save, parts):
    other = save("other.onnx", data={**a_card().data, "split_seed": 9})
    found = visiontune("compare", model, other, parts)
    assert "warning: by the rule in its card NEW may have been made from" in found.lines[2]
    assert "warning" not in visiontune("compare", model, model, parts).out
    assert (
        "warning" not in visiontune("compare", model, other, parts, "--split", "all").out
    )  # a new lot, as far as is known


def test_a_new_model_that_is_known_to_have_learnt_from_the_parts_does_not_go(visiontune, model, save, parts):
    divided = split(read(parts), seed=9)
    data = {**a_card().data, "split_seed": 9, "counts": divided.counts(), "digest": divided.digest()}
    found = visiontune("compare", model, save("new.onnx", data=data), parts)
    assert found.status == 1
    assert "NEW was made from" in found.lines[-1]


def test_a_new_model_whose_thresholds_were_set_on_the_parts_does_not_go(visiontune, model, save, parts):
    known = tuple(fingerprint(path) for path in sorted(parts.rglob("*.png")))
    proof = Proof(
        frames=80,
        max_severity_difference=0.0,
        flips=0,
        worst=known[0],
        sha256=known,
        severity=(0.5,) * 80,
    )
    found = visiontune("compare", model, save("new.onnx", proof=proof), parts, "--split", "all")
    assert found.status == 1
    assert "NEW was made from 80 or more of these pictures" in found.lines[-1]


def test_other_classes_are_wrong_use(visiontune, model, save, parts):
    card = a_card(classes=("good", "crack"))
    path = save("two.onnx")
    path.write_bytes(table_model({"severity": SEVERITY, "kinds": KINDS[:, :2]}, card))
    found = visiontune("compare", model, path, parts)
    assert (found.status, found.out) == (2, "")
    assert "expected models of the same classes" in found.err and found.err.count("\n") == 1


@pytest.mark.parametrize("option", [("--allow", "2"), ("--confidence", "1"), ("--allow", "x")])
def test_wrong_options_are_one_line(visiontune, model, parts, option):
    found = visiontune("compare", model, model, parts, *option)
    assert (found.status, found.out) == (2, "")
    assert found.err.count("\n") == 1


def test_changed_bands_of_a_real_file_are_seen(visiontune, model, parts, tmp_path):
    """`card --set-bands`, then compare: what a line does before it takes other thresholds."""
    shutil.copy(model, tmp_path / "new.onnx")
    assert visiontune("card", tmp_path / "new.onnx", "--set-bands", "0.01", "0.7").status == 0
    found = visiontune("compare", model, tmp_path / "new.onnx", parts, "--split", "all")
    assert found.status == 1
    assert "significantly more good parts do not pass: 37 newly" in found.lines[-1]

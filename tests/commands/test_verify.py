"""`visiontune verify`: which check fails, and that it is the first one."""

from dataclasses import replace

import pytest

from tests.line_models import resealed
from visiontune import Inspector


def states(found):
    return {line.split()[0]: line[9:17].strip() for line in found.lines}


def test_all_checks_of_a_sound_model(visiontune, golden_model):
    found = visiontune("verify", golden_model)
    assert (found.status, found.err) == (0, "")
    assert states(found) == dict.fromkeys(("seal", "session", "card", "outputs", "golden"), "ok")


@pytest.mark.parametrize(
    ("spoil", "failing"),
    [
        (lambda data, card: data.replace(b"tiny", b"tony"), "seal"),
        (lambda data, card: resealed(data.replace(b"Softmax", b"Softmux"), card.to_json()), "session"),
        (lambda data, card: resealed(data, None), "card"),
        (
            lambda data, card: resealed(data, replace(card, classes=("good",), golden=None).to_json()),
            "outputs",
        ),
        (
            lambda data, card: resealed(data, replace(card, golden=replace(card.golden, seed=5)).to_json()),
            "golden",
        ),
    ],
)
def test_the_failing_check_is_told_and_the_rest_not_run(visiontune, golden_model, tmp_path, spoil, failing):
    path = tmp_path / "model.onnx"
    path.write_bytes(spoil(golden_model.read_bytes(), Inspector(golden_model).card))
    found = visiontune("verify", path)
    assert found.status == 1
    order = list(states(found))
    place = order.index(failing)
    assert list(states(found).values()) == ["ok"] * place + ["failed"] + ["not run"] * (
        len(order) - place - 1
    )


def test_no_file_is_wrong_use(visiontune, tmp_path):
    found = visiontune("verify", tmp_path / "gone.onnx")
    assert (found.status, found.out) == (2, "")
    assert found.err.count("\n") == 1

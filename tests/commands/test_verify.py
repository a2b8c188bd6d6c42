"""`visiontune verify`: which check fails, and that it is the first one."""

from dataclasses import replace

import pytest

from tests.line_models import line_model, looping_model, resealed
from visiontune import Inspector
from visiontune.runtime import model as opening
from visiontune.runtime.card import Proof
from visiontune.runtime.golden import hashes
from visiontune.runtime.proof import fingerprint
from visiontune.runtime.wire import with_scalars

CHECKS = ("seal", "session", "card", "outputs", "bands", "golden", "probes", "proof")


def states(found):
    return {line.split()[0]: line[9:17].strip() for line in found.lines}


def test_all_checks_of_a_sound_model(visiontune, golden_model):
    found = visiontune("verify", golden_model)
    assert (found.status, found.err) == (0, "")
    assert states(found) == dict.fromkeys(CHECKS[:-1], "ok")


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
            lambda data, card: resealed(with_scalars(data, {"bands.review_from": 0.1}), card.to_json()),
            "bands",
        ),
        (
            lambda data, card: resealed(data, replace(card, golden=replace(card.golden, seed=5)).to_json()),
            "golden",
        ),
        (
            lambda data, card: resealed(
                data, replace(card, golden=replace(card.golden, sha256=2 * ("0" * 64,))).to_json()
            ),
            "golden",
        ),
        (
            lambda data, card: resealed(
                data, replace(card, probes=(replace(card.golden, seed=5),)).to_json()
            ),
            "probes",
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


def test_painted_frames_have_the_hashes_in_the_card(visiontune, golden_model, tmp_path):
    card = Inspector(golden_model).card
    golden = replace(card.golden, sha256=hashes(card.golden.paint()))
    path = tmp_path / "model.onnx"
    path.write_bytes(
        resealed(golden_model.read_bytes(), replace(card, golden=golden, probes=(golden,)).to_json())
    )
    found = visiontune("verify", path)
    assert set(states(found).values()) == {"ok"} and "frames of 41 x 29 (h x w)" in found.out


def test_a_graph_without_end_is_given_up(visiontune, tmp_path, monkeypatch):
    monkeypatch.setattr(opening, "SELF_TEST_S", 0.2)
    golden = Inspector(line_model()).card.golden
    path = tmp_path / "model.onnx"
    path.write_bytes(looping_model([2**62] * 256, golden=golden))
    found = visiontune("verify", path)
    assert found.status == 1 and states(found)["golden"] == "failed" and "budget of 200 ms" in found.out


@pytest.fixture
def proved(golden_model, camera, tmp_path):
    """A model whose proof knows two of the camera's pictures."""
    inspector = Inspector(golden_model)
    known = [camera / "a.png", camera / "d.bmp"]
    proof = Proof(
        frames=2,
        max_severity_difference=0.0,
        flips=0,
        worst=fingerprint(known[0]),
        sha256=tuple(map(fingerprint, known)),
        severity=tuple(inspector(path).severity for path in known),
    )
    path = tmp_path / "proved.onnx"
    path.write_bytes(resealed(golden_model.read_bytes(), replace(inspector.card, proof=proof).to_json()))
    return path


def test_the_proof_is_repeated_on_the_pictures_that_are_there(visiontune, proved, camera):
    found = visiontune("verify", proved, "--data", camera)
    assert list(states(found)) == list(CHECKS) and found.status == 0
    assert "2 of 2 pictures of the proof, severity within 0" in found.lines[-1]
    (camera / "d.bmp").unlink()
    assert "1 of 2 pictures" in visiontune("verify", proved, "--data", camera).lines[-1]


def test_a_picture_judged_otherwise_than_at_export(visiontune, proved, camera):
    card = Inspector(proved).card
    other = replace(card.proof, severity=(card.proof.severity[0], card.proof.severity[1] / 2))
    proved.write_bytes(resealed(proved.read_bytes(), replace(card, proof=other).to_json()))
    found = visiontune("verify", proved, "--data", camera)
    assert found.status == 1 and states(found)["proof"] == "failed" and "d.bmp" in found.lines[-1]


def test_pictures_that_the_proof_does_not_know(visiontune, proved, golden_model, camera):
    for name in ("a.png", "d.bmp"):
        (camera / name).unlink()
    found = visiontune("verify", proved, "--data", camera)
    assert found.status == 1 and "found none; name their folder" in found.lines[-1]
    assert "none in the card" in visiontune("verify", golden_model, "--data", camera).lines[-1]

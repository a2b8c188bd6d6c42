"""Bands set anew: card and graph agree, the change is on record, evidence goes and comes back, and a half-done change is none."""

import stat
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.line_models import a_card, level, line_model, table_model
from visiontune import BadModel, Bands, Inspector, set_bands
from visiontune.runtime import adjust
from visiontune.runtime.adjust import BACK, GONE, NONE, certified, check_bands
from visiontune.runtime.card import Proof
from visiontune.runtime.model import load_card

FRAMES = [np.random.default_rng(i).integers(0, 256, (40, 30, 3), np.uint8) for i in range(12)]
EVIDENCE = {"escapes": {"certified": 0.01}, "confidence": 0.95}


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "model.onnx"
    target.write_bytes(line_model(a_card(bands=Bands(0.3, 0.7, EVIDENCE))))
    return target


def test_card_graph_and_verdicts_follow(path):
    severities = np.float32([Inspector(path)(frame).severity for frame in FRAMES])
    low, high = np.sort(severities)[[3, 8]]
    card = set_bands(path, float(low), float(high))
    inspector = Inspector(path)
    assert inspector.card == card and card.bands == Bands(float(low), float(high), None)
    assert [inspector(frame).decision for frame in FRAMES] == [card.bands.decide(s) for s in severities]
    assert [inspector(frame).severity for frame in FRAMES] == severities.tolist()
    check_bands(path.read_bytes(), card.bands)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.tuples(st.floats(0, 1.5), st.floats(0, 1.5)).map(sorted))
def test_any_bands_in_order_can_be_set(path, edges):
    card = set_bands(path, *edges)
    assert adjust.same(card.bands, Bands(*edges))
    assert Inspector(path).card == card


def test_nothing_else_in_the_file_moves(path):
    before = onnx.load_from_string(path.read_bytes())
    set_bands(path, 0.1, 0.9)
    after = onnx.load_from_string(path.read_bytes())
    assert before.graph.node == after.graph.node
    old = {tensor.name: tensor for tensor in before.graph.initializer}
    changed = {tensor.name for tensor in after.graph.initializer if tensor != old[tensor.name]}
    assert changed == {"bands.review_from", "bands.reject_from"}


def test_the_change_is_on_record(path):
    old = load_card(path)
    card = set_bands(path, 0.2, 0.8, note="J. Doe: lot 7")
    entry = dict(card.history[0])
    when = datetime.fromisoformat(entry.pop("when"))
    assert timedelta(0) <= datetime.now(UTC) - when < timedelta(minutes=5)
    assert entry.pop("by").startswith("visiontune ")
    assert entry == {
        "what": "bands",
        "note": "J. Doe: lot 7",
        "from": {"review_from": 0.3, "reject_from": 0.7, "evidence": EVIDENCE},
        "to": {"review_from": 0.2, "reject_from": 0.8, "evidence": None},
        "evidence": GONE,
    }
    kept = {
        name: value for name, value in card.as_dict().items() if name not in ("bands", "history", "golden")
    }
    assert kept == {name: old.as_dict()[name] for name in kept}
    again = set_bands(path, 0.2, 0.9)
    assert again.history[:1] == card.history and again.history[1]["evidence"] == NONE


def test_evidence_comes_back_with_the_certified_bands_only(path):
    set_bands(path, 0.3, 0.70001)
    assert load_card(path).bands.evidence is None
    set_bands(path, 0.2, 0.9)
    assert certified(load_card(path)) == Bands(0.3, 0.7, EVIDENCE)
    card = set_bands(path, 0.3, 0.7)
    assert card.bands == Bands(0.3, 0.7, EVIDENCE) and card.history[-1]["evidence"] == BACK
    assert set_bands(path, 0.1, 0.2).bands.evidence is None


def test_bands_set_by_hand_have_no_evidence_to_lose(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(line_model(a_card(bands=Bands(0.3, 0.7))))
    assert set_bands(path, 0.1, 0.2).history[0]["evidence"] == NONE
    assert certified(load_card(path)) is None


def test_equal_bands_change_nothing(path):
    before = path.read_bytes()
    for bands in ((0.3, 0.7), (float(np.float32(0.3)), float(np.float32(0.7)))):
        assert set_bands(path, *bands).history == ()
        assert path.read_bytes() == before
    never = set_bands(path, 1.5, 2.0)
    assert set_bands(path, 2.0, 3.0) == never  # both are never


def test_golden_decisions_are_those_of_the_new_bands(path):
    golden = load_card(path).golden
    low, high = sorted(golden.severity)
    for bands in (Bands(0.0, 0.0), Bands(2.0, 2.0), Bands(low, high)):
        card = set_bands(path, bands.review_from, bands.reject_from)
        assert card.golden == replace(golden, decision=tuple(bands.decisions(golden.severity).tolist()))


def test_the_proof_counts_what_could_now_flip(tmp_path):
    proof = Proof(
        frames=3,
        max_severity_difference=1e-6,
        flips=0,
        worst="b",
        sha256=("a", "b", "c"),
        severity=(0.1, 0.5, 0.9),
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(line_model(a_card(proof=proof)))
    assert set_bands(path, 0.2, 0.8).proof == proof
    assert set_bands(path, 0.1 + 5e-7, 0.5).proof == replace(proof, flips=2)
    path.write_bytes(line_model(a_card(proof=Proof(frames=3, max_severity_difference=1e-6, flips=0))))
    assert set_bands(path, 0.2, 0.8).proof is None  # without severities nobody can say


@pytest.mark.parametrize(
    "bands", [(0.5, 0.4), (-0.1, 0.4), (float("nan"), 1), (0.1, float("inf")), (0.1, True)]
)
def test_bands_out_of_order_are_refused_and_nothing_is_written(path, bands):
    before = path.read_bytes()
    with pytest.raises(BadModel, match="bands"):
        set_bands(path, *bands)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_a_damaged_file_is_refused(path):
    path.write_bytes(path.read_bytes().replace(b"tiny", b"tony"))
    with pytest.raises(BadModel, match="sha256"):
        set_bands(path, 0.1, 0.2)


def test_a_graph_that_decides_by_itself_is_refused(tmp_path):
    """Its decision is a table: bands in the card alone would be a lie."""
    path = tmp_path / "model.onnx"
    path.write_bytes(table_model({"severity": np.zeros(256), "decision": np.zeros(256)}))
    with pytest.raises(BadModel, match=r"initialiser 'bands\.review_from' once"):
        set_bands(path, 0.1, 0.2)


def test_initialisers_that_steer_nothing_are_refused(tmp_path):
    path = tmp_path / "model.onnx"
    model = onnx.load_from_string(table_model({"severity": np.zeros(256), "decision": np.zeros(256)}))
    for name in ("bands.review_from", "bands.reject_from"):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0.5).reshape(()), name))
    from visiontune.runtime.seal import seal

    path.write_bytes(seal(model.SerializeToString()))
    before = path.read_bytes()
    with pytest.raises(BadModel, match="does not follow the bands"):
        set_bands(path, 0.1, 0.2)
    assert path.read_bytes() == before


def test_a_file_that_does_not_open_afterwards_never_takes_the_place(path, monkeypatch):
    before, kept = path.read_bytes(), adjust.rewritten
    monkeypatch.setattr(
        adjust, "rewritten", lambda data, card: kept(data, replace(card, temperature=9.0)) + b"x"
    )
    with pytest.raises(BadModel):
        set_bands(path, 0.1, 0.2)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1


def test_links_and_permissions_stay(path):
    path.chmod(0o640)
    link = path.with_name("current.onnx")
    link.symlink_to(path.name)
    set_bands(link, 0.1, 0.2)
    assert link.is_symlink() and load_card(path).bands == Bands(0.1, 0.2)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_model_of_severity_zero_or_one_can_be_set(tmp_path):
    """Where no float32 lies between the severity and the end of its range."""
    for severity in (0.0, 1.0):
        path = tmp_path / "model.onnx"
        path.write_bytes(table_model({"severity": np.full(256, severity)}))
        card = set_bands(path, 0.4, 0.6)
        assert Inspector(path)(level(0)).decision == card.bands.decide(severity)


def test_bands_in_the_graph_alone_are_found_out(path):
    from visiontune.runtime.wire import with_scalars

    data = with_scalars(path.read_bytes(), {"bands.review_from": 0.25})
    with pytest.raises(BadModel, match=r"found 0\.25 and 0\.6999"):
        check_bands(data, load_card(path).bands)

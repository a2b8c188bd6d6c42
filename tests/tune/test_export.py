"""The file that ships: it judges as the network did, holds nothing it should not, and a false one is not written."""

import copy
import hashlib
import re
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from PIL import Image

from visiontune import BadModel, Bands, Inspector, set_bands
from visiontune.cli import main
from visiontune.data.fit import Fit
from visiontune.data.painter import paint_part
from visiontune.runtime.errors import ExportRefused
from visiontune.runtime.frame import decode
from visiontune.tune import export as exporting
from visiontune.tune.export import export
from visiontune.tune.graph import core_model, line_model


@pytest.fixture(scope="module")
def body(cooked):
    """The bare network, exported once for all tests here: that is the slow part."""
    return core_model(cooked.net, (64, 64))


@pytest.fixture(autouse=True)
def one_body(body, monkeypatch):
    monkeypatch.setattr(exporting, "core_model", lambda net, size: copy.deepcopy(body))


def test_the_file_judges_every_test_picture_as_the_network_does(cooked):
    inspector = Inspector(cooked.model)
    judged = cooked.judge("test")
    for sample, severity in zip(cooked.data.share("test"), judged.severity, strict=True):
        verdict = inspector(sample.path)
        assert verdict.severity == pytest.approx(float(severity), abs=1e-4)
        assert verdict.decision == cooked.bands.decide(float(severity))


def test_it_is_opset_18_ir_8_default_domain_one_file_without_paths(cooked):
    model = onnx.load(cooked.model, load_external_data=False)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]
    assert model.ir_version == 8
    assert all(
        node.domain == "" and not node.metadata_props and not node.doc_string for node in model.graph.node
    )
    assert all(tensor.data_location == onnx.TensorProto.DEFAULT for tensor in model.graph.initializer)
    assert not re.search(rb"/(usr|home|root|tmp|work|Users)/|\.py\b", cooked.model.read_bytes())
    names = {tensor.name for tensor in model.graph.initializer}
    assert {
        "temperature",
        "bands.review_from",
        "bands.reject_from",
        "normalise.mean",
        "normalise.scale",
    } <= names


def test_any_batch_and_any_frame_size_go_in(cooked):
    session = onnxruntime.InferenceSession(cooked.model.read_bytes())
    rng = np.random.default_rng(0)
    for shape in ((1, 64, 64, 3), (5, 37, 101, 3), (2, 480, 640, 3)):
        frames = rng.integers(0, 256, shape, dtype=np.uint8)
        severity, kinds, decision = session.run(["severity", "kinds", "decision"], {"frames": frames})
        assert severity.shape == decision.shape == (shape[0],)
        assert kinds.shape == (shape[0], len(cooked.data.classes))
        assert np.allclose(kinds.sum(axis=1), 1, atol=1e-5)
        one = session.run(["severity"], {"frames": frames[-1:]})[0]
        assert one[0] == pytest.approx(severity[-1], abs=1e-6)


def test_the_decision_in_the_graph_is_that_of_the_bands_on_every_edge(cooked, body):
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    plain = onnxruntime.InferenceSession(
        line_model(body, cooked.net, cooked.bands, roi=None).SerializeToString()
    )
    severities = np.sort(plain.run(["severity"], {"frames": frames})[0])
    for low, high in (
        (severities[3], severities[3]),
        (severities[2], severities[9]),
        (0.0, severities[15]),
        (2.0, 2.0),
    ):
        bands = Bands(float(low), float(high))
        session = onnxruntime.InferenceSession(
            line_model(body, cooked.net, bands, roi=None).SerializeToString()
        )
        severity, decision = session.run(["severity", "decision"], {"frames": frames})
        assert decision.tolist() == bands.decisions(severity).tolist()


def test_a_nan_is_reviewed_by_the_graph_itself(cooked, body):
    model = line_model(body, cooked.net, cooked.bands, roi=None)
    for tensor in model.graph.initializer:
        if tensor.name == "temperature":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(np.nan, np.float32), "temperature"))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert session.run(["decision"], {"frames": np.zeros((2, 64, 64, 3), np.uint8)})[0].tolist() == [1, 1]


def test_a_region_of_interest_is_cut_before_the_resize(cooked, body):
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (100, 80, 3), dtype=np.uint8)
    roi = (0.25, 0.1, 0.75, 0.6)
    session = onnxruntime.InferenceSession(
        line_model(body, cooked.net, cooked.bands, roi=roi).SerializeToString()
    )
    whole = onnxruntime.InferenceSession(
        line_model(body, cooked.net, cooked.bands, roi=None).SerializeToString()
    )
    cut = np.ascontiguousarray(frame[10:60, 20:60])
    assert (
        session.run(["severity"], {"frames": frame[None]})[0]
        == whole.run(["severity"], {"frames": cut[None]})[0]
    )
    assert np.array_equal(Fit((64, 64), roi)(frame), Fit((64, 64))(cut))


def test_a_file_that_would_judge_otherwise_is_refused_and_not_left_behind(tmp_path, cooked):
    judged = cooked.judge("val")
    crooked = replace(judged, severity=judged.severity.copy())
    crooked.severity[4] += np.float32(0.01)
    target = tmp_path / "model.onnx"
    with pytest.raises(ExportRefused, match=re.escape(cooked.data.share("val").samples[4].id)):
        export(
            target, cooked.net, cooked.bands, cooked.card("crooked"),
            val=cooked.data.share("val"), judged=crooked, roi=None,
        )  # fmt: skip
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shape", [(200, 300), (64, 64), (33, 47), (513, 129), (96, 500)])
@pytest.mark.parametrize("size", [(64, 64), (96, 80), (33, 47)])
def test_the_fit_is_pillows_bilinear_within_one_level(shape, size):
    noise = np.random.default_rng(sum(shape)).integers(0, 256, (*shape, 3), dtype=np.uint8)
    photo = paint_part(1, "scratch", exposures=1, size=shape)[0].image
    # white noise, which no lens can give, is where the two orders of rounding may add up
    for frame, most in ((photo, 1), (noise, 2)):
        theirs = np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling.BILINEAR)).astype(int)
        assert np.abs(Fit(size)(frame).astype(int) - theirs).max() <= most


def test_the_fit_changes_nothing_at_the_same_size():
    frame = np.random.default_rng(3).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    assert np.array_equal(Fit((50, 70))(frame), frame)


def exported(run, target, **changes):
    options = {"val": run.data.share("val"), "judged": run.judge("val"), "roi": None, **changes}
    return export(target, run.net, run.bands, run.card("again"), **options)


def crooked_model(change):
    """As if the exporter had a bug: what it makes is changed behind the proof's back."""

    def line(core, net, bands, *, roi):
        model = line_model(core, net, bands, roi=roi)
        change(model.graph)
        return model

    return line


def heavier(graph):
    """One row of weights of the layer that judges the frame moves a little."""
    last = next(node.input[1] for node in graph.node if node.op_type == "Gemm")
    (weights,) = [tensor for tensor in graph.initializer if tensor.name == last]
    array = onnx.numpy_helper.to_array(weights).copy()
    array[1] += 0.001
    weights.CopyFrom(onnx.numpy_helper.from_array(array, weights.name))


def blunt(graph):
    """The resize loses its antialiasing."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name in ("antialias", "exclude_outside"):
                attribute.i = 0


@pytest.mark.parametrize("change", [heavier, blunt])
def test_a_broken_export_is_found_on_painted_frames(tmp_path, cooked, monkeypatch, change):
    monkeypatch.setattr(exporting, "whole_model", crooked_model(change))
    with pytest.raises(ExportRefused, match=r"painted frame of \d+ x \d+ .* No file was written"):
        exported(cooked, tmp_path / "model.onnx", core=True)
    assert list(tmp_path.iterdir()) == []


def test_a_broken_export_is_found_on_the_pictures_and_the_worst_is_named(tmp_path, cooked, monkeypatch):
    monkeypatch.setattr(exporting, "whole_model", crooked_model(heavier))
    monkeypatch.setattr(exporting, "prove_painted", lambda *_: None)
    target = tmp_path / "model.onnx"
    target.write_bytes(b"the file of yesterday")
    with pytest.raises(ExportRefused) as caught:
        exported(cooked, target, core=True)
    assert target.read_bytes() == b"the file of yesterday" and len(list(tmp_path.iterdir())) == 1
    said = re.search(r"kinds (\S+) at (\S+); expected none", str(caught.value))
    sound, judged = Inspector(cooked.model), cooked.judge("val")
    broken = onnx.load(cooked.model)
    heavier(broken.graph)
    session = onnxruntime.InferenceSession(broken.SerializeToString())
    apart = {}
    for sample, severity, kinds in zip(cooked.data.share("val"), judged.severity, judged.kinds, strict=True):
        got = session.run(["severity", "kinds"], {"frames": decode(sample.path)[None]})
        apart[sample.id] = max(abs(got[0][0] - severity), np.abs(got[1][0] - kinds).max())
        assert sound(sample.path).severity == pytest.approx(float(severity), abs=1e-4)
    assert said.group(2) == max(apart, key=apart.get)
    assert float(said.group(1)) == pytest.approx(max(apart.values()), rel=0.01)


def test_a_file_damaged_on_its_way_to_the_disk_is_refused(tmp_path, cooked, monkeypatch):
    whole = exporting.sealed

    def torn(model, metadata):
        data = bytearray(whole(model, metadata))
        data[len(data) // 2] ^= 4
        return bytes(data)

    monkeypatch.setattr(exporting, "sealed", torn)
    with pytest.raises(ExportRefused, match=r"does not open: .*sha256"):
        exported(cooked, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_where_the_core_cannot_be_written_no_model_is_left(tmp_path, cooked, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(exporting, "core_file", full)
    with pytest.raises(OSError, match="no space"):
        exported(cooked, tmp_path / "model.onnx", core=True)
    assert list(tmp_path.iterdir()) == []


def test_the_card_holds_the_proof_frame_by_frame(cooked):
    card = Inspector(cooked.model).card
    val = cooked.data.share("val")
    digests = [hashlib.sha256(sample.path.read_bytes()).hexdigest() for sample in val]
    assert card.proof.frames == len(val) and card.proof.flips == 0
    assert [digest[:16] for digest in digests] == list(card.proof.sha256)
    differences = np.abs(np.array(card.proof.severity) - cooked.judge("val").severity)
    assert card.proof.max_severity_difference == pytest.approx(differences.max(), abs=1e-6)
    assert card.proof.worst in card.proof.sha256
    assert cooked.metrics["proof"] == {
        "frames": len(val),
        "max_severity_difference": card.proof.max_severity_difference,
        "flips": 0,
    }


def test_painted_frames_of_many_sizes_are_stored_with_their_hashes(cooked):
    card = Inspector(cooked.model).card
    sizes = [golden.size for golden in (card.golden, *card.probes)]
    assert len(set(sizes)) == 5 and (64, 64) in sizes
    assert any(h < 64 or w < 64 for h, w in sizes) and any(h % 2 and w % 2 for h, w in sizes)
    for golden in (card.golden, *card.probes):
        assert [hashlib.sha256(frame.tobytes()).hexdigest() for frame in golden.paint()] == list(
            golden.sha256
        )


def test_a_small_region_of_interest_is_tried_with_large_frames(cooked, body):
    """Or its resize would never shrink anything, and an engine that ignores antialias would pass the self-test."""
    roi = (0.25, 0.5, 0.5, 0.75)
    card = replace(cooked.card("small"), input=replace(cooked.card("small").input, roi=roi))
    graph = line_model(body, cooked.net, cooked.bands, roi=roi)
    golden, *probes = exporting.painted_answers(graph.SerializeToString(), card)
    assert min(golden.size) / 4 > 64
    blunt(graph.graph)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    for found in (golden, *probes[2:]):
        severity, kinds = session.run(["severity", "kinds"], {"frames": found.paint()})
        assert found.difference(severity, kinds) > found.tolerance


def test_200_flipped_bits_anywhere_are_refused_by_inspector_and_verify(tmp_path, cooked, capsys):
    data = cooked.model.read_bytes()
    model = onnx.load_from_string(data)
    (seal,) = [entry.value.encode() for entry in model.metadata_props if entry.key == "visiontune.sha256"]
    (card,) = [entry.value.encode() for entry in model.metadata_props if entry.key == "visiontune.card"]
    weights = max((tensor.raw_data for tensor in model.graph.initializer), key=len)
    band = next(t for t in model.graph.initializer if t.name == "bands.review_from")
    at = data.index(band.SerializeToString())
    places = {
        "anywhere": (0, len(data)),
        "seal": (data.index(seal), len(seal)),
        "card": (data.index(card), len(card)),
        "weights": (data.index(weights), len(weights)),
        "band": (at, band.ByteSize()),
    }
    rng, refused = np.random.default_rng(0), dict.fromkeys(places, 0)
    path = tmp_path / "model.onnx"
    for name, (start, size) in places.items():
        for bit in rng.integers(0, 8 * size, 40).tolist():
            damaged = bytearray(data)
            damaged[start + bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            with pytest.raises(BadModel, match=r"seal|sha256"):
                Inspector(path)
            assert main(["verify", str(path)]) == 1
            out = capsys.readouterr().out.splitlines()
            assert out[0].startswith("seal     failed") and all(line.endswith("not run") for line in out[1:])
            refused[name] += 1
    assert sum(refused.values()) == 200


def test_verify_repeats_the_proof_from_the_folder(cooked, capsys):
    assert main(["verify", str(cooked.model), "--data", str(cooked.data.root)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    n = len(cooked.data.share("val"))
    assert last.startswith(f"proof    ok       {n} of {n} pictures")


def test_bands_of_an_exported_file_can_be_set(tmp_path, cooked):
    path = tmp_path / "model.onnx"
    path.write_bytes(cooked.model.read_bytes())
    severities = [Inspector(cooked.model)(sample.path).severity for sample in cooked.data.share("test")]
    middle = float(np.median(severities))
    card = set_bands(path, middle / 2, middle)
    inspector = Inspector(path)
    decisions = [inspector(sample.path).decision for sample in cooked.data.share("test")]
    assert decisions == [card.bands.decide(severity) for severity in severities] and "reject" in decisions
    assert card.bands.evidence is None and card.history[0]["from"]["evidence"] == dict(cooked.bands.evidence)
    assert set_bands(path, cooked.bands.review_from, cooked.bands.reject_from).bands == cooked.bands

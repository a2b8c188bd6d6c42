"""Export in fp16 and int8: a real file with bands and proof of its own, or a reason and no file."""

import copy
import json
from dataclasses import replace

import numpy as np
import onnx
import pytest

from visiontune import ExportRefused, Inspector, PrecisionRefused, set_bands
from visiontune.cli import main
from visiontune.runtime.bands import Bands
from visiontune.runtime.doctor import examine
from visiontune.runtime.engine import WORDS, Engine, painted
from visiontune.runtime.model import open_session
from visiontune.tune import narrow as narrowing
from visiontune.tune import precisions
from visiontune.tune.graph import core_model
from visiontune.tune.precisions import Precision, refusal


@pytest.fixture(scope="module")
def body(cooked):
    """The bare network, exported once for all tests here: that is the slow part."""
    return core_model(cooked.net, (64, 64))


@pytest.fixture
def run(cooked, body, tmp_path, console, monkeypatch):
    """The cooked run with a folder and notes of its own."""
    monkeypatch.setattr(narrowing, "core_model", lambda net, size: copy.deepcopy(body))
    monkeypatch.setattr(precisions, "ROUNDS", 30)
    return replace(cooked, out=tmp_path, metrics=copy.deepcopy(cooked.metrics), console=console)


@pytest.fixture
def any_speed(monkeypatch):
    """The network of the tests is so small that int8 gains nothing; what is written is still to be looked at."""
    monkeypatch.setattr(precisions, "LEAST_SPEEDUP", 0)


def decisions(path, share):
    inspector = Inspector(path)
    return [inspector(sample.path) for sample in share]


@pytest.mark.parametrize(("precision", "most"), [("fp16", 0.6), ("int8", 0.4)])
def test_the_file_passes_and_rejects_only_what_float32_does(run, any_speed, precision, most, capsys):
    path = run.export(precision=precision)
    assert path == run.out / f"model.{precision}.onnx" and [*run.out.glob("*.onnx")] == [path]
    assert path.stat().st_size < most * run.model.stat().st_size
    val = run.data.share("val")
    old, new = decisions(run.model, val), decisions(path, val)
    pairs = [(a.decision, b.decision) for a, b in zip(old, new, strict=True)]
    assert all(b in (a, "review") for a, b in pairs)
    card = Inspector(path).card
    apart = [abs(a.severity - b.severity) for a, b in zip(old, new, strict=True)]
    assert card.precision == precision and card.proof.flips == 0 and card.proof.frames == len(val)
    assert card.proof.reviewed == sum(a != b for a, b in pairs)
    assert card.proof.max_severity_difference == pytest.approx(max(apart), abs=1e-6)
    assert card.proof.tolerance == card.golden.tolerance == card.probes[-1].tolerance >= 1e-4
    assert max(apart) > 0  # it is another network, not the same file again
    assert main(["verify", str(path), "--data", str(run.data.root)]) == 0
    assert "pictures of the proof" in capsys.readouterr().out
    assert main(["card", str(path)]) == 0
    assert f"{precision}: " in capsys.readouterr().out


def test_the_evidence_is_that_of_its_own_severities(run, any_speed):
    card = Inspector(run.export(precision="int8")).card
    share = run.data.share("val")
    parts = {sample.group for sample in share if sample.label != run.data.good}
    low = {}
    for sample, severity in zip(share, card.proof.severity, strict=True):
        low[sample.group] = min(severity, low.get(sample.group, 1))
    found = card.bands.evidence["escapes"]
    assert found["parts"] == len(parts)
    assert found["misses"] == sum(low[part] < card.bands.review_from for part in parts) <= found["allowed"]
    assert found["certified"] == run.bands.evidence["escapes"]["certified"]


def test_it_is_plain_onnx_with_integers_inside(run, any_speed):
    model = onnx.load(run.export(precision="int8"))
    assert [(item.domain, item.version) for item in model.opset_import] == [
        ("", 18)
    ] and model.ir_version == 8
    kinds = [node.op_type for node in model.graph.node]
    assert all(node.domain == "" for node in model.graph.node)
    assert "QuantizeLinear" in kinds and "DequantizeLinear" in kinds
    onnx.checker.check_model(model, full_check=True)
    types = {node.op_type for node in model.graph.node[: kinds.index("QuantizeLinear")]}
    assert (
        types >= {"Resize", "Sub", "Mul"} or "Resize" in types
    )  # what comes before the network is as it was


def test_the_core_goes_beside_it(run, any_speed):
    path = run.export(precision="int8", core=True)
    core = onnx.load(path.with_suffix(".core.onnx"))
    assert "QuantizeLinear" in {node.op_type for node in core.graph.node}
    (papers,) = [json.loads(one.value) for one in core.metadata_props if one.key == "visiontune.core"]
    assert papers["bands"]["review_from"] == Inspector(path).card.bands.review_from


def test_bands_of_it_can_be_set(run, any_speed):
    path = run.export(precision="int8")
    middle = float(np.median(Inspector(path).card.proof.severity))
    card = set_bands(path, middle / 2, middle)
    assert card.precision == "int8" and card.proof.reviewed == 0 and card.bands.evidence is None
    found = [one.severity for one in decisions(path, run.data.share("val"))]
    assert found == pytest.approx(Inspector(path).card.proof.severity, abs=1e-6)


def test_what_does_not_pay_is_refused_with_the_figures_and_leaves_no_file(run, monkeypatch):
    monkeypatch.setattr(precisions, "LEAST_SPEEDUP", 1e6)
    (run.out / "model.int8.onnx").write_bytes(b"the file of yesterday")
    with pytest.raises(PrecisionRefused, match=r"times as fast as float32 .* No file was written") as caught:
        run.export(precision="int8")
    assert "\n" not in str(caught.value)
    assert (run.out / "model.int8.onnx").read_bytes() == b"the file of yesterday"
    assert {path.name for path in run.out.iterdir()} == {"model.int8.onnx", "run.json"}
    rows = [Precision(**row) for row in caught.value.rows]
    assert [row.precision for row in rows] == ["float32", "int8"] and refusal(rows[1], rows[0])
    kept = json.loads((run.out / "run.json").read_text())["metrics"]["precisions"]["int8"]
    assert "times as fast" in kept["refused"] and kept["size"] == rows[1].size
    assert "speed-up" in run.console.file.getvalue()


def test_a_network_that_rounding_ruins_is_refused(run, any_speed, monkeypatch):
    def ruined(run, body, precision):
        broken = copy.deepcopy(body)
        for tensor in broken.graph.initializer:
            array = onnx.numpy_helper.to_array(tensor)
            if array.ndim == 4 and array.dtype == np.float32:
                noise = np.random.default_rng(0).normal(0, 2 * array.std(), array.shape)
                tensor.CopyFrom(onnx.numpy_helper.from_array((array + noise).astype(np.float32), tensor.name))
        return broken

    monkeypatch.setattr(narrowing, "narrowed", ruined)
    severities = np.sort(
        run.judge("val").severity
    )  # thresholds amid the pictures, so that verdicts can change
    quarter = len(severities) // 4
    low, high = (
        float(severities[quarter : quarter + 2].mean()),
        float(severities[-quarter : -quarter + 2].mean()),
    )
    with pytest.raises(PrecisionRefused, match="go to review that float32 decides"):
        replace(run, bands=Bands(low, high)).export(precision="int8")
    assert not [*run.out.glob("*.onnx")]


def test_an_engine_that_rounds_otherwise_is_equivalent_within_the_tolerance(run, any_speed):
    """The same graph node by node in float is such an engine: right, and not bit-equal."""
    data = run.export(precision="int8").read_bytes()
    session = open_session(data, optimise=False)
    plain = Engine(name="plain", about="", run=lambda frames: tuple(session.run(WORDS, {"frames": frames})))
    card = Inspector(data).card
    found = examine(data, plain, painted(card))
    assert found.tolerance == card.golden.tolerance and found.difference <= found.tolerance
    assert found.equivalent == (found.flips == 0)


def test_ranges_see_every_class():
    labels = np.array([0] * 500 + [1] * 3 + [2] * 40)
    chosen = narrowing.balanced(labels, 60)
    assert len(set(chosen.tolist())) == 60
    assert np.bincount(labels[chosen]).tolist() == [29, 3, 28]
    assert sorted(narrowing.balanced(labels, 9999).tolist()) == [*range(543)]


def test_other_bands_end_what_was_measured(run):
    run.precisions()
    run.calibrate(escapes=0.3, overkill=0.3, confidence=0.7)
    assert "precisions" not in run.metrics


def test_all_three_side_by_side(run):
    rows = run.precisions()
    assert [row.precision for row in rows] == ["float32", "fp16", "int8"]
    assert rows[0].size > rows[1].size > rows[2].size
    assert rows[1].difference < rows[2].difference
    assert all(row.outside_review == 0 and row.pictures == len(run.data.share("val")) for row in rows)
    assert not [*run.out.glob("*.onnx")] and set(run.metrics["precisions"]) == {"float32", "fp16", "int8"}
    assert all(name in run.console.file.getvalue() for name in ("float32", "fp16", "int8", "outside"))


def test_other_precisions_are_told_what_there_is(run):
    with pytest.raises(ExportRefused, match="expected float32, fp16, int8, found 'int4'"):
        run.export(precision="int4")
    assert not [*run.out.iterdir()]


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["resnet18", "mobilenetv3_small_100"])
def test_real_networks_are_measured_honestly(backbone, parts_folder, tiny_recipe, tmp_path, console):
    """ResNet-18 mostly gains, MobileNetV3 mostly does not; either way the file is there exactly if the figures say so."""
    from visiontune.tune import finetune, read

    recipe = replace(tiny_recipe, backbone=backbone, epochs=1, size=(96, 96))
    run = finetune(recipe, read(parts_folder), out=tmp_path, console=console)
    run.calibrate(escapes=0.2, overkill=0.2, confidence=0.8)
    try:
        path = run.export(precision="int8")
    except PrecisionRefused as refused:
        rows = [Precision(**row) for row in refused.rows]
        assert refusal(rows[1], rows[0]) in str(refused) and not [*tmp_path.glob("*.onnx")]
    else:
        rows = [
            Precision(
                **{k: v for k, v in run.metrics["precisions"][name].items() if k not in ("refused", "model")}
            )
            for name in ("float32", "int8")
        ]
        assert refusal(rows[1], rows[0]) is None and Inspector(path).card.precision == "int8"
    assert rows[1].outside_review == 0
    assert rows[1].size < (0.3 if backbone == "resnet18" else 0.6) * rows[0].size

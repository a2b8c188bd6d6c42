"""The file that ships: it judges as the network did, holds nothing it should not, and a false one is not written."""

import re
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from visiontune import Bands, Inspector
from visiontune.data.fit import Fit
from visiontune.data.painter import paint_part
from visiontune.runtime.errors import ExportRefused
from visiontune.runtime.frame import decode
from visiontune.tune.export import export
from visiontune.tune.graph import core_model, line_model


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


def test_the_decision_in_the_graph_is_that_of_the_bands_on_every_edge(cooked):
    rng = np.random.default_rng(1)
    frames = rng.integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    core = core_model(cooked.net, (64, 64))
    plain = onnxruntime.InferenceSession(
        line_model(core, cooked.net, cooked.bands, roi=None).SerializeToString()
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
            line_model(core, cooked.net, bands, roi=None).SerializeToString()
        )
        severity, decision = session.run(["severity", "decision"], {"frames": frames})
        assert decision.tolist() == bands.decisions(severity).tolist()


def test_a_nan_is_reviewed_by_the_graph_itself(cooked):
    core = core_model(cooked.net, (64, 64))
    model = line_model(core, cooked.net, cooked.bands, roi=None)
    for tensor in model.graph.initializer:
        if tensor.name == "temperature":
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array(np.nan, np.float32), "temperature"))
    session = onnxruntime.InferenceSession(model.SerializeToString())
    assert session.run(["decision"], {"frames": np.zeros((2, 64, 64, 3), np.uint8)})[0].tolist() == [1, 1]


def test_a_region_of_interest_is_cut_before_the_resize(tmp_path, cooked):
    rng = np.random.default_rng(2)
    frame = rng.integers(0, 256, (100, 80, 3), dtype=np.uint8)
    roi = (0.25, 0.1, 0.75, 0.6)
    core = core_model(cooked.net, (64, 64))
    session = onnxruntime.InferenceSession(
        line_model(core, cooked.net, cooked.bands, roi=roi).SerializeToString()
    )
    whole = onnxruntime.InferenceSession(
        line_model(core, cooked.net, cooked.bands, roi=None).SerializeToString()
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


def test_the_core_beside_it_is_the_bare_network(tmp_path, cooked):
    cooked_again = replace(cooked, out=tmp_path)
    path = cooked_again.export(tmp_path / "part.onnx", core=True)
    session = onnxruntime.InferenceSession((tmp_path / "part.core.onnx").read_bytes())
    assert [port.name for port in session.get_inputs()] == ["pictures"]
    picture = decode(cooked.data.samples[0].path)
    fitted = torch.from_numpy(cooked.fit(picture)[None])
    severity = session.run(["severity"], {"pictures": cooked.net.normalised(fitted).numpy()})[0]
    assert severity[0] == pytest.approx(Inspector(path)(picture).severity, abs=1e-6)


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


FAMILIES = ["test_resnet", "test_convnext", "test_efficientnet", "test_vit"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_other_families_export_and_agree(name):
    import timm

    from visiontune.heads import Classify, Labels
    from visiontune.tune.net import Net

    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0)
    features = backbone.head_hidden_size
    head = Classify().build(features, Labels(classes=("good", "a", "b"), good="good", counts=(1, 1, 1)))
    torch.nn.init.normal_(head.linear.weight, std=0.3)
    size = backbone.pretrained_cfg["input_size"][1:]
    net = Net(backbone, head, mean=(0.5,) * 3, std=(0.25,) * 3, size=size).eval()
    session = onnxruntime.InferenceSession(
        line_model(core_model(net, size), net, Bands(0.3, 0.7), roi=None).SerializeToString()
    )
    frames = torch.randint(0, 256, (3, *size, 3), dtype=torch.uint8)
    with torch.no_grad():
        expected = net.head.answer(net(frames))["kinds"].numpy()
    assert np.allclose(session.run(["kinds"], {"frames": frames.numpy()})[0], expected, atol=1e-5)

"""Metadata beside the card: keys of other tools say what is true, and an app that follows the core's steps gets the verdicts."""

import ast
import hashlib
import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image

from visiontune import BadModel, Inspector
from visiontune.runtime.bands import Bands
from visiontune.runtime.frame import decode
from visiontune.runtime.golden import golden_frames
from visiontune.runtime.seal import check
from visiontune.tune.papers import core_papers


@pytest.fixture(scope="module")
def files(cooked, tmp_path_factory):
    """The model and the core beside it."""
    folder = tmp_path_factory.mktemp("core")
    path = replace(cooked, out=folder).export(folder / "part.onnx", core=True)
    return path, folder / "part.core.onnx"


@pytest.fixture(scope="module")
def core(files):
    return onnxruntime.InferenceSession(files[1].read_bytes())


@pytest.fixture(scope="module")
def papers(core):
    """All that an app has: the metadata of the file."""
    return json.loads(core.get_modelmeta().custom_metadata_map["visiontune.core"])


def test_viewers_find_their_keys(cooked):
    found = onnxruntime.InferenceSession(cooked.model.read_bytes()).get_modelmeta().custom_metadata_map
    assert ast.literal_eval(found["names"]) == dict(enumerate(cooked.data.classes))
    assert ast.literal_eval(found["imgsz"]) == [64, 64] and found["task"] == "classify"
    card = Inspector(cooked.model).card
    assert json.loads(found["mean"]) == list(card.input.mean) and json.loads(found["std"]) == list(
        card.input.std
    )
    assert "do not resize or normalise outside" in found["description"] and found["date"] == card.created


def test_the_core_is_the_bare_network(cooked, files, core):
    assert [(port.name, port.shape) for port in core.get_inputs()] == [("pictures", ["n", 3, 64, 64])]
    picture = decode(cooked.data.samples[0].path)
    fitted = torch.from_numpy(cooked.fit(picture)[None])
    severity = core.run(["severity"], {"pictures": cooked.net.normalised(fitted).numpy()})[0]
    assert severity[0] == pytest.approx(Inspector(files[0])(picture).severity, abs=1e-6)


def test_the_core_is_a_clean_sealed_file_that_names_its_model(files, papers):
    model = onnx.load(files[1])
    assert [(item.domain, item.version) for item in model.opset_import] == [
        ("", 18)
    ] and model.ir_version == 8
    assert all(not node.metadata_props and not node.doc_string for node in model.graph.node)
    check(files[1].read_bytes())
    assert papers["of"]["sha256"] == check(files[0].read_bytes())
    with pytest.raises(BadModel, match="expected a card"):
        Inspector(files[1])  # it does not resize: it must not be taken for the whole model


def app(core, papers, frame):
    """An app that knows nothing but the steps in the metadata, with Pillow and numpy."""
    height, width, _ = frame.shape
    if papers["roi"] is not None:
        x0, y0, x1, y1 = (np.float32(edge) for edge in papers["roi"])
        columns, rows = (
            (int(x0 * np.float32(width)), int(x1 * np.float32(width))),
            (
                int(y0 * np.float32(height)),
                int(y1 * np.float32(height)),
            ),
        )
        frame = frame[slice(*rows), slice(*columns)]
    _, _, high, wide = papers["input"]["shape"]
    small = np.asarray(Image.fromarray(frame).resize((wide, high), Image.Resampling.BILINEAR))
    x = (small / np.float32(255) - np.float32(papers["mean"])) / np.float32(papers["std"])
    x = np.float32(x).transpose(2, 0, 1)[None]
    severity, kinds = core.run(["severity", "kinds"], {papers["input"]["name"]: x})
    low, high = (np.float32(papers["bands"][edge]) for edge in ("review_from", "reject_from"))
    return float(severity[0]), kinds[0], int(not severity[0] < low) + int(severity[0] >= high)


def test_an_app_that_follows_the_steps_gets_the_golden_answers(core, papers):
    golden = papers["golden"]
    painted = golden["frames"]
    frames = golden_frames(painted["seed"], painted["frames"], tuple(painted["size"]))
    assert [hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames] == painted["sha256"]
    for frame, severity, kinds, decision in zip(
        frames, golden["severity"], golden["kinds"], golden["decision"], strict=True
    ):
        found = app(core, papers, frame)
        assert found[0] == pytest.approx(severity, abs=golden["tolerance_with_pillow"])
        assert found[1] == pytest.approx(kinds, abs=golden["tolerance_with_pillow"])
        assert found[2] == decision


def test_an_app_that_follows_the_steps_judges_as_the_model_does(cooked, files, core, papers):
    inspector = Inspector(files[0])
    for sample in cooked.data.share("test"):
        frame = decode(sample.path)
        verdict = inspector(frame)
        severity, kinds, decision = app(core, papers, frame)
        assert severity == pytest.approx(verdict.severity, abs=1e-4)
        assert papers["classes"][int(kinds.argmax())] == verdict.kind
        assert ("pass", "review", "reject")[decision] == verdict.decision


def test_the_resized_frames_can_be_checked_pixel_by_pixel(cooked, papers):
    """With the graph's own operator; an app compares its resize with it to the last grey level."""
    painted = papers["golden"]["frames"]
    frames = golden_frames(painted["seed"], painted["frames"], tuple(painted["size"]))
    digests = [hashlib.sha256(cooked.fit(frame).tobytes()).hexdigest() for frame in frames]
    assert digests == papers["golden"]["resized_sha256"]


def test_the_steps_speak_of_region_and_window(cooked):
    card = Inspector(cooked.model).card
    spec = replace(card.input, roi=(0.25, 0.0, 1.0, 0.5), window=(100, 4195))
    found = core_papers(
        replace(card, input=spec, bands=Bands(0.1, 2.0)), "0" * 64, np.zeros((2, 64, 64, 3), np.uint8), 0.0
    )
    text = " ".join(found["steps"])
    assert "floor(0.25 * W)" in text and "floor(0.5 * H)" in text
    assert "(clip(g - 100, 0, 4095) * 255 + 2047) // 4095" in text
    assert found["bands"] == {"review_from": 0.1, "reject_from": 2.0}
    assert json.loads(json.dumps(found))["window"] == [100, 4195]

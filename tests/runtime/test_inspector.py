"""The Inspector on real tiny models: verdicts, refusals, nonsense answers, batches, threads."""

import io
import math
import threading
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper
from PIL import Image

from tests.line_models import (
    CLASSES,
    FLOAT,
    a_card,
    constant,
    info,
    level,
    line_model,
    node,
    resealed,
    sealed,
    table_model,
    whole,
)
from visiontune import BadFrame, BadModel, Bands, Inspector, Region
from visiontune.runtime.card import InputSpec
from visiontune.runtime.frame import MAX_PIXELS
from visiontune.runtime.region_bands import RegionBands
from visiontune.runtime.regions import roi_pixels

RNG = np.random.default_rng(0)
FRAMES = [RNG.integers(0, 256, (40 + i % 3, 30, 3), np.uint8) for i in range(12)]
NAN = float("nan")


@pytest.fixture(scope="module")
def model():
    return line_model(heatmap=True)


@pytest.fixture(scope="module")
def inspector(model):
    return Inspector(model)


def by_hand(frame, card):
    """The oracle: Pillow's resize and numpy, as the lab would have it, for `line_model(card)`."""
    x0, y0, x1, y1 = roi_pixels(frame.shape[0], frame.shape[1], card.input.roi)
    height, width = card.input.size
    small = Image.fromarray(frame[y0:y1, x0:x1]).resize((width, height), Image.Resampling.BILINEAR)
    pixels = (np.asarray(small, np.float64) / 255 - card.input.mean) / card.input.std
    cells = pixels.reshape(4, height // 4, 4, width // 4, 3).mean(axis=(1, 3))
    weights = np.random.default_rng(0).normal(0, 1, (48, len(card.classes)))
    logits = cells.transpose(2, 0, 1).reshape(-1) @ weights / card.temperature
    kinds = np.exp(logits - logits.max())
    kinds /= kinds.sum()
    return kinds, kinds[1:].sum() if card.good else 1 - kinds.max()


@pytest.mark.parametrize("good", ["good", None])
@pytest.mark.parametrize("roi", [None, (0.1, 0.25, 0.95, 0.8)])
def test_verdicts_are_what_pillow_and_numpy_say(good, roi):
    card = a_card(good=good, input=replace(a_card().input, roi=roi), bands=Bands(0.2, 0.5))
    inspector = Inspector(line_model(card))
    for frame in FRAMES:
        verdict = inspector(frame)
        kinds, severity = by_hand(frame, card)
        assert verdict.severity == pytest.approx(severity, abs=2e-3)  # Pillow is within one grey level
        assert list(verdict.kinds.values()) == pytest.approx(kinds.tolist(), abs=2e-3)
        assert tuple(verdict.kinds) == CLASSES
        assert verdict.kind == max(verdict.kinds, key=verdict.kinds.get)
        assert verdict.decision == card.bands.decide(verdict.severity)


def test_path_bytes_and_array_give_the_same_verdict(inspector, tmp_path):
    path = tmp_path / "frame.png"
    Image.fromarray(FRAMES[0]).save(path)
    wanted = inspector(FRAMES[0])
    assert inspector(path) == inspector(str(path)) == inspector(path.read_bytes()) == wanted
    assert np.array_equal(inspector(path).heatmap, wanted.heatmap)


def test_views_read_only_and_grey_frames(inspector):
    frozen = FRAMES[0].copy()
    frozen.flags.writeable = False
    assert inspector(frozen) == inspector(FRAMES[0])
    bgr = np.ascontiguousarray(FRAMES[0][:, :, ::-1])
    assert inspector(bgr[:, :, ::-1]) == inspector(FRAMES[0])
    grey = FRAMES[0][:, :, 0]
    assert inspector(grey) == inspector(np.dstack([grey] * 3))


def test_the_heatmap_and_its_regions_are_in_frame_pixels():
    card = a_card(input=InputSpec(size=(16, 16), roi=(0.5, 0.0, 1.0, 1.0), mean=(0, 0, 0), std=(1, 1, 1)))
    inspector = Inspector(line_model(card, heatmap=True))
    frame = np.zeros((80, 160, 3), np.uint8)
    frame[20:40, 120:140] = 255  # the second cell from above and the third from the left of the region
    verdict = inspector(frame)
    assert (verdict.heatmap.shape, verdict.heatmap.dtype) == ((4, 4), np.float32)
    (region,) = verdict.regions
    assert (region.box, region.area) == ((120, 20, 140, 40), 400)
    assert region.score == pytest.approx(1, abs=0.15)
    assert region.kind in ("crack", "scratch")  # a hot place is never named good


def test_many_agrees_with_one_and_keeps_the_order(inspector):
    one = [inspector(frame) for frame in FRAMES]
    for batch in (1, 3, 8, 100):
        many = inspector.many(iter(FRAMES), batch=batch)
        for a, b in zip(one, many, strict=True):
            assert (a.decision, a.kind) == (b.decision, b.kind)
            assert a.severity == pytest.approx(b.severity, abs=1e-6)
            assert np.allclose(a.heatmap, b.heatmap, atol=1e-6)
    assert inspector.many([]) == []
    with pytest.raises(ValueError, match="batch"):
        inspector.many(FRAMES, batch=0)


def test_many_runs_equal_shapes_together(inspector, monkeypatch):
    sizes = []
    run = inspector._run
    monkeypatch.setattr(
        inspector, "_run", lambda names, feed: sizes.append(len(feed["frames"])) or run(names, feed)
    )
    inspector.many(FRAMES, batch=6)
    assert sizes == [2, 2, 2, 2, 2, 2]


def test_a_camera_frame_is_not_copied_on_its_way(inspector, monkeypatch):
    seen = []
    run = inspector._run
    monkeypatch.setattr(
        inspector, "_run", lambda names, feed: seen.append(feed["frames"]) or run(names, feed)
    )
    inspector(FRAMES[0])
    assert len(seen) == 1 and np.shares_memory(seen[0], FRAMES[0])


def test_many_takes_mixed_sources(inspector, tmp_path):
    path = tmp_path / "frame.png"
    Image.fromarray(FRAMES[0]).save(path)
    first, second = inspector.many([FRAMES[0], path])
    assert first.severity == pytest.approx(second.severity, abs=1e-6)


def test_one_inspector_serves_many_threads(inspector):
    wanted = [inspector(frame) for frame in FRAMES]
    wrong = []

    def camera(shift):
        for turn in range(40):
            index = (turn + shift) % len(FRAMES)
            if inspector(FRAMES[index]) != wanted[index]:
                wrong.append(index)

    threads = [threading.Thread(target=camera, args=(shift,)) for shift in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# nonsense answers


@pytest.mark.parametrize("severity", [NAN, float("inf"), float("-inf"), -0.001, 1.001, 1.0000001192092896])
def test_a_severity_outside_its_range_is_reviewed(severity):
    verdict = Inspector(table_model({"severity": np.full(256, severity)}))(level(0))
    assert verdict.decision == "review"
    assert (verdict.as_dict()["severity"] is None) == (not math.isfinite(severity))


@pytest.mark.parametrize("severity", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("bad", [NAN, float("inf")])
def test_nan_among_the_kinds_is_reviewed(severity, bad):
    kinds = np.tile([1, bad, 0], (256, 1))
    verdict = Inspector(table_model({"severity": np.full(256, severity), "kinds": kinds}))(level(0))
    assert (verdict.decision, verdict.kind) == ("review", "")


@pytest.mark.parametrize("decision", [-1, 3, 2**40])
def test_an_unknown_decision_is_reviewed(decision):
    rows = {"severity": np.zeros(256), "decision": np.full(256, decision)}
    assert Inspector(table_model(rows))(level(0)).decision == "review"


def test_a_graph_that_passes_nan_is_overruled():
    rows = {"severity": np.full(256, NAN), "decision": np.zeros(256)}
    assert Inspector(table_model(rows))(level(0)).decision == "review"


@pytest.mark.parametrize(("severity", "decision"), [(0.5, 0), (0.9, 0), (0.9, 1), (0.1, 1), (0.1, 2)])
def test_a_decision_against_the_cards_bands_is_reviewed(severity, decision):
    rows = {"severity": np.full(256, severity), "decision": np.full(256, decision)}
    assert Inspector(table_model(rows))(level(0)).decision == "review"


def test_bands_changed_in_the_card_alone_are_refused(model):
    card = Inspector(model).card
    severity = max(card.golden.severity)
    for bands in (Bands(0.0, severity), Bands(2.0, 2.0)):
        if bands.decisions(card.golden.severity).tolist() != list(card.golden.decision):
            refused(resealed(model, replace(card, bands=bands).to_json()), "contradict the bands")
            return
    pytest.fail("choose bands that change a golden decision")


def test_nan_in_the_heatmap_is_reviewed():
    heatmap = np.zeros((256, 2, 2))
    heatmap[1, 0, 0] = NAN
    inspector = Inspector(table_model({"severity": np.zeros(256), "heatmap": heatmap}))
    assert [inspector(level(value)).decision for value in (0, 1)] == ["pass", "review"]


def boxed(scores, kinds, boxes=None):
    boxes = np.tile([[1, 2, 3, 4.5]], (len(scores), 1)) if boxes is None else boxes
    rows = {"boxes": boxes, "box_scores": scores, "box_kinds": kinds, "severity": 0}
    return {word: np.broadcast_to(np.asarray(row), (256, *np.shape(row))) for word, row in rows.items()}


def test_regions_follow_the_bands_in_the_card():
    heat = np.zeros((256, 4, 4))
    heat[:, 0, 0], heat[:, 3, 1:3] = 0.9, (0.35, 0.25)
    rows = {"severity": np.zeros(256), "heatmap": heat}

    def found(bands):
        verdict = Inspector(table_model(rows, a_card(regions=bands)))(level(1, (40, 80)))
        return [(one.box, one.area, one.length_mm) for one in verdict.regions]

    hot, warm = ((0, 0, 20, 10), 200, None), ((20, 30, 60, 40), 400, None)
    assert found(None) == found(RegionBands()) == [hot]
    assert found(RegionBands(low=0.2, high=0.3)) == [hot, warm]
    assert found(RegionBands(low=0.2, high=0.3, min_area=201)) == [warm]
    assert found(RegionBands(high=0.95)) == []
    assert found(RegionBands(high=0.9)) == [hot]  # though float32(0.9) < 0.9
    ((_, _, length),) = found(RegionBands(pixel_mm=(0.1, 0.2)))
    assert length == pytest.approx(np.hypot(2, 2))


def test_boxes_become_regions_strongest_first_without_padding():
    verdict = Inspector(table_model(boxed([0.2, 0.9, 0.0], [1, 2, 0])))(level(0))
    assert verdict.regions == (
        Region("scratch", pytest.approx(0.9), (1, 2, 3, 4.5)),
        Region("crack", pytest.approx(0.2), (1, 2, 3, 4.5)),
    )
    assert verdict.decision == "pass"
    assert type(verdict.regions[0].box[0]) is float


def test_the_bands_in_the_card_say_which_boxes_are_shown():
    at_band = np.float32(0.4)
    scores = [np.nextafter(at_band, np.float32(0)), 0.9, at_band, 0.0]
    model = table_model(boxed(scores, [1, 2, 1, 0]), a_card(regions=RegionBands(low=0.1, high=0.4)))
    verdict = Inspector(model)(level(0))
    assert [(one.kind, one.score) for one in verdict.regions] == [
        ("scratch", pytest.approx(0.9)),
        ("crack", pytest.approx(0.4)),
    ]
    assert verdict.proposals.scores.tolist() == [np.float32(0.9), at_band, scores[0]]
    assert verdict.proposals.kinds.tolist() == [2, 1, 1]
    assert verdict.proposals.corners.shape == (3, 4)
    assert "proposals" not in verdict.as_dict()


def test_a_model_that_proposes_nothing_says_so():
    verdict = Inspector(table_model(boxed([0.0, 0.0], [0, 0])))(level(0))
    assert (verdict.regions, verdict.decision) == ((), "pass")
    assert len(verdict.proposals.scores) == 0
    assert Inspector(table_model({"severity": np.zeros(256)}))(level(0)).proposals is None


@pytest.mark.parametrize(
    "rows",
    [
        boxed([0.5, NAN], [1, 1]),
        boxed([0.5], [3]),
        boxed([0.5], [-1]),
        boxed([0.5], [1], np.array([[0, 0, NAN, 1]])),
    ],
)
def test_nonsense_boxes_are_reviewed(rows):
    verdict = Inspector(table_model(rows))(level(0))
    assert (verdict.decision, verdict.regions) == ("review", ())


# frames that cannot be judged


@pytest.mark.parametrize(
    "frame", [b"no picture", "nowhere.png", FRAMES[0] / 255, np.zeros((0, 3, 3), np.uint8), None]
)
def test_bad_frames_raise(inspector, frame):
    with pytest.raises(BadFrame):
        inspector(frame)
    with pytest.raises(BadFrame):
        inspector.many([FRAMES[0], frame])


def test_too_large_frames_raise(inspector):
    with pytest.raises(BadFrame, match="megapixels"):
        inspector(np.broadcast_to(np.uint8(0), (MAX_PIXELS // 10_000 + 1, 10_000, 3)))


def test_a_frame_that_the_graph_cannot_take_raises():
    roi = (0.4, 0.4, 0.45, 0.45)  # of a 2 x 2 frame nothing is left
    inspector = Inspector(line_model(a_card(input=replace(a_card().input, roi=roi))))
    with pytest.raises(BadFrame, match=r"\(2, 2, 3\).*by hand"):
        inspector(level(0))


# models that must not be used


def refused(model, said, **options):
    with pytest.raises(BadModel, match=said) as caught:
        Inspector(model, **options)
    assert "\n" not in str(caught.value)


def test_200_flipped_bits_are_refused(model):
    rng = np.random.default_rng(1)
    for bit in rng.choice(8 * len(model), 200, replace=False).tolist():
        damaged = bytearray(model)
        damaged[bit // 8] ^= 1 << bit % 8
        refused(bytes(damaged), "seal|sha256")


def test_a_truncated_model_is_refused(model):
    for end in range(0, len(model), 97):
        refused(model[:end], "seal|sha256|empty")


def test_what_is_no_model_file_is_refused(tmp_path, model):
    refused(tmp_path / "gone.onnx", r"gone\.onnx: .*nothing there")
    refused(tmp_path, "a folder")
    refused(b"", "empty")
    path = tmp_path / "notes.onnx"
    path.write_bytes(b"not an onnx file")
    refused(path, r"notes\.onnx: .*found none")
    path.write_bytes(model[:-10])
    refused(path, r"notes\.onnx: ")


def identity_model():
    """Somebody else's ONNX file."""
    tensor = info("x", FLOAT, [1])
    return whole(
        helper.make_graph([node("Identity", ["x"], "y")], "other", [tensor], [info("y", FLOAT, [1])])
    )


def test_other_peoples_models_are_refused():
    refused(identity_model().SerializeToString(), "found none")
    refused(sealed(identity_model(), None), "expected a card")
    refused(sealed(identity_model(), a_card().to_json()), "'frames'")


def test_a_sealed_file_that_is_no_graph_is_refused():
    model = identity_model()
    model.graph.node[0].op_type = "Nonsense"
    refused(sealed(model, a_card().to_json()), "onnxruntime .* cannot load it")


def test_a_bad_card_is_refused(model):
    refused(resealed(model, "{}"), "missing")
    refused(resealed(model, "no json"), "JSON")
    refused(resealed(model, a_card(classes=("good", "crack"), good="good").to_json()), "'kinds'")


def test_answers_other_than_at_export_are_refused(model):
    card = Inspector(model).card
    golden = card.golden
    for change in (
        {"severity": (golden.severity[0] + 1e-3, *golden.severity[1:])},
        {"kinds": tuple((0.5, 0.25, 0.25) for _ in golden.kinds)},
        {"decision": tuple((d + 1) % 3 for d in golden.decision)},
        {"seed": golden.seed + 1},
    ):
        other = replace(card, golden=replace(golden, **change))
        refused(resealed(model, other.to_json()), "self-test failed")


def test_other_weights_are_refused(model):
    other = onnx.load_from_string(model)
    for tensor in other.graph.initializer:
        if tensor.name == "weights":
            weights = onnx.numpy_helper.to_array(tensor) * np.float32(1.01)
            tensor.CopyFrom(constant("weights", weights))
    refused(resealed(other.SerializeToString(), Inspector(model).card.to_json()), "self-test failed")


def test_an_engine_that_resizes_otherwise_is_refused(model):
    other = onnx.load_from_string(model)
    (resize,) = [n for n in other.graph.node if n.op_type == "Resize"]
    for attribute in resize.attribute:
        if attribute.name in ("antialias", "exclude_outside"):
            attribute.i = 0
    refused(resealed(other.SerializeToString(), Inspector(model).card.to_json()), "self-test failed")


def test_missing_providers_and_odd_threads_are_refused(model):
    refused(model, "FluxCapacitor", providers=["FluxCapacitorExecutionProvider"])
    for threads in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match="threads"):
            Inspector(model, threads=threads)


def test_threads_and_providers_do_not_change_verdicts(model, inspector):
    other = Inspector(model, threads=2, providers=["CPUExecutionProvider"])
    assert other(FRAMES[0]).severity == pytest.approx(inspector(FRAMES[0]).severity, abs=1e-6)


def test_the_session_has_the_lines_settings(inspector):
    options = inspector._session.get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.execution_mode == onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_the_card_is_the_files(model):
    assert Inspector(model).card == replace(a_card(), golden=Inspector(model).card.golden)


def test_onnxruntime_stays_silent(capfd, model):
    broken = identity_model()
    broken.graph.node[0].op_type = "Nonsense"
    with pytest.raises(BadModel):
        Inspector(sealed(broken, a_card().to_json()))
    with pytest.raises(BadFrame):
        Inspector(line_model(a_card(input=replace(a_card().input, roi=(0.4, 0.4, 0.45, 0.45)))))(level(0))
    assert capfd.readouterr() == ("", "")


def test_pictures_from_a_stream_need_no_file(inspector):
    stream = io.BytesIO()
    Image.fromarray(FRAMES[1]).save(stream, "PNG")
    assert inspector(stream.getbuffer()) == inspector(FRAMES[1])

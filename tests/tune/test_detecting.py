"""A detector that learns squares: it finds them, and its file draws the boxes that torch does."""

import io
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from onnx import numpy_helper
from rich.console import Console

from visiontune import Inspector
from visiontune.data.fit import Fit
from visiontune.data.tiles import Grid
from visiontune.heads import Detect, Labels, Pyramid
from visiontune.runtime.bands import Bands
from visiontune.runtime.card import InputSpec
from visiontune.runtime.errors import ExportRefused, PrecisionRefused
from visiontune.runtime.golden import golden_frames
from visiontune.runtime.model import open_session
from visiontune.tune import Unfreeze, finetune, read
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.net import Net
from visiontune.tune.prove_boxes import PIXELS, SCORE, prove_boxes
from visiontune.tune.pyramid import taps
from visiontune.tune.tiled_net import TiledNet

SIZE = (64, 64)
CLASSES = ("good", "bright", "dark")
LABELS = Labels(classes=CLASSES, good="good", counts=(8, 12, 12), kinds=CLASSES[1:])
ROI = (0.0, 0.1, 1.0, 0.95)


def pictures(n, seed):
    """Grey noise with up to two bright or dark rectangles, as a batch."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(110, 146, (n, *SIZE, 3), dtype=np.uint8)
    boxes, kinds = np.zeros((n, 2, 4), np.float32), np.full((n, 2), -1)
    for row in range(n):
        for at in range(rng.integers(0, 3)):
            high, wide = rng.integers(8, 30, 2)
            y, x, kind = rng.integers(0, 64 - high), rng.integers(0, 64 - wide), rng.integers(0, 2)
            frames[row, y : y + high, x : x + wide] = (230, 30)[kind]
            boxes[row, at], kinds[row, at] = (x, y, x + wide, y + high), kind
    label = (kinds.max(axis=1) + 1).astype(np.int64)
    plain = {"frames": frames, "boxes": boxes, "box_kinds": kinds, "label": label, "known": np.ones(n, bool)}
    return {word: torch.from_numpy(value) for word, value in plain.items()}


def untrained(name="test_resnet", size=SIZE, **options):
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0).eval()
    found = taps(backbone, size)
    pyramid = Pyramid(
        pooled=backbone.num_features,
        channels=tuple(tap.channels for tap in found),
        strides=tuple(tap.stride for tap in found),
        size=size,
    )
    head = Detect(width=32, **options).build(pyramid, LABELS)
    return Net(backbone, head, mean=(0.5,) * 3, std=(0.5,) * 3, size=size, taps=found)


@pytest.fixture(scope="module")
def net():
    net, steps = untrained().train(), 110
    optimizer = torch.optim.AdamW(net.parameters())
    for step in range(steps):
        batch = pictures(8, step % 4)
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * min(1, (step + 1) / 10) * (1 + np.cos(np.pi * step / steps)) / 2
        optimizer.zero_grad()
        net.head.loss(net(batch["frames"]), batch).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    return net.eval()


def overlap(one, other):
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(area) - wide * high)


def slow_average_precision(batch, answers, kind):
    """Area under precision over recall at IoU 0.5 of one kind, box by box."""
    real = {
        row: [b for b, k in zip(bs, ks, strict=True) if k == kind]
        for row, (bs, ks) in enumerate(zip(batch["boxes"].tolist(), batch["box_kinds"].tolist(), strict=True))
    }
    said = [
        (score, row, box)
        for row, columns in enumerate(
            zip(*(answers[w].tolist() for w in ("boxes", "box_scores", "box_kinds")), strict=True)
        )
        for box, score, named in zip(*columns, strict=True)
        if score > 0 and CLASSES[named] == CLASSES[kind + 1]
    ]
    hits, area = [], 0.0
    taken = {row: set() for row in real}
    for _, row, box in sorted(said, key=lambda one: -one[0]):
        fitting = [at for at, b in enumerate(real[row]) if at not in taken[row] and overlap(box, b) >= 0.5]
        best = max(fitting, key=lambda at: overlap(box, real[row][at]), default=None)
        taken[row] |= {best} - {None}
        hits.append(best is not None)
    total = sum(map(len, real.values()))
    for at, hit in enumerate(hits):
        if hit:  # precision is taken at its best from here on
            area += max(sum(hits[: to + 1]) / (to + 1) for to in range(at, len(hits))) / total
    return area


def test_it_finds_what_it_saw(net):
    found = []
    for seed in range(4):
        batch = pictures(8, seed)
        with torch.inference_mode():
            answers = net.answers(batch["frames"])
        found += [slow_average_precision(batch, answers, kind) for kind in (0, 1)]
        named = answers["kinds"].argmax(dim=1)
        assert (named == batch["label"]).float().mean() >= 0.75
    assert np.mean(found) > 0.7
    with torch.inference_mode():
        before = untrained().eval().answers(batch["frames"])
    assert slow_average_precision(batch, before, 0) < 0.1


def test_squares_on_seams_are_found_and_parts_of_them_are_not_shown(net):
    """Tiles begin at 0, 32, 64 and 96, and share 32 pixels: every square lies over a seam, and is whole in a tile."""
    tiled = TiledNet(net, Grid((64, 160), 64, 32))
    rng, total = np.random.default_rng(0), 24
    found = shown = unowned = 0
    for _ in range(total):
        frame = rng.integers(110, 146, (64, 160, 3), dtype=np.uint8)
        high, wide = rng.integers(14, 29, 2).tolist()
        y, x = int(rng.integers(0, 64 - high)), int(rng.choice([32, 64, 96, 128]) - rng.integers(4, wide - 3))
        frame[y : y + high, x : x + wide] = 230
        with torch.inference_mode():
            cells = tiled.exported(torch.from_numpy(frame[None]))
        boxes, scores, _ = tiled.left(cells, net.head.suppression)
        some = boxes[0][scores[0] >= 0.3].tolist()
        found += any(overlap(box, (x, y, x + wide, y + high)) >= 0.5 for box in some)
        shown += len(some)
        unowned += int((net.left(cells, net.head.suppression)[1] >= 0.3).sum())
    assert found > 0.7 * total
    assert shown < unowned


@pytest.fixture(scope="module")
def model(net):
    bands = Bands(review_from=0.3, reject_from=0.7, evidence=None)
    return line_model(core_model(net, SIZE), net, bands, roi=ROI)


def frames():
    """Squares, and painted frames of odd sizes."""
    yield from (("a square", frame) for frame in pictures(8, 1)["frames"].numpy())
    yield from (("painted", frame) for size in ((97, 130), (40, 33)) for frame in golden_frames(5, 2, size))


SPEC = InputSpec(size=SIZE, roi=ROI, mean=(0.5,) * 3, std=(0.5,) * 3)


def test_the_file_draws_the_boxes_that_torch_does(net, model):
    found = prove_boxes(model, net, SPEC, frames())
    assert found.pixels <= PIXELS and found.score <= SCORE
    words = {one.name for one in model.graph.output}
    assert words == {"severity", "kinds", "heatmap", "boxes", "box_scores", "box_kinds", "decision"}
    assert {node.domain for node in model.graph.node} == {""}


def test_boxes_of_many_frames_are_those_of_each(net, model):
    session = open_session(model.SerializeToString())
    some = pictures(8, 2)["frames"].numpy()
    words = ["boxes", "box_scores", "box_kinds"]
    together = session.run(words, {"frames": some})
    assert (together[1] > 0.3).any()
    for row in range(len(some)):
        alone = session.run(words, {"frames": some[row : row + 1]})
        for one, many in zip(alone, together, strict=True):
            np.testing.assert_allclose(one[0], many[row], atol=1e-3)
    fit = Fit(SIZE, ROI)
    with torch.inference_mode():
        answers = net.answers(torch.from_numpy(np.stack([fit(frame) for frame in some])))
    np.testing.assert_allclose(together[1], answers["box_scores"].numpy(), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("test_vit", (160, 160)), ("test_efficientnet", (97, 130))])
def test_other_backbones_and_odd_sizes(name, size):
    net = untrained(name, size, least=0.005, most=300).eval()
    model = line_model(
        core_model(net, size), net, Bands(review_from=0.3, reject_from=0.7, evidence=None), roi=None
    )
    painted = [("painted", frame) for frame in golden_frames(7, 2, (111, 203))]
    found = prove_boxes(model, net, InputSpec(size=size, mean=(0.5,) * 3, std=(0.5,) * 3), painted)
    assert found.pixels <= PIXELS
    with torch.inference_mode():
        answers = net.answers(torch.from_numpy(golden_frames(7, 2, size)))
    assert (answers["box_scores"] > 0).any()
    high, wide = size
    assert (answers["boxes"] <= torch.tensor([wide, high, wide, high])).all()


def test_a_file_whose_cells_say_otherwise_is_refused(net, model):
    other = untrained().eval()
    with pytest.raises(ExportRefused, match=r"does not draw boxes .* on a square"):
        prove_boxes(model, other, SPEC, frames())


def test_a_file_that_leaves_other_boxes_is_refused(net, model):
    twin = type(model)()
    twin.CopyFrom(model)
    (limit,) = (one for one in twin.graph.initializer if one.name == "boxes.least")
    limit.CopyFrom(numpy_helper.from_array(np.array(0.5, np.float32), limit.name))
    with pytest.raises(ExportRefused, match="edges differ by inf"):
        prove_boxes(twin, net, SPEC, frames())


@pytest.fixture(scope="module")
def run(tiny_recipe, parts_folder, tmp_path_factory):
    recipe = replace(tiny_recipe, head=Detect(width=16, least=0.01), unfreeze=Unfreeze(at=(1,)), epochs=2)
    said = Console(file=io.StringIO())
    run = finetune(recipe, read(parts_folder), out=tmp_path_factory.mktemp("run"), console=said)
    run.calibrate(escapes=0.2, overkill=0.2, confidence=0.8)
    run.export()
    return run


def test_a_run_ships_boxes_of_its_classes(run):
    inspector = Inspector(run.out / "model.onnx")
    assert inspector.card.task == "detect"
    sample = next(sample for sample in run.data.share("val") if sample.boxes)
    session = open_session((run.out / "model.onnx").read_bytes())
    frames = np.asarray(run.pictures("val"))
    boxes, scores, kinds = session.run(["boxes", "box_scores", "box_kinds"], {"frames": frames})
    real = scores > 0
    assert real.any()
    assert {run.data.classes[kind] for kind in kinds[real].tolist()} <= set(run.data.kinds)
    assert boxes.min() >= 0 and boxes.max() <= 64
    assert inspector(sample.path).heatmap.shape == (8, 8)


def test_the_bare_network_is_refused(run):
    with pytest.raises(ExportRefused, match="leaves suppression to the app"):
        run.export(run.out / "bare.onnx", core=True)
    assert not list(run.out.glob("bare*"))


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_narrow_files_are_refused(run, precision):
    with pytest.raises(PrecisionRefused, match="found one of boxes"):
        run.export(precision=precision)
    assert not (run.out / f"model.{precision}.onnx").exists()

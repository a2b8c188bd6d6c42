"""Large frames: the file cuts tiles inside, and judges as torch does; a frame that is one tile is judged as without tiles."""

from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np
import onnx
import pytest
import torch

from visiontune import Bands, TooSlow
from visiontune.data.fit import Fit
from visiontune.data.samples import Dataset, Sample
from visiontune.data.tiles import Grid
from visiontune.heads import Segment
from visiontune.runtime.budget import run_within
from visiontune.runtime.errors import BadRecipe
from visiontune.runtime.golden import golden_frames
from visiontune.runtime.model import open_session
from visiontune.tune.finetune import make_net
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.tiled_graph import whole_model
from visiontune.tune.tiled_net import TiledNet

SIZE, TILE = (96, 160), (64, 16)
BANDS = Bands(0.4, 0.6)


@pytest.fixture(scope="module")
def net(tiny_recipe):
    """A network that draws maps, with random weights of a size that makes answers differ."""
    names = ("good", "a", "b")
    samples = tuple(Sample(id=name, path=Path(name), label=name, group=name, split="train") for name in names)
    data = Dataset(root=Path(), layout="", samples=samples, classes=names, good="good")
    made = make_net(replace(tiny_recipe, head=Segment(width=8), size=SIZE, tile=TILE), data).eval()
    torch.nn.init.normal_(made.head.classify.linear.weight, std=0.3)
    torch.nn.init.normal_(made.head.cells.weight, std=3)
    return made


@pytest.fixture(scope="module")
def body(net):
    return core_model(TiledNet(net, Grid(SIZE, *TILE)), (64, 64))


def said(model, frames):
    session = open_session(model.SerializeToString())
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"frames": frames}), strict=True))


def expected(tiled, frames):
    fit = Fit(tiled.grid.size)
    with torch.inference_mode():
        found = tiled.answers(torch.from_numpy(np.stack([fit(frame) for frame in frames])))
    return {word: values.numpy() for word, values in found.items()}


@pytest.mark.parametrize("frame", [SIZE, (50, 70), (301, 177)], ids=str)
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_graph_judges_as_torch_does(net, body, frame, temperature):
    """Frames of other sizes than the model's are fitted first; whatever the batch, one tile runs at a time."""
    tiled = TiledNet(net, Grid(SIZE, *TILE))
    net.head.temperature.fill_(temperature)
    frames = golden_frames(5, 3, frame)
    here, there = said(whole_model(body, tiled, BANDS, roi=None), frames), expected(tiled, frames)
    net.head.temperature.fill_(1)
    assert np.ptp(there["severity"]) > 1e-5
    assert here["heatmap"].shape == (3, 24, 40) == there["heatmap"].shape
    for word, values in there.items():
        assert np.abs(here[word] - values).max() < 1e-5
    assert here["decision"].tolist() == BANDS.decisions(there["severity"]).tolist()


def test_the_worst_tile_speaks_for_the_frame(net):
    """By a slow oracle: every tile judged alone."""
    tiled = TiledNet(net, Grid(SIZE, *TILE))
    (frame,) = golden_frames(3, 1, SIZE)
    with torch.inference_mode():
        alone = [
            net.answers(torch.from_numpy(frame[None, y : y + 64, x : x + 64])) for y, x in tiled.grid.corners
        ]
        logits = tiled.logits(torch.from_numpy(frame[None]))
    worst = max(alone, key=lambda answer: float(answer["severity"]))
    found = expected(tiled, frame[None])
    assert len(alone) == 6
    assert found["severity"] == pytest.approx(float(worst["severity"]), abs=1e-6)
    assert found["kinds"] == pytest.approx(worst["kinds"].numpy(), abs=1e-6)
    assert tiled.head.judged(logits)["kinds"].numpy() == pytest.approx(found["kinds"], abs=1e-6)


def test_where_the_frame_is_one_tile_it_is_as_without_tiles(net):
    tiled = TiledNet(net, Grid((64, 64), 64, 16))
    frames = golden_frames(4, 2, (90, 80))
    with_tiles = said(whole_model(core_model(tiled, (64, 64)), tiled, BANDS, roi=(0, 0.1, 0.9, 1)), frames)
    without = said(line_model(core_model(net, (64, 64)), net, BANDS, roi=(0, 0.1, 0.9, 1)), frames)
    assert with_tiles.keys() == without.keys()
    for word, values in without.items():
        assert np.abs(with_tiles[word] - values).max() < 1e-4


def test_a_tile_that_says_nan_is_the_worst(net, body):
    """One spoilt weight, of one kind: the frame is reviewed, whatever its other tiles say."""
    tiled = TiledNet(net, Grid(SIZE, *TILE))
    model = whole_model(body, tiled, Bands(2.0, 2.0), roi=None)
    (at,) = [i for i, tensor in enumerate(model.graph.initializer) if tensor.name == "normalise.mean"]
    mean = onnx.numpy_helper.to_array(model.graph.initializer[at]).copy()
    mean[0, 1] = np.nan
    model.graph.initializer[at].CopyFrom(onnx.numpy_helper.from_array(mean, "normalise.mean"))
    assert said(model, golden_frames(3, 1, SIZE))["decision"].tolist() == [1]
    logits = torch.tensor([[0.0, 1.0], [float("nan"), 0.0], [5.0, 0.0]])
    assert net.head.risk(logits).argmax() == 1


def test_opset_names_and_no_paths(net, body):
    model = whole_model(body, TiledNet(net, Grid(SIZE, *TILE)), BANDS, roi=None)
    assert [(item.domain, item.version) for item in model.opset_import] == [
        ("", 18)
    ] and model.ir_version == 8
    names = {tensor.name for tensor in model.graph.initializer}
    assert {"temperature", "bands.review_from", "bands.reject_from", "normalise.mean"} <= names
    assert b".py" not in model.SerializeToString()


def test_the_loop_ends_when_its_time_is_over(net, body):
    session = open_session(
        whole_model(body, TiledNet(net, Grid(SIZE, *TILE)), BANDS, roi=None).SerializeToString()
    )
    frames = np.zeros((64, *SIZE, 3), np.uint8)
    begin = perf_counter()
    session.run(["decision"], {"frames": frames})
    whole, begin = perf_counter() - begin, perf_counter()
    with pytest.raises(TooSlow):
        run_within(0.001, session.run, ["decision"], {"frames": frames})
    assert perf_counter() - begin < 0.5 * whole


def test_tiles_are_checked_when_the_recipe_is_made(tiny_recipe):
    with pytest.raises(
        BadRecipe, match=r"Recipe.tile must be \(side, overlap\), .*multiple of 32 of at most 64"
    ):
        replace(tiny_recipe, tile=(80, 8))
    assert replace(tiny_recipe, tile=(32, 8)).seen == (32, 32)

"""Boxes of large frames: tiles say them, one suppression over all leaves each object once, and the file does as torch does."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.edited_parts import edited
from tests.tune.test_detecting import untrained
from visiontune import Inspector
from visiontune.cli import main
from visiontune.data.fit import Fit
from visiontune.data.tiles import Grid
from visiontune.heads import Detect
from visiontune.heads.suppression import BOX_WORD, SCORE_WORD, Suppression
from visiontune.runtime.bands import Bands
from visiontune.runtime.card import InputSpec
from visiontune.runtime.errors import BadData
from visiontune.runtime.golden import golden_frames
from visiontune.runtime.model import open_session
from visiontune.tune import Tiles, Unfreeze, finetune, read
from visiontune.tune.graph import core_model
from visiontune.tune.prove_boxes import PIXELS, SCORE, prove_boxes
from visiontune.tune.tiled_graph import whole_model
from visiontune.tune.tiled_net import TiledNet, owned

BANDS = Bands(review_from=0.3, reject_from=0.7, evidence=None)
RULES = Suppression(least=0.05, overlap=0.5, most=40, named=(1, 2))
WORDS = ("boxes", "box_scores", "box_kinds")


@st.composite
def seen(draw):
    """A grid, and objects no larger than what its tiles share, far enough from each other to be two."""
    overlap = draw(st.sampled_from([16, 32]))
    grid = Grid((draw(st.integers(64, 200)), draw(st.integers(64, 200))), 64, overlap)
    objects = []
    for _ in range(draw(st.integers(1, 4))):
        wide, high = draw(st.floats(2, overlap)), draw(st.floats(2, overlap))
        x, y = draw(st.floats(0, grid.size[1] - wide)), draw(st.floats(0, grid.size[0] - high))
        if all(max(x - b[2], b[0] - x - wide, y - b[3], b[1] - y - high) > 0 for b in objects):
            objects.append((x, y, x + wide, y + high))
    return grid, objects, draw(st.integers(0, 2**20))


@settings(max_examples=150, deadline=None)
@given(seen())
@example(
    (Grid((64, 195), 64, 32), [(114.25, 0.0, 143.25, 2.0), (0.0, 0.0, 2.0, 2.0), (90.0, 0.0, 92.0, 2.0)], 0)
)
def test_an_object_across_a_seam_is_found_once_and_whole(given):
    """Each tile says exactly what it sees of each object, and the more surely the more of it."""
    grid, objects, seed = given
    rng = np.random.default_rng(seed)
    boxes = np.zeros((1, len(grid), len(objects), 4), np.float32)
    scores = np.zeros((1, len(grid), len(objects), 2), np.float32)
    for tile, (y, x) in enumerate(grid.corners.tolist()):
        for at, (x0, y0, x1, y1) in enumerate(objects):
            part = [max(x0, x), max(y0, y), min(x1, x + 64), min(y1, y + 64)]
            if part[0] < part[2] and part[1] < part[3]:
                whole = (part[2] - part[0]) * (part[3] - part[1]) / ((x1 - x0) * (y1 - y0))
                boxes[0, tile, at], scores[0, tile, at, 0] = part, 0.2 + 0.7 * whole - 0.01 * rng.random()
    cells = torch.from_numpy(boxes).flatten(1, 2), torch.from_numpy(scores).flatten(1, 2)
    heard = owned(*cells, torch.from_numpy(grid.cores))
    found, sure, kinds = RULES.left(cells[0], heard)
    assert int((sure > 0).sum()) == len(objects)
    assert (kinds[sure > 0] == 1).all()
    said = heard.reshape(len(grid), len(objects), 2)
    for box in found[sure > 0].numpy():
        near = min(range(len(objects)), key=lambda at: np.abs(box - objects[at]).max())
        sides = np.subtract(objects[near][2:], objects[near][:2])
        if max(sides) <= 0.75 * grid.overlap:
            assert np.abs(box - objects[near]).max() <= 1e-3
        # two tiles may have a say in one that is larger than the rest of what they share; what they say of others has none
        parts = list(zip(boxes[0, :, near].tolist(), said[:, near].tolist(), strict=True))
        strongest, _ = max(parts, key=lambda part: part[1][0])
        assert np.abs(box - agreed(strongest, 0, parts)).max() <= 1e-3


@given(st.integers(64, 300), st.sampled_from([0, 8, 16, 32]), st.data())
@settings(max_examples=60, deadline=None)
def test_every_place_is_some_tiles_own(side, overlap, data):
    grid = Grid((side, 64), 64, overlap)
    y = data.draw(st.floats(0, side, width=32))
    held = [tile for tile, (_, y0, _, y1) in enumerate(grid.cores.tolist()) if y0 <= y <= y1]
    assert held
    if 0 < y < side and overlap:
        assert all(grid.rows[tile] <= y <= grid.rows[tile] + 64 for tile in held)


@pytest.fixture(scope="module")
def net():
    """Random weights of a size that makes what cells say differ, and batch norms that know what comes."""
    made = untrained(least=0.005, most=60).train()
    torch.nn.init.normal_(made.head.scores.weight, std=0.3)
    torch.nn.init.normal_(made.head.edges.weight, std=0.1)
    with torch.no_grad():
        for _ in range(40):
            made(torch.from_numpy(golden_frames(9, 4, (64, 64))))
    return made.eval()


GRID = Grid((96, 160), 64, 16)


@pytest.fixture(scope="module")
def body(net):
    return core_model(TiledNet(net, GRID), (64, 64))


def test_boxes_are_those_of_each_tile_alone_moved_and_suppressed_together(net):
    tiled = TiledNet(net, GRID)
    (frame,) = golden_frames(3, 1, GRID.size)
    with torch.inference_mode():
        found = tiled.answers(torch.from_numpy(frame[None]))
        rows, all_cells = [], []
        for (y, x), (x0, y0, x1, y1) in zip(GRID.corners.tolist(), GRID.cores.tolist(), strict=True):
            said = net.exported(torch.from_numpy(frame[None, y : y + 64, x : x + 64]))
            for box, scores in zip(said[BOX_WORD][0].tolist(), said[SCORE_WORD][0].tolist(), strict=True):
                box = [box[0] + x, box[1] + y, box[2] + x, box[3] + y]
                middle = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
                if x0 <= middle[0] <= x1 and y0 <= middle[1] <= y1:
                    all_cells.append((box, scores))
                    rows += [(score, box, kind) for kind, score in enumerate(scores) if score > 0.005]
    kept = []
    for row in sorted(rows, key=lambda row: -row[0]):
        if all(row[2] != other[2] or overlap(row[1], other[1]) <= 0.5 for other in kept):
            kept.append(row)
    kept = kept[:60]
    assert len(kept) == 60
    assert found["box_scores"][0].tolist() == pytest.approx([score for score, _, _ in kept], abs=1e-6)
    cells = sorted(all_cells, key=lambda cell: -max(cell[1]))[: 10 * 60]
    expected = np.array([agreed(box, kind, cells) for _, box, kind in kept])
    assert np.abs(found["boxes"][0].numpy() - expected).max() < 1e-3


def agreed(box, kind, cells):
    """The mean of the cells' boxes around a box, by score and overlap."""
    weights = np.array([(scores[kind] * max(0.0, overlap(box, one) - 0.4)) ** 2 for one, scores in cells])
    return weights @ np.array([one for one, _ in cells]) / weights.sum()


def overlap(one, other):
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(area) - wide * high)


@pytest.mark.parametrize("roi", [None, (0.1, 0.0, 1.0, 0.9)])
def test_the_file_draws_the_boxes_that_torch_does(net, body, roi):
    tiled = TiledNet(net, GRID)
    model = whole_model(body, tiled, BANDS, roi=roi)
    spec = InputSpec(size=GRID.size, roi=roi, mean=(0.5,) * 3, std=(0.5,) * 3)
    frames = [("painted", frame) for size in (GRID.size, (50, 70)) for frame in golden_frames(5, 2, size)]
    found = prove_boxes(model, tiled, spec, frames)
    assert found.pixels <= PIXELS and found.score <= SCORE
    session, frames = open_session(model.SerializeToString()), golden_frames(7, 3, (101, 177))
    together = session.run(WORDS, {"frames": frames})
    fit = Fit(GRID.size, roi)
    with torch.inference_mode():
        answers = tiled.answers(torch.from_numpy(np.stack([fit(frame) for frame in frames])))
    assert (together[1] > 0).all()
    assert np.abs(together[1] - answers["box_scores"].numpy()).max() < 1e-4


def test_where_the_frame_is_one_tile_boxes_are_as_without_tiles(net, body):
    tiled = TiledNet(net, Grid((64, 64), 64, 16))
    frames = golden_frames(4, 2, (64, 64))
    model = whole_model(body, tiled, BANDS, roi=None)
    found = open_session(model.SerializeToString()).run(WORDS, {"frames": frames})
    with torch.inference_mode():
        there = net.answers(torch.from_numpy(frames))
    for word, values in zip(WORDS, found, strict=True):
        assert np.abs(values - there[word].numpy()).max() < 1e-3


@pytest.fixture(scope="module")
def recipe(tiny_recipe):
    return replace(
        tiny_recipe,
        head=Detect(width=16, least=0.01),
        unfreeze=Unfreeze(at=(1,)),
        size=(64, 96),
        tile=(32, 8),
        tiles=Tiles(per_frame=3, around=0.5),
        epochs=2,
        views=2,
        lr=2e-3,
    )


def tuned(recipe, data, out):
    said = io.StringIO()
    run = finetune(recipe, data, out=out, console=Console(file=said, width=200))
    return run, said.getvalue()


def test_a_run_on_tiles_ships_boxes_of_frames(recipe, parts_folder, tmp_path, capsys):
    data = read(parts_folder)
    run, said = tuned(recipe, data, tmp_path / "run")
    assert "closed stages are computed once" in said and "tiles of train" in said
    assert "objects of train are larger than the 8 pixels that tiles share" in said
    run.calibrate(escapes=0.2, overkill=0.2, confidence=0.8)
    run.export()
    inspector = Inspector(run.model)
    assert "boxes" in run.metrics
    found = [inspector(sample.path).proposals for sample in run.data.share("val")]
    boxes = np.concatenate([one.corners for one in found])
    assert len(boxes) and boxes.min() >= 0
    assert {run.data.classes[kind] for one in found for kind in one.kinds.tolist()} <= set(run.data.kinds)
    assert "Boxes on val" in run.report().read_text(encoding="utf-8")
    assert main(["measure", str(run.model), str(parts_folder), "--split", "test"]) == 0
    assert "found" in capsys.readouterr().out


def test_without_boxes_there_is_nothing_to_cut_tiles_around(recipe, parts_folder, tmp_path):
    folder = edited(parts_folder, tmp_path / "parts", lambda row: row.update(boxes=""))
    with pytest.raises(BadData, match="expected boxes in train, found none; add a COCO"):
        tuned(recipe, read(folder), tmp_path / "run")

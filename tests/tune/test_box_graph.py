"""Boxes in the graph: suppression and placing by plain operators are what torch does, for any number of frames."""

from functools import cache

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from visiontune.data.fit import IR_VERSION, OPSET, fit_nodes
from visiontune.heads import Detect, Labels, Pyramid
from visiontune.heads.suppression import BOX_WORD, SCORE_WORD
from visiontune.runtime.model import open_session
from visiontune.runtime.regions import roi_pixels
from visiontune.tune.box_graph import add_boxes

SIZE = (24, 32)
CELLS, KINDS = 9, 2
LABELS = Labels(classes=("good", "pit", "crack"), good="good", counts=(1, 1, 1), kinds=("crack", "pit"))
PYRAMID = Pyramid(pooled=2, channels=(3,), strides=(8,), size=SIZE)


def head(most=6):
    return Detect(width=8, most=most, least=0.1, overlap=0.5).build(PYRAMID, LABELS)


@cache
def session(roi=None, most=6, cells=CELLS):
    """frames, and what all cells say, in; boxes out."""
    nodes, tensors = fit_nodes("frames", "fitted", size=SIZE, roi=roi)
    words = {BOX_WORD: [cells, 4], SCORE_WORD: [cells, KINDS]}
    nodes += [helper.make_node("Identity", [f"{word}.in"], [word]) for word in words]
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", "h", "w", 3])
    given, out = (
        [helper.make_tensor_value_info(word + end, TensorProto.FLOAT, ["n", *s]) for word, s in words.items()]
        for end in (".in", "")
    )
    graph = helper.make_graph(nodes, "boxes", [frames, *given], out, tensors)
    add_boxes(graph, head(most), size=SIZE, roi=roi)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    onnx.checker.check_model(model, full_check=True)
    return open_session(model.SerializeToString())


def said(boxes, scores, shape=SIZE, **options):
    frames = np.zeros((len(boxes), *shape, 3), np.uint8)
    feed = {"frames": frames, f"{BOX_WORD}.in": boxes.numpy(), f"{SCORE_WORD}.in": scores.numpy()}
    return session(cells=boxes.shape[1], **options).run(["boxes", "box_scores", "box_kinds"], feed)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_stays_is_what_torch_leaves(data):
    n, most = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([1, 6, 30]))
    edges = st.lists(st.integers(0, 12), min_size=4 * CELLS * n, max_size=4 * CELLS * n)
    corners = 2.0 * torch.tensor(data.draw(edges)).float().reshape(n, CELLS, 2, 2)
    boxes = torch.cat(
        [corners.amin(dim=2), corners.amax(dim=2)], dim=2
    )  # ties, no area, the same box twice: all occur
    levels = st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 1.0])
    count = n * CELLS * KINDS
    scores = torch.tensor(data.draw(st.lists(levels, min_size=count, max_size=count))).reshape(
        n, CELLS, KINDS
    )
    found = said(boxes, scores, most=most)
    expected = [one.numpy() for one in head(most).suppression.left(boxes, scores)]
    assert [(one.shape, one.dtype) for one in found] == [(one.shape, one.dtype) for one in expected]
    assert found[0] == pytest.approx(expected[0], abs=1e-4)
    assert (found[1] == expected[1]).all() and (found[2] == expected[2]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**20), st.integers(1, 3), st.booleans())
def test_the_strongest_cells_have_a_say_and_of_equal_ones_the_first(seed, most, equal):
    """More cells than are heard, and ties at their end."""
    draw = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 6, (1, 64, 2), generator=draw).float()
    boxes = torch.cat([corners, corners + 10 + torch.randint(0, 3, (1, 64, 2), generator=draw)], dim=2)
    scores = torch.rand(1, 64, KINDS, generator=draw)
    if equal:
        scores = (3 * scores).round() / 4
    found = said(boxes, scores, most=most)
    expected = [one.numpy() for one in head(most).suppression.left(boxes, scores)]
    assert found[0] == pytest.approx(expected[0], abs=1e-4) and (found[1] == expected[1]).all()


@pytest.mark.parametrize("roi", [None, (0.21, 0.1, 0.83, 0.95)])
@pytest.mark.parametrize("shape", [SIZE, (101, 77), (13, 200)])
def test_boxes_are_placed_in_the_frames_pixels(roi, shape):
    boxes = torch.zeros(2, CELLS, 4)
    boxes[0, 0] = torch.tensor([0.0, 0, SIZE[1], SIZE[0]])
    boxes[1, 5] = torch.tensor([8.0, 6, 16, 24])
    scores = torch.zeros(2, CELLS, KINDS)
    scores[0, 0, 0], scores[1, 5, 1] = 0.9, 0.8
    found, strength, kinds = said(boxes, scores, shape, roi=roi)
    x0, y0, x1, y1 = roi_pixels(*shape, roi)
    assert found[0, 0] == pytest.approx([x0, y0, x1, y1], abs=1e-3)
    wide, high = x1 - x0, y1 - y0
    assert found[1, 0] == pytest.approx([x0 + wide / 4, y0 + high / 4, x0 + wide / 2, y1], abs=1e-3)
    assert strength[:, 0].tolist() == pytest.approx([0.9, 0.8])
    assert kinds[:, 0].tolist() == [2, 1]
    assert not found[:, 1:].any() and not strength[:, 1:].any() and not kinds[:, 1:].any()


def test_scores_that_are_no_numbers_are_not_hidden():
    """The line reviews a frame whose scores are not finite."""
    scores = torch.zeros(1, CELLS, KINDS)
    scores[0, 3, 1] = torch.nan
    _, strength, _ = said(torch.zeros(1, CELLS, 4), scores)
    assert np.isnan(strength).any()

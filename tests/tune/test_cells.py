"""Heatmaps of a network that learned labels alone: what each cell is asked, and which backbones can be asked it."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from torch import nn

from visiontune import Inspector
from visiontune.data.fit import Fit
from visiontune.data.frames import Reader
from visiontune.heads import Classify, Labels
from visiontune.runtime.errors import BadRecipe
from visiontune.runtime.model import open_session
from visiontune.runtime.verdict import Region
from visiontune.tune.cells import answers
from visiontune.tune.find_cells import Blind, found_cells, wanted_cells
from visiontune.tune.graph import core_model
from visiontune.tune.layers import last_ones, layers
from visiontune.tune.net import Net
from visiontune.tune.prove_heatmap import Places

GOOD = Labels(classes=("good", "crack", "pit"), good="good", counts=(5, 5, 5))
SORTER = replace(GOOD, good=None)
SIDE = 96


def made(name, labels=GOOD, **options):
    """A network of random weights that tells frames apart, with its cells; and pictures for it."""
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0, **options).eval()
    pictures = torch.randn(3, 3, SIDE, SIDE)
    with torch.no_grad():
        features = backbone(pictures)
    head = Classify(heatmap="always").build(features.shape[1], labels)
    head.standardise.running_mean.copy_(features.mean(0))
    head.standardise.running_var.copy_(features.var(0) + 1e-6)
    nn.init.normal_(head.linear.weight, std=features.shape[1] ** -0.5)
    nn.init.normal_(head.linear.bias, std=0.5)
    head.temperature.fill_(3.0)
    cells, _ = wanted_cells(backbone, head, (SIDE, SIDE), classes=3)
    half = (0.5,) * 3
    return Net(backbone, head, mean=half, std=half, size=(SIDE, SIDE), cells=cells).eval(), pictures


@torch.no_grad()
def test_the_cells_logits_add_up_to_the_frames():
    net, pictures = made("test_resnet")
    last = net.backbone.forward_features(pictures)
    heat = answers(net, pictures)["heatmap"]
    assert net.cells.pooled and heat.shape == (3, 3, 3)
    for frame in range(3):
        logits = torch.zeros(3)
        for row, column in np.ndindex(3, 3):
            own = net.head(last[frame, :, row, column][None])[0]
            logits += own / 9
            shares = torch.exp(own / 3.0)
            assert float(heat[frame, row, column]) == pytest.approx(
                float(shares[1:].sum() / shares.sum()), abs=1e-5
            )
        assert torch.allclose(logits, net(to_frames(pictures))[frame], atol=1e-4)


def to_frames(pictures):
    """Frames float (N, h, w, 3) that the network normalises to these pictures."""
    return (pictures * 127.5 + 127.5).permute(0, 2, 3, 1)


FAMILIES = {
    "test_resnet": ({}, "channels first"),
    "test_convnext": ({}, "channels first"),
    "mobilenetv3_small_050": ({}, "channels first"),
    "test_mambaout": ({}, "channels last"),
    "test_vit2": ({"img_size": SIDE}, "tokens"),
}


@torch.no_grad()
@pytest.mark.parametrize("name", FAMILIES)
def test_a_frame_of_equal_cells_is_everywhere_as_severe_as_the_frame(name):
    """Whatever follows pooling: the definition itself. And of real frames no answer but the heatmap is another one."""
    options, form = FAMILIES[name]
    net, pictures = made(name, **options)
    assert net.cells.form == form and net.cells.pooled == (name == "test_resnet")
    found, plain = answers(net, pictures), net.head.answer(net.head(net.backbone(pictures)))
    assert all(torch.equal(found[word], plain[word]) for word in ("severity", "kinds"))
    low, high = found["heatmap"].aminmax()
    assert low >= 0 and high <= 1 and high - low > 1e-3
    last = net.backbone.forward_features(pictures)
    cells = last[:, net.cells.extra :] if form == "tokens" else last
    first = (
        (slice(None), slice(None), slice(1), slice(1))
        if form == "channels first"
        else (slice(None), slice(1))
    )
    first = (*first, slice(1)) if form == "channels last" else first
    cells.copy_(cells[first].clone().expand_as(cells))
    net.backbone.forward_features = lambda _: last
    found = answers(net, pictures)
    assert (found["heatmap"] - found["severity"][:, None, None]).abs().max() < 1e-4


@torch.no_grad()
def test_a_sorter_shows_where_the_named_kind_is():
    net, pictures = made("test_resnet", SORTER)
    found = answers(net, pictures)
    last = net.backbone.forward_features(pictures)
    for frame, named in enumerate(found["kinds"].argmax(1).tolist()):
        own = net.head(last[frame].flatten(1).T) / 3.0
        assert torch.allclose(found["heatmap"][frame].flatten(), own.softmax(1)[:, named], atol=1e-5)


def test_a_class_token_is_not_asked_of_cells():
    backbone = timm.create_model("test_vit", num_classes=0, img_size=SIDE)
    with pytest.raises(Blind, match="class token"):
        found_cells(backbone, (SIDE, SIDE), classes=2)
    assert backbone.training
    cells, why = wanted_cells(backbone, Classify().build(64, GOOD), (SIDE, SIDE), classes=3)
    assert cells is None and "VisionTransformer gives no heatmap" in why
    with pytest.raises(BadRecipe, match=r"leave head\.heatmap at auto"):
        wanted_cells(backbone, Classify(heatmap="always").build(64, GOOD), (SIDE, SIDE), classes=3)


def test_what_costs_much_has_to_be_asked_for():
    backbone = timm.create_model("mobilenetv3_small_050", num_classes=0)
    cells, why = wanted_cells(backbone, Classify().build(1024, GOOD), (SIDE, SIDE), classes=3)
    assert cells is None and "head.heatmap=always" in why
    assert wanted_cells(backbone, Classify(heatmap="never").build(1024, GOOD), (SIDE, SIDE), classes=3) == (
        None,
        "",
    )


def test_a_single_cell_shows_nothing():
    backbone = timm.create_model("test_resnet", num_classes=0)
    with pytest.raises(Blind, match="a single cell"):
        found_cells(backbone, (32, 32), classes=2)


def test_the_file_says_where_as_torch_does(cooked):
    run = cooked
    inspector, fit = Inspector(run.model), Reader(Fit(run.recipe.size))
    for sample in run.data.share("test").samples[:4]:
        with torch.inference_mode():
            found = answers(run.net, run.net.normalised(torch.from_numpy(fit(sample.path)[None])))
        verdict = inspector(sample.path)
        assert verdict.heatmap.shape == run.net.cells.grid == (2, 2)
        assert np.abs(verdict.heatmap - found["heatmap"][0].numpy()).max() < 1e-3
        assert verdict.severity == pytest.approx(float(found["severity"]), abs=1e-4)


def test_a_heatmap_changes_no_other_answer(cooked):
    net, size = cooked.net, cooked.recipe.size
    blind = copy.deepcopy(net)
    blind.cells = None
    pictures = torch.randn(4, 3, *size).numpy()
    found = []
    for one in (net, blind):
        session = open_session(core_model(one, size).SerializeToString())
        names = [output.name for output in session.get_outputs()]
        found.append((names, *session.run(["severity", "kinds"], {"pictures": pictures})))
    assert found[0][0] == ["severity", "kinds", "heatmap"] and found[1][0] == ["severity", "kinds"]
    assert np.abs(found[0][1] - found[1][1]).max() < 1e-6 and np.abs(found[0][2] - found[1][2]).max() < 1e-6
    assert set(net.state_dict()) == set(blind.state_dict())


@pytest.mark.parametrize("name", FAMILIES)
def test_the_graph_says_where_for_any_number_of_frames(name):
    net, pictures = made(name, SORTER, **FAMILIES[name][0])
    session = open_session(core_model(net, (SIDE, SIDE)).SerializeToString())
    with torch.no_grad():
        there = answers(net, pictures)["heatmap"].numpy()
    for count in (1, 3):
        (here,) = session.run(["heatmap"], {"pictures": pictures[:count].numpy()})
        assert np.abs(here - there[:count]).max() < 1e-4


def test_places_stray_where_a_box_meets_no_other():
    def places(*pictures):
        found = Places(lambda path: None)
        found.found = [tuple(Region("pit", 0.9, box) for box in boxes) for boxes in pictures]
        return found

    left, right, wide = (0, 0, 10, 10), (10, 0, 20, 10), (5, 5, 15, 15)
    one = places([], [left], [left, right], [left], [left])
    assert one.strayed(one) == 0
    other = places([left], [], [wide], [right], [left, right])
    assert one.strayed(other) == other.strayed(one) == 4  # all but the third, where one region grew over both


def test_the_layers_that_judge_stay_in_float():
    """That of the frame and that of the cells; everything before them leads to both."""
    net, _ = made("mobilenetv3_small_050")
    core = core_model(net, (SIDE, SIDE))
    kinds = {layer.name for layer in layers(core)}
    gemms = [node.output[0] for node in core.graph.node if node.op_type in ("Gemm", "MatMul")]
    ends = last_ones(
        core.graph, {node.output[0] for node in core.graph.node if node.op_type in ("Conv", "Gemm")}
    )
    assert len(ends) == 2 and ends <= set(gemms) and not ends & kinds and kinds

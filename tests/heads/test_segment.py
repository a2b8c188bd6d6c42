"""The Segment head: its loss against plain arithmetic, its verdict from the whole map, its words within the vocabulary."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.data import masks
from visiontune.data.masks import fitted_mask
from visiontune.heads import Labels, Pyramid, Segment, map_loss
from visiontune.heads.map_loss import FOCAL, GAMMA, SMOOTH, kind_losses, map_losses, reduced
from visiontune.heads.segment import DOUBT, TINY, elected
from visiontune.runtime.errors import BadRecipe

LABELS = Labels(classes=("good", "crack", "pit"), good="good", counts=(10, 10, 10))
PYRAMID = Pyramid(pooled=6, channels=(4, 8, 12), strides=(4, 8, 16), size=(48, 64))


def features(n=3, seed=0):
    """Pooled features and maps of a 48 x 64 frame."""
    rng = torch.Generator().manual_seed(seed)
    maps = [
        torch.randn(n, channels, 48 // stride, 64 // stride, generator=rng)
        for channels, stride in zip(PYRAMID.channels, PYRAMID.strides, strict=True)
    ]
    return (torch.randn(n, 6, generator=rng), *maps)


def made(**options):
    torch.manual_seed(0)
    return Segment(**options).build(PYRAMID, LABELS)


def slow_loss(cells, mask, balance):
    """One picture's loss, cell by cell."""
    ones, zeros, hot, both = [], [], 0.0, 0.0
    for value, target in zip(cells.flatten().tolist(), mask.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-value))
        right = p if target else 1 - p
        (ones if target else zeros).append((1 - right) ** GAMMA * -math.log(right))
        hot, both = hot + p, both + p * target
    n, m = len(ones), len(zeros)
    weighed = sum(v * n**-balance for v in ones) + sum(v * m**-balance for v in zeros)
    whole = (n ** (1 - balance) if n else 0.0) + (m ** (1 - balance) if m else 0.0)
    dice = 1 - (2 * both + SMOOTH) / (hot + n + SMOOTH) if n else 0.0
    return FOCAL * weighed / whole + dice


@pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
def test_the_map_loss_is_the_plain_sum(balance):
    torch.manual_seed(1)
    cells = 2 * torch.randn(4, 5, 6)
    masks = (torch.rand(4, 5, 6) < 0.2).to(torch.uint8)
    masks[2], masks[3] = 0, 1  # a good frame, and one that is all defect
    found = map_losses(cells, masks, balance=balance)
    for row, cell, mask in zip(found.tolist(), cells, masks, strict=True):
        assert row == pytest.approx(slow_loss(cell, mask, balance), rel=1e-4)


def test_balance_raises_the_weight_of_small_defects():
    cells = torch.full((1, 20, 20), -3.0, requires_grad=True)
    speck = torch.zeros(1, 20, 20, dtype=torch.uint8)
    speck[0, 7, 7] = 1
    pulls = []
    for balance in (0.0, 0.5, 1.0):
        (gradient,) = torch.autograd.grad(map_losses(cells, speck, balance=balance).sum(), cells)
        assert gradient[0, 7, 7] < 0 < gradient[0, 0, 0]
        pulls.append(float(-gradient[0, 7, 7] / gradient[0, 0, 0]))
    assert pulls[0] < pulls[1] < pulls[2]


def test_an_unknown_mask_teaches_the_map_nothing():
    net = made().train()
    logits, cells, named = net(features())
    masks = torch.full((3, 48, 64), 255, dtype=torch.uint8)
    masks[1] = 0
    losses = net.map_losses((logits, cells, named), {"mask": masks, "label": torch.tensor([1, 0, 2])})
    assert losses[0] == losses[2] == 0 < losses[1]
    gradient, of_kinds = torch.autograd.grad(losses.sum(), (cells, named))
    assert not of_kinds.any()
    assert not gradient[0].any() and gradient[1].any() and not gradient[2].any()
    assert torch.isfinite(gradient).all()


def test_labels_alone_reach_the_map():
    """So pictures without a mask take part; the verdict's weights start at zero, and pass gradient from the second step on."""
    net = made()
    torch.nn.init.normal_(net.classify.linear.weight)
    loss = net.loss(net(features()), {"label": torch.tensor([0, 1, 2])})
    loss.backward()
    assert net.map_losses(net(features()), {"label": torch.tensor([0, 1, 2])}) is None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.cells.parameters())


def test_the_loss_is_that_of_verdict_and_map_and_in_training_of_kinds():
    net = made(map_share=0.3).eval()
    raw = net(features())
    marked = torch.zeros(3, 48, 64, dtype=torch.uint8)
    marked[1:, 8:24, 8:24] = 1
    targets = {"label": torch.tensor([0, 1, 2]), "mask": marked}
    of_map, of_frame = map_losses(raw[1], marked, balance=0.5), net.losses(net.logits(raw), targets)
    assert float(of_frame[0].detach()) == pytest.approx(math.log(2))  # the verdict's weights start at zero
    expected = float((of_frame + 0.3 * of_map).mean().detach())
    assert float(net.loss(raw, targets).detach()) == pytest.approx(expected, rel=1e-5)
    of_kinds = kind_losses(raw[2], marked, torch.tensor([-1, 0, 1]))
    assert torch.allclose(net.train().map_losses(raw, targets), 0.3 * (of_map + of_kinds))


@pytest.mark.parametrize("adjust", ["never", "always"])
def test_a_known_mask_teaches_the_kind_by_its_cells_alone(adjust):
    net = Segment(adjust=adjust).build(PYRAMID, LABELS).train()
    logits = net.logits(net(features())).detach().requires_grad_()
    masks = torch.zeros(3, 48, 64, dtype=torch.uint8)
    masks[2] = 255
    targets = {"label": torch.tensor([0, 1, 2]), "mask": masks}
    losses = net.losses(logits, targets)
    (gradient,) = torch.autograd.grad(losses.sum(), logits)
    chances = logits.detach().softmax(1)  # all counts alike: a prior moves nothing
    for picture, right in ((0, chances[0, 0]), (1, 1 - chances[1, 0])):
        assert float(losses[picture].detach()) == pytest.approx(-math.log(right), rel=1e-5)
    among = (gradient[:, 1:] / chances[:, 1:]).std(1)  # moves all kinds alike, or one against the others
    assert among[:2].max() < 1e-5 < 0.1 < among[2]
    assert torch.allclose(net.eval().losses(logits, targets)[2], losses[2])


def test_the_loss_of_kinds_is_the_plain_sum():
    torch.manual_seed(2)
    named, kinds = torch.randn(4, 3, 5, 6), torch.tensor([2, 0, 1, -1])
    masks = (torch.rand(4, 5, 6) < 0.3).to(torch.uint8)
    masks[2, 0, 0], masks[3] = 255, 0  # a pixel unknown, and a good frame
    found = kind_losses(named, masks, kinds).tolist()
    for picture in (0, 1):
        cells = [named[picture, :, y, x] for y, x in masks[picture].nonzero().tolist()]
        slow = [float(cell.logsumexp(0) - cell[kinds[picture]]) for cell in cells]
        assert found[picture] == pytest.approx(sum(slow) / len(slow), rel=1e-5)
    assert found[2:] == [0, 0]


def test_cells_elect_the_kind_by_their_heat():
    torch.manual_seed(3)
    named, hot = torch.randn(2, 3, 4, 5), torch.rand(2, 1, 4, 5)
    found = elected(named, hot)
    for picture in range(2):
        weights, chances = hot[picture, 0].flatten() ** 4, named[picture].softmax(0).flatten(1)
        for kind in range(3):
            said = sum(float(w * c) for w, c in zip(weights, chances[kind], strict=True)) / 20
            slow = (said + TINY / 3) / (float(weights.sum()) / 20 + TINY)
            slow = (1 - DOUBT) * slow + DOUBT / 3
            assert float(found[picture, kind]) == pytest.approx(slow, rel=1e-4)
    assert torch.allclose(found.sum(1), torch.ones(2))
    assert torch.allclose(elected(named, torch.zeros(2, 1, 4, 5)), torch.full((2, 3), 1 / 3))


def test_the_election_does_not_move_the_risk():
    """Whatever the cells say of the kind, good against defective stays as the frame's verdict has it."""
    net = made().eval()
    torch.nn.init.normal_(net.classify.linear.weight)
    given = features()
    kinds = net.answer(net(given))["kinds"]
    torch.nn.init.normal_(net.named.weight, std=5)
    others = net.answer(net(given))["kinds"]
    assert torch.allclose(kinds[:, 0], others[:, 0], atol=1e-6) and not torch.allclose(
        kinds, others, atol=0.01
    )


@pytest.mark.parametrize(
    "labels", [Labels(classes=("good", "bad"), good="good", counts=(5, 5)), replace(LABELS, good=None)]
)
def test_where_there_is_one_kind_or_no_good_class_nobody_votes(labels):
    net = Segment().build(PYRAMID, labels).eval()
    raw = net(features())
    assert len(raw) == 2 and raw[0].shape == (3, len(labels.classes))


def test_it_answers_in_the_lines_words():
    net = made().eval()
    torch.nn.init.normal_(net.classify.linear.weight)
    raw = net(features())
    answer = net.answer(raw)
    assert answer["heatmap"].shape == (3, 12, 16) and answer["kinds"].shape == (3, 3)
    assert ((answer["heatmap"] >= 0) & (answer["heatmap"] <= 1)).all()
    assert torch.allclose(answer["kinds"].sum(1), torch.ones(3))
    assert torch.allclose(answer["severity"], 1 - answer["kinds"][:, 0], atol=1e-6)
    net.temperature.fill_(3.0)
    cooler = net.answer(raw)
    assert torch.allclose(cooler["kinds"], (net.logits(raw) / 3).softmax(1))
    assert torch.equal(cooler["heatmap"], answer["heatmap"])


def test_one_noisy_cell_moves_the_verdict_less_than_a_defect():
    """Each reads through the same weights: what they see of the map is the peak after smoothing, and the area."""
    net = made().eval()
    seen = []
    net.classify.register_forward_pre_hook(lambda _m, given: seen.append(given[0][0]))
    maps = features(1)
    cells = torch.full((1, 1, 12, 16), -6.0)
    for height, width in ((0, 0), (1, 1), (3, 3)):
        here = cells.clone()
        here[0, 0, 4 : 4 + height, 5 : 5 + width] = 6.0
        net.cells.register_forward_hook(lambda _m, _i, _o, here=here: here)
        net(maps)
    quiet, noisy, defect = (row[-2:] for row in seen)
    assert quiet[0].item() == pytest.approx(-6) and defect[0].item() == pytest.approx(6)
    assert noisy[0].item() == pytest.approx(-6 + 12 / 9)  # a maximum would say 6
    assert quiet[1] < noisy[1] < defect[1]


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 6), st.floats(0.001, 1), st.integers(0, 999))
@settings(deadline=None, max_examples=60)
def test_cells_take_masks_as_pixels_take_files(rows, columns, stride, density, seed):
    marked = np.random.default_rng(seed).random((stride * rows, stride * columns)) < density
    there = fitted_mask(marked, (rows, columns))
    here = reduced(torch.from_numpy(marked)[None], (rows, columns))
    assert np.array_equal(here[0].numpy(), there)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": 4}, "Segment.width must be a whole number from 8"),
        ({"width": 16.0}, "Segment.width"),
        ({"balance": 1.5}, "Segment.balance must lie in 0..1"),
        ({"map_share": 0}, "Segment.map_share must be above 0"),
        ({"smoothing": 1.0}, "Segment.smoothing must lie in 0..1"),
        ({"adjust": "no"}, "Segment.adjust must be"),
    ],
)
def test_a_wrong_option_is_refused(options, said):
    with pytest.raises(BadRecipe, match=said):
        Segment(**options)


def test_masks_mean_the_same_to_data_and_loss():
    assert map_loss.UNKNOWN == masks.UNKNOWN and (masks.GOOD, masks.DEFECT) == (0, 1)


def test_it_says_whether_its_loss_counts_classes_otherwise():
    thin = Labels(classes=LABELS.classes, good="good", counts=(100, 10, 4))
    assert Segment().build(PYRAMID, thin).adjusted and not made().adjusted
    assert not Segment(adjust="never").build(PYRAMID, thin).adjusted

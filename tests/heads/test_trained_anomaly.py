"""The head that trains on a memory: what it says before it has learned, what may teach it what, and severities that never tie."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from visiontune.heads import Labels, Pyramid, TrainedAnomaly
from visiontune.heads.feature_noise import noised
from visiontune.heads.memory import DIMMED, LEVELLED, highest, level
from visiontune.heads.trained_anomaly import BEYOND, FAR, PLANTED, STEEP, marks, stretched
from visiontune.runtime.errors import BadRecipe

PYRAMID = Pyramid(pooled=5, channels=(3, 4, 6), strides=(4, 8, 16), size=(48, 64))


def parts(n, seed=0):
    """Features of n good parts on 16, 8 and 4 cells a side."""
    draw = torch.Generator().manual_seed(seed)
    maps = [
        torch.randn(n, channels, side, side, generator=draw) * 3 + 7
        for channels, side in ((3, 16), (4, 8), (6, 4))
    ]
    return (torch.zeros(n, 5), *maps)


def made(*, real, count=3, **options):
    torch.manual_seed(0)
    labels = Labels(classes=("good", "defective"), good="good", counts=(100, count if real else 0))
    net = TrainedAnomaly(**{"memory": 40, "hidden": 8, **options}).build(PYRAMID, labels)
    net.memory.memorise([parts(100)], pictures=100, seed=0)
    return net


def batch(masks, labels):
    return {"mask": torch.tensor(np.array(masks), dtype=torch.uint8), "label": torch.tensor(labels)}


GOOD, UNKNOWN = np.zeros((16, 16)), np.full((16, 16), 255)
MARKED = np.zeros((16, 16))
MARKED[4:8, 4:8] = 1
DRAWN = MARKED * PLANTED


@pytest.mark.parametrize("real", [False, True])
def test_before_training_it_says_how_far_a_cell_is_mostly_beside_its_frame(real):
    net, features = made(real=real).eval(), parts(5, seed=1)
    frames, cells = net(features)
    apart = net.memory.cells(features)
    far = apart.double().log()
    expected = STEEP * (far - LEVELLED * level(apart).double().log()) + FAR
    assert torch.allclose(frames.double(), highest(expected.flatten(1)), atol=1e-3)
    wide = [
        functional.interpolate(one[:, None], size=(16, 16), mode="bilinear")[:, 0]
        for one in (STEEP * (far - DIMMED * level(apart).double().log()) + FAR, apart**2)
    ]
    drawn = wide[0] + STEEP * (
        net.memory.with_outlines(apart, features).double().log() - wide[1].double().log() / 2
    )
    assert torch.allclose(cells.double(), drawn, atol=1e-3)


def moved(net, targets, features):
    """Names of the outputs whose weights get a gradient from a batch."""
    net.train()
    net.zero_grad()
    torch.manual_seed(1)
    net.loss(net(features), targets).backward()
    names = ("suspicion.weight", "taught.cells.weight", "taught.frame.weight")
    gradients = dict(net.named_parameters())
    return {name for name in names if name in gradients and gradients[name].grad.abs().max() > 0}


def test_planted_defects_teach_suspicion_alone_and_real_ones_everything():
    features = parts(4, seed=2)
    planted = batch([DRAWN] * 4, [1] * 4)
    assert moved(made(real=True), planted, features) == {"suspicion.weight"}
    real = batch([MARKED, GOOD, MARKED, GOOD], [1, 0, 1, 0])
    assert moved(made(real=True, noise=0.0), real, features) == {
        "suspicion.weight",
        "taught.cells.weight",
        "taught.frame.weight",
    }
    assert moved(made(real=False), batch([GOOD] * 4, [0] * 4), features) == {"suspicion.weight"}


def test_a_label_without_a_mask_teaches_the_frame_alone():
    net, features = made(real=True, noise=0.0).train(), parts(2, seed=3)
    raw, targets = net(features), batch([UNKNOWN, UNKNOWN], [1, 1])
    assert net.map_losses(raw, targets).tolist() == [0, 0]
    expected = functional.binary_cross_entropy_with_logits(raw.frames, torch.ones(2))
    assert torch.allclose(net.loss(raw, targets), expected)


def test_what_planted_defects_taught_is_bounded():
    net, features = made(real=False, trust=0.3).eval(), parts(3, seed=4)
    before = net(features)[1].detach()
    torch.nn.init.normal_(net.suspicion.weight, std=50)
    after = net(features)[1].detach()
    assert 0.25 < (after - before).abs().max() <= 0.3 + 1e-4


def test_what_real_defects_taught_may_move_scores_the_more_the_more_they_are():
    features, bounds = parts(3, seed=4), []
    for count in (1, 25):
        net = made(real=True, count=count).eval()
        before = net(features)[1].detach()
        torch.nn.init.normal_(net.taught.cells.weight, std=500)
        bounds.append(float((net(features)[1].detach() - before).abs().max()))
    assert bounds == pytest.approx([0.5, 2.5], abs=0.01)


def test_what_real_defects_taught_is_drawn_as_finely_as_the_backbone_sees():
    net, features = made(real=True, count=10_000).eval(), parts(3, seed=4)
    before = net(features)[1].detach()
    torch.nn.init.normal_(net.taught.cells.weight, std=5)
    decoded = net.taught.decoder(features[1:])
    assert decoded.shape == (3, net.options.decoder, 16, 16)
    expected = torch.einsum("nchw,c->nhw", decoded, net.taught.cells.weight[0, :, 0, 0])
    assert torch.allclose(net(features)[1] - before, 50 * (expected / 50).tanh(), atol=1e-3)


def test_without_a_real_defect_in_train_nothing_else_speaks():
    net = made(real=False)
    assert net.taught is None
    assert torch.equal(net.eval().weighed(parts(3), (0.0, 1.0))[:, 0], net(parts(3))[0])


def test_what_real_defects_taught_counts_by_the_weight():
    net, features = made(real=True).eval(), parts(3, seed=4)
    silent = net(features)[0].detach()
    for layer in (net.taught.cells, net.taught.frame):
        torch.nn.init.normal_(layer.weight, std=5)
    loud = net(features)[0].detach()
    assert torch.allclose(net.weighed(features, (0.0, 1.0)), torch.stack([silent, loud], dim=1))
    assert not torch.allclose(silent, loud, atol=0.1)
    for weight, expected in ((0.0, silent), (0.5, net.weighed(features, (0.5,))[:, 0])):
        net.weight.fill_(weight)
        assert torch.equal(net(features)[0], expected)


def test_some_steps_teach_what_is_far():
    """A shift that the memory hardly sees among unseen good parts ranks above them once it has trained."""

    def shifted(n, seed):
        features = parts(n, seed=seed)
        features[2][: n // 2, 0, 2:4, 2:4] += 5
        return features

    def ranked():
        frames, cells = net.eval()(shifted(80, 999))
        return float((frames[:40, None] > frames[40:]).float().mean()), cells

    net = made(real=True, count=200)
    before, _ = ranked()
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    for step in range(80):
        net.train()
        optimizer.zero_grad()
        targets = batch([MARKED] * 8 + [GOOD] * 8, [1] * 8 + [0] * 8)
        net.loss(net(shifted(16, 100 + step)), targets).backward()
        optimizer.step()
    after, cells = ranked()
    assert after > before + 0.25
    assert cells[:40, 4:8, 4:8].mean() > cells[40:].mean() + 2


def test_noise_is_of_the_scale_of_whitened_features_and_lies_in_areas():
    torch.manual_seed(0)
    cells = torch.zeros(200, 12, 14, 10)
    again, where = noised(cells)
    marked = where[:, None].bool().expand_as(again)
    assert (again[~marked] == 0).all() and 0.05 < where.float().mean() < 0.35
    spread = torch.stack(
        [one[area].std() for one, area in zip(again, marked, strict=True) if area.sum() > 60]
    )
    assert 0.35 < spread.min() < 0.8 and 2 < spread.max() < 3.8
    # neighbours of a marked cell are mostly marked: areas, not specks
    assert (where[:, 1:] & where[:, :-1]).sum() > 0.5 * where.sum()


def test_severities_rise_with_scores_and_never_tie():
    severity = stretched(torch.linspace(-60, 60, 1201)).sigmoid()  # a plain sigmoid is 1 from 17 on
    assert (severity.diff() > 0).all()
    assert stretched(torch.tensor(-1e4)).sigmoid() > 0 and stretched(torch.tensor(1e4)).sigmoid() < 1
    near = torch.linspace(-BEYOND, BEYOND, 50)
    assert torch.equal(stretched(near), near)


def test_marks_take_planted_defects_for_defects_and_keep_unknown():
    assert marks(torch.tensor([0, 1, 2, 255], dtype=torch.uint8)).tolist() == [0, 1, 1, 255]


@pytest.mark.parametrize(
    "wrong", [{"hidden": 2}, {"decoder": 0}, {"trust": 0}, {"noise": 2}, {"memory": 0}, {"map_share": 0}]
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(BadRecipe, match=f"TrainedAnomaly.{next(iter(wrong))}"):
        TrainedAnomaly(**wrong)

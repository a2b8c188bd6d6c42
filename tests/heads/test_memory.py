"""Scores of the memory against plain numpy, what moves them, and every form of maps that a backbone may give."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from torch.nn import functional

from visiontune import Bands
from visiontune.heads import Anomaly, Labels, Pyramid, TrainedAnomaly
from visiontune.heads.memory import DIMMED, LEVELLED, OUTLINE, level
from visiontune.heads.whitening import RIDGE, SHARED
from visiontune.runtime.golden import golden_frames
from visiontune.runtime.model import open_session
from visiontune.tune.graph import core_model, line_model
from visiontune.tune.net import Net
from visiontune.tune.pyramid import taps
from visiontune.tune.stages import own_size

LABELS = Labels(classes=("good", "defective"), good="good", counts=(40, 0))
PYRAMID = Pyramid(pooled=5, channels=(3, 4, 6, 7), strides=(4, 8, 16, 32), size=(64, 64))


def parts(n, seed):
    """Features of n good parts: every place has a mean and a spread of its own."""
    rng = np.random.default_rng(seed)
    maps = []
    for channels, side in ((3, 16), (4, 8), (6, 4), (7, 2)):
        places = np.random.default_rng(side)
        mean = places.normal(0, 30, (channels, side, side))
        spread = places.uniform(0.3, 2, (channels, side, side))
        maps.append(torch.from_numpy(rng.normal(mean, spread, (n, channels, side, side))).float())
    return (torch.zeros(n, 5), *maps)


def made(n=200, **options):
    net = Anomaly(**{"memory": 50, **options}).build(PYRAMID, LABELS)
    features = parts(n, 0)
    halves = (tuple(one[: n // 2] for one in features), tuple(one[n // 2 :] for one in features))
    net.memorise(halves, pictures=n, seed=0)
    return net


def joined(features):
    """The three finer maps on 8 x 8 cells in numpy, float64 (n, 64, 13)."""
    _, fine, middle, coarse, _ = (one.double().numpy() for one in features)
    n = len(fine)
    fine = fine.reshape(n, 3, 8, 2, 8, 2).mean(axis=(3, 5))
    at = (np.arange(8) + 0.5) / 2 - 0.5
    low = np.clip(np.floor(at).astype(int), 0, 3)
    high, share = np.clip(low + 1, 0, 3), np.clip(at, 0, 3) - low
    rows = coarse[:, :, low] * (1 - share)[:, None] + coarse[:, :, high] * share[:, None]
    coarse = rows[..., low] * (1 - share) + rows[..., high] * share
    return np.concatenate([fine, middle, coarse], axis=1).reshape(n, 13, 64).transpose(0, 2, 1)


def test_scores_are_those_of_a_slow_search():
    net, cells = made(), joined(parts(200, 0))
    scale = cells.std(axis=(0, 1))
    cells = cells / scale
    mean = cells.mean(axis=0)
    spread = np.stack([np.cov(cells[:, place].T, bias=True) for place in range(64)])
    shared = (1 - SHARED) * spread + SHARED * spread.mean(axis=0)
    shared += RIDGE * np.diag(np.diagonal(spread, axis1=1, axis2=2).mean(axis=0))
    values, directions = np.linalg.eigh(shared)
    white = directions / np.sqrt(values)[:, None] @ directions.transpose(0, 2, 1)
    new = joined(parts(6, 1)) / scale
    seen = np.einsum("npc,pcd->npd", new - mean, white)
    bank = net.bank.double().numpy()
    apart = np.sqrt(((seen[:, :, None] - bank) ** 2).sum(axis=3)).min(axis=2) / np.sqrt(13)
    scores, found = net(parts(6, 1))[0].numpy(), net.cells(parts(6, 1))
    assert found.shape == (6, 8, 8)
    # the scale of the channels is that of the first batch: close, and whitening takes it out but for the ridge
    assert np.allclose(found.flatten(1).numpy(), apart, rtol=2e-2)
    found = found.flatten(1).double().numpy()
    levelled = found.max(axis=1) / np.sort(found, axis=1)[:, 31] ** LEVELLED  # one of 64 cells
    assert np.allclose(scores, levelled, rtol=1e-4)


def test_a_frame_that_differs_all_over_counts_by_little():
    net, features = made(), parts(8, 1)
    cells = net.cells(features)
    louder = net.cells
    net.cells = lambda features: 4 * louder(features)
    louder_frames = net(features)[0]
    net.cells = louder
    assert torch.allclose(louder_frames, 4 ** (1 - LEVELLED) * net(features)[0], rtol=1e-4)
    assert cells.min() > 0


def test_where_most_of_a_frame_never_varies_the_rest_still_judges_it():
    """A backdrop without a grain, as with backlight: its distances are rounding, and no measure for those of the part."""

    def backlit(n, seed, light=0.0):
        features = parts(n, seed)
        for one in features[1:]:
            backdrop = torch.ones(one.shape[2:], dtype=torch.bool)
            backdrop[: one.shape[2] // 4, : one.shape[3] // 4] = False
            one[:, :, backdrop] = light
        return features

    net = Anomaly(memory=50).build(PYRAMID, LABELS)
    net.memorise([backlit(100, 0)], pictures=100, seed=0)
    defective = backlit(20, 2, light=1e-4)
    defective[1][:, :, 2, 2] += 30
    defective[2][:, :, 1, 1] += 30
    good, bad = net(backlit(20, 1))[0], net(defective)[0]
    assert bad.min() > 1.5 * good.max() and good.max() < 10


def test_a_large_defect_hardly_raises_the_level():
    cells = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.5
    marked = cells.clone()
    marked[:, 3:, 3:] += 9
    assert (level(marked) < level(cells) + 0.4).all()
    assert (marked.mean(dim=(1, 2)) > cells.mean(dim=(1, 2)) + 3).all()


def test_outlines_are_those_of_the_finest_map():
    net, features = made(), parts(6, 1)
    good, new = parts(200, 0)[1].double().numpy(), features[1].double().numpy()
    good, new = (one.reshape(len(one), 3, -1).transpose(2, 0, 1) for one in (good, new))
    spread = np.stack([np.cov(one.T, bias=True) for one in good])
    mean = spread.mean(axis=0)
    drawn = (1 - SHARED) * spread + SHARED * mean + RIDGE * np.eye(3) * mean
    new = new - good.mean(axis=1, keepdims=True)
    away = np.einsum("pnc,pcd,pnd->np", new, np.linalg.inv(drawn), new).reshape(-1, 16, 16) / 3
    cells = net.cells(features)
    wide = functional.interpolate(cells[:, None] ** 2, size=(16, 16), mode="bilinear")[:, 0].numpy()
    expected = np.sqrt((1 - OUTLINE) * wide + OUTLINE * away) / level(cells).numpy() ** DIMMED
    assert np.allclose(net(features)[1].numpy(), expected, rtol=1e-3)


def test_a_map_of_the_grid_itself_has_no_outlines():
    pyramid = Pyramid(pooled=5, channels=(4, 6), strides=(8, 16), size=(64, 64))
    net = Anomaly(memory=50).build(pyramid, LABELS)
    pooled, _, *maps = parts(100, 0)
    net.memorise([(pooled, *maps[:2])], pictures=100, seed=0)
    cells = net.cells((pooled, *maps[:2]))
    assert torch.allclose(net((pooled, *maps[:2]))[1], cells / level(cells) ** DIMMED)


def test_a_channel_that_never_varied_does_not_count_without_end():
    net, features = Anomaly(memory=50).build(PYRAMID, LABELS), parts(50, 0)
    features[1][:, 1] = 0.25
    net.memorise([features], pictures=50, seed=0)
    new, other = parts(5, 1), parts(5, 1)
    new[1][:, 1] = 0.2501
    other[1][:, 1] = 0.25
    assert torch.allclose(net(new)[1], net(other)[1], atol=0.05)
    # channels that vary have a deviation of about 3: a tenth of it is something, not everything
    new[1][:, 1, 4, 4] = 0.55
    assert net(other)[1].max() < net(new)[1].max() < 10


def test_the_memory_does_not_hang_on_how_pictures_are_batched():
    net, other = made(), Anomaly(memory=50).build(PYRAMID, LABELS)
    features = parts(200, 0)
    cuts = [(0, 100), (100, 120), (120, 200)]
    batches = (tuple(one[start:end] for one in features) for start, end in cuts)
    other.memorise(batches, pictures=200, seed=0)
    for one, same in ((net.white, other.white), (net.outlines, other.outlines)):
        assert torch.allclose(one.mean, same.mean, atol=1e-4)
        assert torch.allclose(one.scale, same.scale, rtol=1e-3, atol=1e-3)


def test_a_place_is_judged_by_what_is_good_there():
    """What is good in one place is a defect in another."""
    net, features = made(), parts(1, 5)
    swapped = [features[0], *(one.clone() for one in features[1:])]
    swapped[2][:, :, 1, 1], swapped[2][:, :, 6, 6] = features[2][:, :, 6, 6], features[2][:, :, 1, 1]
    plain, moved = net.cells(features)[0], net.cells(tuple(swapped))[0]
    assert moved[1, 1] > 2 * plain[1, 1] and moved[6, 6] > 2 * plain[6, 6]
    assert torch.allclose(moved[3:5, 3:5], plain[3:5, 3:5], rtol=1e-4)


def test_wide_maps_are_projected_and_large_grids_keep_variances(monkeypatch):
    assert made(width=8).bank.shape[1] == 8
    monkeypatch.setattr("visiontune.heads.moments.LARGEST", 100)
    net = made()
    assert net.white.scale.shape == (64, 13)
    far = [one + 5 for one in parts(20, 3)]
    assert net(tuple(far))[0].min() > net(parts(20, 3))[0].max()


def test_severity_keeps_the_order_of_scores_and_never_saturates():
    net = made()
    net.slope.fill_(6.0)
    net.shift.fill_(-6.0)
    scores = torch.tensor([0.2, 0.9, 1.0, 1.1, 3.0, 8.0])
    severity = net.answer((scores, scores[:, None, None]))["severity"]
    assert (severity.diff() > 0).all() and severity[-1] < 1
    assert torch.allclose(net.answer((scores, scores[:, None, None]))["heatmap"][:, 0, 0], severity)


@pytest.mark.parametrize("options", [Anomaly, TrainedAnomaly])
@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_every_backbone_exports_to_what_torch_says(name, options):
    torch.manual_seed(0)
    backbone = timm.create_model(name, num_classes=0).eval()
    size = own_size(backbone)
    found = taps(backbone, size)
    pyramid = Pyramid(
        pooled=backbone.num_features,
        channels=tuple(tap.channels for tap in found),
        strides=tuple(tap.stride for tap in found),
        size=size,
    )
    memory = head = options(memory=30, width=16).build(pyramid, replace(LABELS, counts=(40, 9)))
    if options is TrainedAnomaly:
        memory = head.memory
        for layer in (head.suspicion, head.taught.cells, head.taught.frame):
            torch.nn.init.normal_(layer.weight)
    net = Net(backbone, head, mean=(0.5,) * 3, std=(0.5,) * 3, size=size, taps=found).eval()
    frames = torch.from_numpy(golden_frames(1, 12, size))
    with torch.inference_mode():
        memory.memorise([net.features(net.normalised(frames))], pictures=12, seed=0)
        new = torch.from_numpy(golden_frames(7, 3, size))
        answer = net.head.answer(net(new))
    graph = line_model(core_model(net, size), net, Bands(0.5, 0.9), roi=None).SerializeToString()
    session = open_session(graph)
    for some in (new[:1], new):
        severity, heatmap = session.run(["severity", "heatmap"], {"frames": some.numpy()})
        assert np.abs(severity - answer["severity"][: len(some)].numpy()).max() < 1e-4
        assert np.abs(heatmap - answer["heatmap"][: len(some)].numpy()).max() < 1e-3

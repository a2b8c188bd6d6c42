"""Whitening against plain numpy, whatever the scale of channels, by covariances and by variances."""

import numpy as np
import pytest
import torch

from visiontune.heads import moments as sums
from visiontune.heads.moments import Moments
from visiontune.heads.whitening import RIDGE, SHARED, Whitening

SCALES = torch.tensor([1.0, 0.3, 3.0])


def vectors(n, seed):
    """Vectors (4, n, 3) at 2 x 2 places: channels of other scales, two of which hang together, means of their own."""
    draw = torch.Generator().manual_seed(seed)
    found = torch.randn(4, n, 3, generator=draw)
    found[:, :, 1] += found[:, :, 0]
    return (found + 0.3 * torch.arange(4.0)[:, None, None]) * SCALES


def mapped(some):
    """Vectors (4, n, 3) as maps (n, 3, 2, 2)."""
    return some.permute(1, 2, 0).reshape(-1, 3, 2, 2)


def learned(monkeypatch=None):
    if monkeypatch is not None:
        monkeypatch.setattr(sums, "LARGEST", 30)
    moments, whitening = Moments(), Whitening(3, 64)
    good = mapped(vectors(400, 0))
    whitening.start(good, torch.Generator())
    for part in good.split(150):
        moments.add(whitening.vectors(part).flatten(2).permute(2, 0, 1))
    whitening.learn(moments)
    return whitening


def plain(new, *, whole):
    """Squared lengths (4, n) of new vectors, from what the vectors of good parts say."""
    good = vectors(400, 0).double().numpy()
    wherever = good.var(axis=1).mean(axis=0) + good.mean(axis=1).var(axis=0)
    good, new = (one / np.sqrt(wherever) for one in (good, new.double().numpy()))
    away = new - good.mean(axis=1, keepdims=True)
    spread = np.stack([np.cov(one.T, bias=True) for one in good])
    if not whole:
        spread = spread * np.eye(3)
    mean = spread.mean(axis=0)
    drawn = (1 - SHARED) * spread + SHARED * mean + RIDGE * np.eye(3) * mean
    return np.einsum("pnc,pcd,pnd->pn", away, np.linalg.inv(drawn), away)


@pytest.mark.parametrize("whole", [True, False])
def test_lengths_are_those_of_the_covariance_at_the_place(whole, monkeypatch):
    whitening, new = learned(None if whole else monkeypatch), vectors(20, 1)
    assert whitening.scale.shape == ((4, 3, 3) if whole else (4, 3))
    found = whitening(mapped(new))
    assert found.shape == (20, 4, 3)
    assert np.allclose(found.square().sum(dim=2).numpy().T, plain(new, whole=whole), rtol=1e-3)


@pytest.mark.parametrize("whole", [True, False])
def test_single_vectors_are_whitened_by_the_place_that_is_named(whole, monkeypatch):
    whitening, new = learned(None if whole else monkeypatch), vectors(50, 1)
    expected = whitening(mapped(new))
    places = torch.arange(200) % 4
    rows = whitening.vectors(mapped(new)).flatten(2).permute(2, 0, 1)
    found = whitening.at(rows[places, torch.arange(200) // 4], places)
    assert torch.allclose(found, expected.reshape(200, 3), atol=1e-4)


def test_more_channels_than_wanted_are_projected_and_keep_distances_on_average():
    draw = torch.Generator().manual_seed(0)
    maps = torch.randn(50, 200, 4, 4, generator=draw) * 7
    whitening = Whitening(200, 64)
    whitening.start(maps, draw)
    rows = whitening.vectors(maps)
    assert rows.shape == (50, 64, 4, 4)
    assert rows.square().sum(dim=1).mean() == pytest.approx(200, rel=0.1)


def test_a_channel_that_never_varied_counts_as_the_others_do_not_without_end():
    whitening, moments = Whitening(3, 64), Moments()
    good = mapped(vectors(400, 0) / SCALES)
    good[:, 1] = 0
    whitening.start(good, torch.Generator())
    moments.add(whitening.vectors(good).flatten(2).permute(2, 0, 1))
    whitening.learn(moments)
    new = torch.zeros(1, 3, 2, 2)
    new[:, 1] = 1.0  # as much as the others vary
    plain = whitening(torch.zeros(1, 3, 2, 2))
    assert 1 < (whitening(new) - plain).norm(dim=2).max() < 100


def test_good_parts_have_a_variance_of_about_one_whatever_the_scale():
    found = learned()(mapped(vectors(2000, 2)))
    assert torch.allclose(found.square().mean(dim=(0, 1)), torch.ones(3), atol=0.15)

"""The bootstrap over groups: against a slow loop, and with the width that theory gives."""

import numpy as np
import pytest

from visiontune.runtime import bootstrap
from visiontune.runtime.bootstrap import group_totals, percentile_interval, replicates


def test_group_totals_sum_each_groups_rows():
    totals = group_totals(["b", "a", "b", "c"], np.array([[1, 0], [2, 5], [3, 0], [4, 1]]))
    assert totals.tolist() == [[4, 0], [2, 5], [4, 1]]


def test_replicates_are_sums_of_whole_groups(monkeypatch):
    totals = np.array([[1.0, 100.0], [10.0, 1000.0], [3.0, 7.0]])
    drawn = np.random.default_rng(5).integers(3, size=(40, 3))
    slow = np.array([[totals[group] for group in row] for row in drawn]).sum(axis=1)
    assert np.array_equal(replicates(totals, count=40, seed=5), slow)
    monkeypatch.setattr(bootstrap, "CHUNK", 9)  # three samples at a time
    chunked = replicates(totals, count=40, seed=5)
    assert np.array_equal(chunked, slow)


def test_the_same_seed_gives_the_same_numbers():
    totals = np.arange(20.0).reshape(10, 2)
    assert np.array_equal(replicates(totals, count=5), replicates(totals, count=5))


def test_the_interval_of_a_mean_has_the_normal_width():
    rng = np.random.default_rng(0)
    hits = (rng.random(2000) < 0.3).astype(float)
    totals = np.column_stack([hits, np.ones(2000)])
    samples = replicates(totals, count=2000)
    low, high = percentile_interval(samples, lambda t: t[:, 0] / t[:, 1], confidence=0.95)
    width = 2 * 1.96 * np.sqrt(hits.mean() * (1 - hits.mean()) / 2000)
    assert high - low == pytest.approx(width, rel=0.1)
    assert low < hits.mean() < high


def test_groups_that_agree_inside_widen_the_interval():
    hits = np.repeat((np.random.default_rng(0).random(100) < 0.3).astype(float), 10)
    rows = np.column_stack([hits, np.ones(1000)]).astype(np.int64)
    widths = []
    for groups in ([str(i // 10) for i in range(1000)], [str(i) for i in range(1000)]):
        samples = replicates(group_totals(groups, rows), count=1000)
        low, high = percentile_interval(samples, lambda t: t[:, 0] / t[:, 1], confidence=0.95)
        widths.append(high - low)
    assert widths[0] == pytest.approx(np.sqrt(10) * widths[1], rel=0.2)


def test_undefined_samples_are_left_out():
    samples = np.array([[1.0], [np.nan], [3.0]])
    assert percentile_interval(samples, lambda t: t[:, 0], confidence=0.999) == pytest.approx(
        (1, 3), abs=0.01
    )
    assert percentile_interval(samples[1:2], lambda t: t[:, 0], confidence=0.9) is None

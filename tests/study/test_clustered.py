"""Bounds on rates over trials: exact with one trial a part, and honest where trials are alike."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from visiontune.runtime import binomial
from visiontune.study import clustered


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_one_trial_is_clopper_and_pearson(hits):
    found = clustered.rate(np.array(hits), 1)
    theirs = binomtest(sum(hits), len(hits)).proportion_ci(0.95, "exact")
    assert (found.low, found.high) == (pytest.approx(theirs.low), pytest.approx(theirs.high))
    assert found.upper == pytest.approx(binomial.upper(sum(hits), len(hits)))


def test_no_hit_counts_parts():
    found = clustered.rate(np.zeros(30, np.int64), 3)
    assert (found.hits, found.of, found.rate) == (0, 90, 0)
    assert found.upper == pytest.approx(binomial.upper(0, 30))
    assert clustered.rate(np.full(30, 3), 3).low == pytest.approx(binomial.interval(30, 30)[0])


def test_trials_that_repeat_each_other_add_nothing():
    hits = np.array([1] * 6 + [0] * 24)
    once, thrice = clustered.rate(hits, 1), clustered.rate(3 * hits, 3)
    assert (thrice.rate, thrice.low, thrice.high) == (
        once.rate,
        pytest.approx(once.low),
        pytest.approx(once.high),
    )


@given(st.integers(1, 40), st.integers(1, 5))
def test_a_hit_more_never_lowers_a_bound(parts, trials):
    """The flawless must not look worse than those who missed one."""
    bounds = []
    for k in range(parts * trials + 1):
        hits = np.full(parts, k // parts) + (np.arange(parts) < k % parts)
        found = clustered.rate(hits, trials)
        assert found.low <= found.rate <= found.high
        bounds.append((found.low, found.upper, found.high))
    assert all(a <= b for one, other in pairwise(bounds) for a, b in zip(one, other, strict=True))


def test_no_parts():
    found = clustered.rate(np.zeros(0, np.int64), 3)
    assert (found.rate, found.low, found.high) == (None, 0, 1)


@pytest.mark.parametrize("alike", [0.05, 0.5, 5.0])
@pytest.mark.parametrize("mean", [0.02, 0.1, 0.3])
def test_the_interval_covers(alike, mean):
    """Parts differ in how often they are missed (beta, `alike` from nearly all or nothing to nearly the same): 1000 studies."""
    stream = np.random.default_rng([int(alike * 100), int(mean * 100)])
    inside = above = 0
    for _ in range(1000):
        hits = stream.binomial(3, stream.beta(alike, alike * (1 - mean) / mean, 25))
        found = clustered.rate(hits, 3)
        inside += found.low <= mean <= found.high
        above += found.upper >= mean
    assert inside / 1000 >= 0.94 and above / 1000 >= 0.94

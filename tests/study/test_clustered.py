"""Bounds on rates over trials: exact with one trial a part, and honest where trials are alike."""

import numpy as np
import pytest
from hypothesis import given, settings
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
    assert thrice.rate == once.rate
    assert thrice.high == pytest.approx(once.high, rel=0.02)


def test_the_design_effect_by_its_definition():
    hits = np.array([3, 0, 1, 0, 2, 0, 0, 3])
    share = hits.sum() / 24
    between = sum((h / 3 - share) ** 2 for h in hits) / (8 * 7)
    assert clustered.design_effect(hits, 3) == pytest.approx(between / (share * (1 - share) / 24))


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=40))
def test_the_design_effect_stays_in_its_range(hits):
    assert 1 <= clustered.design_effect(np.array(hits), 3) <= 3


def test_no_parts():
    found = clustered.rate(np.zeros(0, np.int64), 3)
    assert (found.rate, found.low, found.high) == (None, 0, 1)


@pytest.mark.parametrize("a", [0.2, 2.0])
def test_the_interval_covers(a):
    """Parts differ in how often they are missed (beta with mean 0.1): 2000 studies of 30 parts x 3 trials."""
    stream = np.random.default_rng(0)
    inside = 0
    for _ in range(2000):
        hits = stream.binomial(3, stream.beta(a, 9 * a, 30))
        found = clustered.rate(hits, 3)
        inside += found.low <= 0.1 <= found.high
    assert inside / 2000 >= 0.93

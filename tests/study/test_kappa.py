"""Kappa against published examples, statsmodels and scikit-learn, and the plain definition."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

from visiontune.study.kappa import cohen, fleiss

# Fleiss (1971), table 1: 10 subjects, 14 raters, 5 categories, as it is reprinted in textbooks; kappa 0.210.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def test_the_textbook_example_of_cohen():
    table = {(1, 1): 20, (1, 0): 5, (0, 1): 10, (0, 0): 15}
    pairs = np.array([pair for pair, times in table.items() for _ in range(times)])
    assert cohen(pairs[:, :1], pairs[:, 1:], 2).value == pytest.approx(0.4)


def test_the_example_of_fleiss():
    ratings = np.array([np.repeat(np.arange(5), row) for row in FLEISS])
    assert fleiss(ratings, 5).value == pytest.approx(0.210, abs=5e-4)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(1, 3))
def test_as_two_libraries_say(seed, categories, trials):
    stream = np.random.default_rng(seed)
    one, other = stream.integers(0, categories, (2, 25, trials))
    other = np.where(stream.random(one.shape) < 0.6, one, other)
    found = cohen(one, other, categories).value
    labels = list(range(categories))
    assert found == pytest.approx(cohen_kappa_score(one.ravel(), other.ravel(), labels=labels))
    table = np.zeros((categories, categories))
    np.add.at(table, (one.ravel(), other.ravel()), 1)
    assert found == pytest.approx(cohens_kappa(table, return_results=False))
    both = np.concatenate([one, other], axis=1)
    counts = np.array([np.bincount(row, minlength=categories) for row in both])
    assert fleiss(both, categories).value == pytest.approx(fleiss_kappa(counts))


def slow_fleiss(ratings):
    """By counting pairs of ratings, and chance by drawing two from the pool with replacement."""
    parts, many = ratings.shape
    agreed = [
        sum(row[i] == row[j] for i in range(many) for j in range(many) if i != j) / (many * (many - 1))
        for row in ratings.tolist()
    ]
    pool = ratings.ravel().tolist()
    chance = sum((pool.count(c) / len(pool)) ** 2 for c in set(pool))
    return (sum(agreed) / parts - chance) / (1 - chance)


def test_fleiss_by_counting_pairs():
    ratings = np.random.default_rng(5).integers(0, 3, (12, 4))
    assert fleiss(ratings, 3).value == pytest.approx(slow_fleiss(ratings))


def test_calling_everything_the_same_says_nothing():
    same = np.ones((20, 3), np.int64)
    assert cohen(same, same, 2).value is None
    assert fleiss(same, 2).value is None


def test_perfect_agreement_is_not_certain():
    calls = np.arange(30)[:, np.newaxis] % 2
    found = cohen(calls, calls, 2)
    assert (found.value, found.high) == (1, 1)
    # 30 parts without a disagreement leave a share of 0.884 at 97.5 %; chance is a half
    assert found.low == pytest.approx((0.025 ** (1 / 30) - 0.5) / 0.5)
    assert fleiss(np.repeat(calls, 3, axis=1), 2).low == pytest.approx(found.low)


def test_the_flawless_are_not_less_sure_than_those_who_erred_once():
    truth = np.repeat(np.arange(50)[:, np.newaxis] % 2, 3, axis=1)
    lows = []
    for errors in range(12):
        said = truth.copy()
        said.ravel()[: 6 * errors : 6] ^= 1
        lows.append((cohen(said, truth, 2).low, fleiss(said, 2).low))
    assert all(one[i] >= other[i] for one, other in pairwise(lows) for i in range(2))


def test_the_interval_covers():
    """50 parts, three trials that share the part's difficulty: the interval holds the true kappa nearly as often as it says."""

    def study(stream, parts):
        truth = stream.integers(0, 2, parts)[:, np.newaxis]
        error = stream.choice([0.02, 0.4], (parts, 1), p=[0.8, 0.2])
        return truth ^ (stream.random((parts, 3)) < error), np.repeat(truth, 3, axis=1)

    true = cohen(*study(np.random.default_rng(0), 200_000), 2).value
    stream = np.random.default_rng(1)
    inside = sum(
        found.low <= true <= found.high for found in (cohen(*study(stream, 50), 2) for _ in range(200))
    )
    assert inside / 200 >= 0.93


def test_the_textbook_error_would_be_too_small():
    """Why parts are drawn and not trials: with three trials alike, statsmodels' interval is too narrow by about root three."""
    stream = np.random.default_rng(2)
    truth = stream.integers(0, 2, (60, 1))
    said = truth ^ (stream.random((60, 1)) < 0.15)
    ours = cohen(np.repeat(said, 3, axis=1), np.repeat(truth, 3, axis=1), 2)
    table = np.zeros((2, 2))
    np.add.at(table, (np.repeat(said, 3), np.repeat(truth, 3)), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = cohens_kappa(table)
    assert ours.value == pytest.approx(theirs.kappa)
    assert (ours.high - ours.low) / (theirs.kappa_upp - theirs.kappa_low) > 1.6


@pytest.mark.parametrize("wrong", [np.array([[2]]), np.array([[-1]]), np.zeros((0, 1), np.int64)])
def test_ratings_that_are_none(wrong):
    with pytest.raises(ValueError, match="expected ratings"):
        cohen(wrong, wrong, 2)


def test_fleiss_needs_two():
    with pytest.raises(ValueError, match="at least two"):
        fleiss(np.zeros((5, 1), np.int64), 2)


def test_shapes_must_fit():
    with pytest.raises(ValueError, match="one shape"):
        cohen(np.zeros((5, 1), np.int64), np.zeros((5, 2), np.int64), 2)

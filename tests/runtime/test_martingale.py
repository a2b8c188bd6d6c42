"""The martingale: against a slow oracle, never more false alarms than promised, quick where something changes."""

import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from visiontune.runtime.martingale import BETAS, CELLS, STUCK, WORDS, Martingale, _uniform, densities

LOW, HIGH = -32.0, 32.0


def a_martingale(reference, alpha=0.01, seed=0):
    return Martingale(reference, low=LOW, high=HIGH, alpha=alpha, seed=seed)


def slow_capital(reference, values, seed):
    """By the book: all values kept, every stake multiplied by its density since it was made."""

    def cell(value):
        return min(max(math.floor((value - LOW) / (HIGH - LOW) * CELLS), 0), CELLS - 1)

    seen, ranks = [cell(value) for value in reference], []
    for turn, value in enumerate(values):
        seen.append(cell(value))
        above = sum(other > seen[-1] for other in seen)
        same = sum(other == seen[-1] for other in seen)
        ranks.append((above + same * _uniform(seed, turn)) / len(seen))
    kept = [1 / (1 + math.log(1 + t)) for t in range(len(values) + 1)]
    total = kept[-1]
    for start in range(len(values)):
        for bet in range(len(WORDS)):
            stake = (kept[start] - kept[start + 1]) / len(WORDS)
            for rank in ranks[start:]:
                if bet < len(BETAS):
                    stake *= stats.beta.pdf(rank, *BETAS[bet][1:])
                else:
                    stake *= 0.5 + STUCK / 2 * (math.floor(rank * STUCK) == bet - len(BETAS))
            total += stake
    return total


@pytest.mark.parametrize("decimals", [9, 0])
def test_the_capital_is_that_of_the_slow_way(decimals):
    rng = np.random.default_rng(decimals)
    reference, values = (np.round(rng.normal(-5, 2, n), decimals) for n in (9, 25))
    watched = a_martingale(reference, seed=3)
    for turn, value in enumerate(values):
        watched.observe(value)
        if turn in (0, 10, 24):
            assert watched.capital == pytest.approx(slow_capital(reference, values[: turn + 1], 3), rel=1e-9)


def test_bets_are_fair():
    stuck = [densities(rank)[len(BETAS) :] for rank in (np.arange(800) + 0.5) / 800]
    assert np.mean(stuck, axis=0) == pytest.approx(np.ones(STUCK))
    assert np.min(stuck) == 0.5 and len(WORDS) == len(BETAS) + STUCK
    for rank in (1e-9, 0.3, 0.999):
        for (_, a, b), found in zip(BETAS, densities(rank), strict=False):
            assert found == pytest.approx(stats.beta.pdf(rank, a, b), rel=1e-9)


def test_draws_are_uniform_and_of_their_seed():
    draws = [_uniform(5, turn) for turn in range(4000)]
    assert min(draws) > 0 and max(draws) < 1
    assert stats.kstest(draws, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.05
    assert abs(np.corrcoef(draws, [_uniform(6, turn) for turn in range(4000)])[0, 1]) < 0.05


@pytest.mark.parametrize("count", [1, 10, 300])
@pytest.mark.parametrize("decimals", [9, 0], ids=["continuous", "ties"])
def test_false_alarms_are_not_more_than_promised_whenever_one_looks(count, decimals):
    lives, alpha = 250, 0.1
    alarms = 0
    for seed in range(lives):
        rng = np.random.default_rng([seed, count])
        draws = np.round(rng.standard_t(2, count + 300), decimals)
        watched = a_martingale(draws[:count], alpha, seed)
        alarms += any(watched.observe(value) for value in draws[count:])
    assert alarms <= stats.binom.ppf(0.999, lives, alpha)


@pytest.mark.slow
def test_no_false_alarm_crowd_in_long_lives():
    lives, alpha = 60, 0.1
    alarms = 0
    for seed in range(lives):
        rng = np.random.default_rng(seed)
        watched = a_martingale(rng.normal(-5, 2, 100), alpha, seed)
        alarms += any(watched.observe(value) for value in rng.normal(-5, 2, 20_000))
    assert alarms <= stats.binom.ppf(0.999, lives, alpha)


@pytest.mark.parametrize(
    ("change", "word", "within"),
    [
        (lambda x: x + 2, "higher", 80),
        (lambda x: x - 2, "lower", 80),
        (lambda x: -5 + 3 * (x + 5), "wider", 60),
        (lambda x: -5 + (x + 5) / 4, "narrower", 120),
        (lambda x: 0 * x - 4, "stuck", 40),
    ],
)
def test_a_change_is_seen_soon_and_named(change, word, within):
    words = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        watched = a_martingale(rng.normal(-5, 2, 300), seed=seed)
        before = rng.normal(-5, 2, 500)
        assert not any(watched.observe(value) for value in before)
        for value in change(rng.normal(-5, 2, within)):
            if watched.observe(value):
                break
        assert watched.alarm_at is not None and watched.alarm_at > 500
        words.append(watched.alarm_word)
    assert words.count(word) >= 14, words


def test_a_long_good_life_does_not_make_it_slow():
    rng = np.random.default_rng(0)
    watched = a_martingale(rng.normal(-5, 2, 300))
    for value in rng.normal(-5, 2, 30_000):
        watched.observe(value)
    assert watched.alarm_at is None
    found = [watched.observe(value) for value in rng.normal(-3, 2, 120)]
    assert sum(found) == 1


def test_the_alarm_is_raised_once_and_stands():
    watched = a_martingale([-5.0] * 50)
    found = [watched.observe(5.0) for _ in range(2000)]
    assert sum(found) == 1 and found.index(True) + 1 == watched.alarm_at
    assert math.isfinite(watched.capital)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(-40, 40), min_size=1, max_size=20),
    st.lists(st.floats(-40, 40) | st.sampled_from([math.inf, -math.inf, 1.0]), max_size=60),
    st.integers(0, 60),
)
def test_restored_it_goes_on_as_if_nothing_had_been_between(reference, values, cut):
    whole, first, second = (a_martingale(reference, 0.2) for _ in range(3))
    for value in values:
        whole.observe(value)
    for value in values[:cut]:
        first.observe(value)
    second.restore(json.loads(json.dumps(first.state())))
    for value in values[cut:]:
        second.observe(value)
    assert second.state() == whole.state()


def test_memory_does_not_grow():
    rng = np.random.default_rng(0)
    watched = a_martingale(rng.normal(size=50))
    values = rng.normal(size=4000).tolist()
    for value in values[:500]:
        watched.observe(value)
    tracemalloc.start()
    for value in values[500:]:
        watched.observe(value)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 4000


def test_nonsense_is_refused():
    for wrong in ({"alpha": 0}, {"alpha": 1}, {"low": 1.0, "high": 1.0}, {"reference": []}):
        given = {"reference": [1.0], "low": 0.0, "high": 2.0, "alpha": 0.1, **wrong}
        with pytest.raises(ValueError, match="expected"):
            Martingale(given.pop("reference"), **given)
    watched = a_martingale([1.0])
    with pytest.raises(ValueError, match="NaN"):
        watched.observe(math.nan)
    for wrong in ({"counts": [1]}, {"seen": 7}, {"stakes": [-1.0] * len(WORDS)}, {"stakes": []}):
        with pytest.raises(ValueError, match="found others"):
            watched.restore({**watched.state(), **wrong})

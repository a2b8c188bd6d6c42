"""The p-chart: exact limits, the doubt about the reference in them, and no more false points than promised."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from visiontune.runtime.p_chart import PHASE_ONE, TAIL, PChart, Rate


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 400), st.integers(1, 150))
def test_limits_are_those_of_the_beta_binomial(hits, more, size):
    rate = Rate.seen(hits, hits + more)
    low, high = rate.limits(size)
    known = stats.betabinom(size, rate.a, rate.b)
    assert known.cdf(low - 1) <= TAIL + 1e-12 and known.sf(high) <= TAIL + 1e-12
    assert known.cdf(low) > TAIL - 1e-12 and known.sf(high - 1) > TAIL - 1e-12


def test_with_a_well_known_rate_they_are_nearly_three_sigma():
    low, high = Rate.seen(100_000, 1_000_000).limits(900)
    assert (low, high) == pytest.approx((90 - 27, 90 + 27), abs=2)


def test_a_mixture_has_its_mean_and_variance():
    good, bad, share = Rate.seen(3, 200), Rate.seen(90, 100), 0.05
    rng = np.random.default_rng(0)
    drawn = (1 - share) * rng.beta(*good, 400_000) + share * rng.beta(*bad, 400_000)
    mixed = stats.beta(*good.mixed(bad, share))
    assert mixed.mean() == pytest.approx(drawn.mean(), rel=0.005)
    assert mixed.std() == pytest.approx(drawn.std(), rel=0.01)


def test_points_outside_are_no_more_than_promised_though_the_rate_was_only_estimated():
    rng = np.random.default_rng(1)
    outside = points = 0
    for _ in range(3000):
        truth = rng.beta(0.5, 0.5)  # Jeffreys' own prior, for which the limits are exact
        low, high = Rate.seen(int(rng.binomial(150, truth)), 150).limits(100)
        outside += int(not low <= rng.binomial(100, truth) <= high)
        points += 1
    assert outside <= stats.binom.ppf(0.999, points, 2 * TAIL)


@pytest.mark.parametrize("rate", [0.003, 0.02, 0.3])
def test_nor_at_any_one_rate_of_interest(rate):
    rng = np.random.default_rng(4)
    points = 20_000
    known = {hits: Rate.seen(hits, 2000).limits(200) for hits in range(900)}
    seen, hits = rng.binomial(2000, rate, points), rng.binomial(200, rate, points)
    outside = sum(not known[n][0] <= k <= known[n][1] for n, k in zip(seen.tolist(), hits, strict=True))
    assert outside <= stats.binom.ppf(0.999, points, 2 * TAIL)


def test_phase_one_learns_and_raises_nothing():
    rng = np.random.default_rng(2)
    chart = PChart(50)
    for _ in range(PHASE_ONE * 50 - 1):
        assert chart.observe(bool(rng.random() < 0.1)) is None
        assert chart.status()["limits"] is None
    chart.observe(False)
    assert chart.status()["rate"] == pytest.approx(0.1, abs=0.03)
    points = [chart.observe(bool(rng.random() < 0.1)) for _ in range(50 * 40)]
    assert sum(point is not None for point in points) <= 1


def test_a_doubled_and_an_ended_rate_are_seen():
    chart = PChart(200, Rate.seen(100, 2000))
    rng = np.random.default_rng(3)
    points = [chart.observe(bool(rng.random() < 0.15)) for _ in range(1000)]
    found = [point for point in points if point is not None]
    assert len(found) >= 4 and all(point.hits > point.high for point in found)
    quiet = [point for point in (chart.observe(False) for _ in range(200)) if point is not None]
    assert [point.hits for point in quiet] == [0] and quiet[0].low > 0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), max_size=120), st.integers(0, 120), st.booleans())
def test_restored_it_goes_on_as_if_nothing_had_been_between(hits, cut, known):
    whole, first, second = (PChart(4, Rate.seen(1, 9) if known else None) for _ in range(3))
    expected = [whole.observe(hit) for hit in hits]
    found = [first.observe(hit) for hit in hits[:cut]]
    second.restore(json.loads(json.dumps(first.state())))
    found += [second.observe(hit) for hit in hits[cut:]]
    assert found == expected
    assert second.state() == whole.state() and second.status() == whole.status()


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="at least one part"):
        PChart(0)
    chart = PChart(4, Rate.seen(1, 9))
    for wrong in ({"count": 4}, {"hits": 1}, {"rate": None}):
        with pytest.raises(ValueError, match="subgroups of 4"):
            chart.restore({**chart.state(), **wrong})

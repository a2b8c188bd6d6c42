"""Exact binomial bounds: against SciPy, against the known table, and against their own definition."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom, binomtest

from visiontune.runtime.binomial import interval, lower, parts_needed, smallest_certifiable_rate, upper


@st.composite
def counts(draw, most=2000):
    n = draw(st.integers(1, most))
    return draw(st.integers(0, n)), n


@given(counts(), st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_upper_and_lower_are_scipys_beta_quantiles(seen, confidence):
    k, n = seen
    high = 1.0 if k == n else beta.ppf(confidence, k + 1, n - k)
    low = 0.0 if k == 0 else beta.ppf(1 - confidence, k, n - k + 1)
    assert upper(k, n, confidence) == pytest.approx(high, rel=1e-9)
    assert lower(k, n, confidence) == pytest.approx(low, rel=1e-9)


def test_large_counts_too():
    assert upper(5_000, 100_000) == pytest.approx(beta.ppf(0.95, 5_001, 95_000), rel=1e-9)
    assert lower(99_990, 100_000) == pytest.approx(beta.ppf(0.05, 99_990, 11), rel=1e-9)


@given(counts(300), st.sampled_from([0.8, 0.95]))
def test_the_interval_leaves_half_of_the_doubt_on_either_side(seen, confidence):
    k, n = seen
    wanted = binomtest(k, n).proportion_ci(confidence, method="exact")
    assert interval(k, n, confidence) == pytest.approx((wanted.low, wanted.high), rel=1e-7, abs=1e-12)


@given(counts(300))
def test_the_interval_holds_the_rate_and_mirrors(seen):
    k, n = seen
    low, high = interval(k, n)
    assert 0 <= low <= k / n <= high <= 1
    mirrored = interval(n - k, n)
    assert (low, high) == pytest.approx((1 - mirrored[1], 1 - mirrored[0]), abs=1e-12)


def test_no_parts_say_nothing():
    assert interval(0, 0) == (0.0, 1.0)
    assert upper(0, 0) == 1.0


@pytest.mark.parametrize(
    ("misses", "table"),
    [
        (0, {0.05: 59, 0.02: 149, 0.01: 299, 0.005: 598}),
        (1, {0.05: 93, 0.02: 236, 0.01: 473, 0.005: 947}),
    ],
)
def test_the_known_table_of_parts_needed(misses, table):
    assert {rate: parts_needed(rate, misses) for rate in table} == table
    for rate, n in table.items():
        assert smallest_certifiable_rate(n, misses) <= rate < smallest_certifiable_rate(n - 1, misses)


@given(st.floats(0.002, 0.999), st.integers(0, 5), st.sampled_from([0.5, 0.9, 0.99]))
def test_parts_needed_is_the_smallest(rate, misses, confidence):
    n = parts_needed(rate, misses, confidence)
    assert binom.cdf(misses, n, rate) <= (1 - confidence) * (1 + 1e-9)
    assert n == misses + 1 or binom.cdf(misses, n - 1, rate) > (1 - confidence) * (1 - 1e-9)


def test_no_miss_has_a_closed_form():
    assert upper(0, 50) == pytest.approx(1 - 0.05 ** (1 / 50), rel=1e-12)
    assert parts_needed(0.03) == math.ceil(math.log(0.05) / math.log(0.97))


@pytest.mark.parametrize("call", [(-1, 5), (6, 5), (1, 5, 0.0), (1, 5, 1.0)])
def test_refuses_impossible_counts(call):
    for function in (upper, lower, interval):
        with pytest.raises(ValueError, match="expected"):
            function(*call)
    with pytest.raises(ValueError, match="rate"):
        parts_needed(1.0)

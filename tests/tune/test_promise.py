"""What parts certify: against sums term by term and published tables."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from visiontune.tune.promise import allowed_misses, promise, rounded_up


def tail(misses, n, rate):
    """P(X <= misses), term by term."""
    return sum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(misses + 1))


@given(st.integers(1, 60), st.sampled_from([0.01, 0.05, 0.1, 0.3]), st.sampled_from([0.8, 0.9, 0.95]))
def test_allowed_misses_is_the_largest_that_the_exact_test_admits(n, rate, confidence):
    admitted = [k for k in range(n + 1) if tail(k, n, rate) <= 1 - confidence]
    assert allowed_misses(n, rate, confidence) == max(admitted, default=-1)


@pytest.mark.parametrize(
    ("misses", "parts"), [(0, (59, 149, 299, 598)), (1, (93, 236, 473, 947)), (2, (124, 313, 628, 1258))]
)
def test_the_published_table_of_parts_needed(misses, parts):
    for rate, n in zip((0.05, 0.02, 0.01, 0.005), parts, strict=True):
        assert allowed_misses(n, rate, 0.95) == misses
        assert allowed_misses(n - 1, rate, 0.95) == misses - 1
        enough, fewer = (promise(parts, misses, misses, rate, 0.95) for parts in (n, n - 1))
        assert enough["certified"] <= rate < fewer["certified"]
        if misses == 0:
            assert (enough["missing_parts"], fewer["missing_parts"]) == (0, 1)


@given(st.integers(1, 300), st.data())
def test_what_is_certified_is_the_bound_of_clopper_and_pearson(n, data):
    misses = data.draw(st.integers(0, n))
    exact = binomtest(misses, n, alternative="less").proportion_ci(0.95, method="exact").high
    assert promise(n, misses, misses, 0.5, 0.95)["certified"] == pytest.approx(exact, abs=1e-9)


@given(st.floats(1e-9, 1.0))
def test_a_bound_in_two_digits_still_holds(rate):
    found = rounded_up(rate)
    assert rate <= found * (1 + 1e-12) <= min(1.0, rate * 1.1 + 1e-12) * (1 + 1e-9)

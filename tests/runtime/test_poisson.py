"""Exact bounds on events a frame: against scipy's quantiles, and a published table."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from visiontune.runtime.poisson import interval


@given(st.integers(0, 400), st.integers(1, 5000), st.floats(0.5, 0.999))
def test_the_quantiles_of_chi_squared(k, frames, confidence):
    side = (1 - confidence) / 2
    low = chi2.ppf(side, 2 * k) / 2 if k else 0.0
    high = chi2.ppf(1 - side, 2 * k + 2) / 2
    assert interval(k, frames, confidence) == pytest.approx((low / frames, high / frames), rel=1e-8)


@pytest.mark.parametrize(
    ("k", "low", "high"),
    [(0, 0, 3.69), (1, 0.0253, 5.57), (5, 1.62, 11.67), (10, 4.80, 18.39), (50, 37.11, 65.92)],
)
def test_the_published_limits_at_95_percent(k, low, high):
    """Garwood's table as Pearson and Hartley print it (Biometrika Tables for Statisticians I, table 40)."""
    assert interval(k, 1) == pytest.approx((low, high), abs=0.006)


def test_many_events_and_no_frames():
    assert interval(100_000, 1)[0] == pytest.approx(chi2.ppf(0.025, 200_000) / 2, rel=1e-6)
    assert interval(0, 0) == (0, math.inf)


@pytest.mark.parametrize("wrong", [(-1, 1, 0.9), (1, -1, 0.9), (1, 1, 0.0), (1, 1, 1.0)])
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="expected k >= 0"):
        interval(*wrong)

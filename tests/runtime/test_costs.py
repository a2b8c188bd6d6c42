"""Costs and escapes per million: against the formulas written out, and the bounds against what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.runtime import binomial
from visiontune.runtime.costs import (
    Costs,
    expected_cost,
    expected_load,
    expected_overkill,
    mean_costs,
    shipped_escapes,
)
from visiontune.runtime.errors import CalibrationRefused

COSTS = Costs(escape=100, overkill=5, review=1)
counts = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
some = counts.filter(any)
rates = st.floats(0.001, 0.9)


@given(some, some, rates)
def test_escapes_per_shipped_million_by_shipping_every_part(defective, good, prevalence):
    found = shipped_escapes(defective, good, prevalence)
    bad = prevalence * defective[0] / sum(defective)
    fine = (1 - prevalence) * (good[0] + good[1]) / sum(good)  # a reviewed good part is shipped after all
    if bad + fine == 0:
        assert found.value is None
    else:
        assert found.value == pytest.approx(1e6 * bad / (bad + fine))
        assert found.low <= found.value <= found.upper <= found.high


@given(some, some, rates, rates, rates, rates)
def test_the_cost_by_paying_for_every_part(defective, good, prevalence, escape, overkill, review):
    costs = Costs(escape=escape, overkill=overkill, review=review)
    paid_bad = defective[0] * escape + defective[1] * review
    paid_good = good[1] * review + good[2] * overkill
    wanted = 1e6 * (prevalence * paid_bad / sum(defective) + (1 - prevalence) * paid_good / sum(good))
    found = expected_cost(defective, good, costs, prevalence)
    assert found.value == pytest.approx(wanted)
    assert found.low <= found.value * (1 + 1e-9) and found.value <= found.upper * (1 + 1e-9)
    assert found.upper <= found.high <= 1e6 * max(escape, overkill, review) * (1 + 1e-9)
    (mean,) = mean_costs(np.array([[*defective, *good]], float), costs, prevalence)
    assert mean == pytest.approx(wanted)


@given(some, some, rates)
def test_the_load_counts_parts_of_both_sides(defective, good, prevalence):
    bad, fine = defective[1] / sum(defective), good[1] / sum(good)
    found = expected_load(defective, good, 1, prevalence)
    assert found.value == pytest.approx(1e6 * (prevalence * bad + (1 - prevalence) * fine))
    overkill = expected_overkill(good, prevalence)
    assert overkill.value == pytest.approx(1e6 * (1 - prevalence) * good[2] / sum(good))
    assert overkill.upper == pytest.approx(1e6 * (1 - prevalence) * binomial.upper(good[2], sum(good)))


def test_no_escape_seen_is_no_promise_of_none():
    found = shipped_escapes((0, 0, 299), (1000, 0, 0), 0.02)
    assert (found.value, found.low) == (0, 0)
    assert (
        1e6 * 0.02 * 0.01 < found.upper < 1e6 * 0.02 * 0.013
    )  # 299 parts certify 1 % at 95 %, a little more at 97.5 %


def test_a_side_without_parts_has_no_value_and_wide_bounds():
    assert shipped_escapes((0, 0, 0), (10, 0, 0), 0.1).value is None
    found = expected_cost((0, 0, 0), (10, 0, 0), COSTS, 0.1)
    assert found.value is None and found.high >= 1e6 * 0.1 * 100
    assert np.isnan(mean_costs(np.array([[0, 0, 0, 1, 0, 0.0]]), COSTS, 0.1)).all()


def test_the_bounds_hold_as_often_as_they_say():
    rng = np.random.default_rng(0)
    bad, good, prevalence = np.array([0.05, 0.15, 0.8]), np.array([0.9, 0.07, 0.03]), 0.03
    true_cost = 1e6 * (prevalence * bad @ COSTS.defective + (1 - prevalence) * good @ COSTS.good)
    true_escapes = 1e6 * 0.03 * 0.05 / (0.03 * 0.05 + 0.97 * 0.97)
    held = np.zeros(4)
    for _ in range(300):
        seen, fine = tuple(rng.multinomial(80, bad).tolist()), tuple(rng.multinomial(150, good).tolist())
        cost, shipped = (
            expected_cost(seen, fine, COSTS, prevalence, 0.8),
            shipped_escapes(seen, fine, prevalence, 0.8),
        )
        held += [
            cost.low <= true_cost <= cost.high,
            true_cost <= cost.upper,
            shipped.low <= true_escapes <= shipped.high,
            true_escapes <= shipped.upper,
        ]
    assert (held / 300 >= 0.8).all()


def test_costs_are_read_from_text():
    assert Costs.parse("review=1, escape=100,overkill=5") == COSTS
    assert str(COSTS) == "escape 100, overkill 5, review 1"


@pytest.mark.parametrize(
    "text", ["", "escape=1", "escape=1,overkill=2,review=x", "escape=1,overkill=2,revue=3", "a=1,b=2,c=3,d=4"]
)
def test_other_text_is_refused(text):
    with pytest.raises(CalibrationRefused, match="escape=NUMBER,overkill=NUMBER,review=NUMBER"):
        Costs.parse(text)


@pytest.mark.parametrize("wrong", [{"escape": 0}, {"overkill": -1}, {"review": -1}, {"escape": float("nan")}])
def test_costs_that_are_none(wrong):
    with pytest.raises(CalibrationRefused, match=f"cost of {next(iter(wrong))}"):
        Costs(**{"escape": 1, "overkill": 1, "review": 0} | wrong)

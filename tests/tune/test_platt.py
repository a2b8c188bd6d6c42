"""Platt's sigmoid: known ones are found again, separate sides stay finite."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from visiontune.runtime.bands import NEVER
from visiontune.tune.platt import Sigmoid, fit_sigmoid, log_odds


def test_a_known_sigmoid_is_found_again():
    rng = np.random.default_rng(0)
    odds = rng.normal(0, 2, 20_000)
    defective = rng.random(20_000) < 1 / (1 + np.exp(-(1.7 * odds - 0.8)))
    found = fit_sigmoid((1 / (1 + np.exp(-odds))).astype(np.float32), defective)
    assert (found.slope, found.shift) == (pytest.approx(1.7, rel=0.05), pytest.approx(-0.8, abs=0.06))


def test_it_is_a_logistic_regression_on_smoothed_labels():
    rng = np.random.default_rng(1)
    severity = rng.beta(2, 2, 300).astype(np.float32)
    defective = rng.random(300) < severity
    bad, good = defective.sum(), (~defective).sum()
    target = np.where(defective, (bad + 1) / (bad + 2), 1 / (good + 2))
    odds = log_odds(severity.astype(float))[:, None]
    both, labels = np.vstack([odds, odds]), np.repeat([1, 0], 300)
    wanted = LogisticRegression(C=1e9, tol=1e-8).fit(both, labels, np.concatenate([target, 1 - target]))
    found = fit_sigmoid(severity, defective)
    assert (found.slope, found.shift) == pytest.approx(
        (wanted.coef_[0, 0], wanted.intercept_[0]), rel=1e-3, abs=1e-3
    )


@pytest.mark.parametrize("severity", [[0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], [0.5] * 4, [1, 1, 0, 0]])
def test_whatever_the_sides_it_is_finite_and_rises(severity):
    found = fit_sigmoid(np.array(severity, np.float32), np.array([False, False, True, True]))
    assert 0 < found.slope < 100 and abs(found.shift) < 100


@given(st.floats(0.1, 5), st.floats(-5, 5), st.floats(0.01, 0.99))
def test_the_severity_of_a_probability(slope, shift, probability):
    # nearer to 1 than float64 can tell apart, the way back is rounding alone
    assume(abs(np.log(probability / (1 - probability)) - shift) < 25 * slope)
    severity = Sigmoid(slope, shift).severity(probability)
    z = slope * (np.log(severity) - np.log1p(-severity)) + shift
    assert 1 / (1 + np.exp(-z)) == pytest.approx(probability, rel=1e-3, abs=1e-4)


def test_certain_probabilities():
    assert Sigmoid(1, 0).severity(0) == 0
    assert Sigmoid(1, 0).severity(1) == NEVER

"""The fit of many power laws at once: against scipy's slow one, on known laws, on what no law with a fall fits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from visiontune.tune.power_law import EXPONENTS, fitted

X = np.array([0.125, 0.25, 0.5, 1.0])


def oracle(curve, weights, x=X):
    """The least sum of weighted squares over all laws, by scipy from many starts."""
    best = np.inf
    for b in (0.1, 0.4, 0.8, 1.3):
        for c in (0.01, 0.5 * curve.min() + 0.01):
            found = least_squares(
                lambda law: np.sqrt(weights) * (law[0] * x ** -law[1] + law[2] - curve),
                (max(curve[-1] - c, 0.01), b, c),
                bounds=((0, EXPONENTS[0], 0), (2, EXPONENTS[-1], 2)),
            )
            best = min(best, 2 * found.cost)
    return best


def misses(curves, law, weights, x=X):
    a, b, c = law
    said = a[:, None] * x ** -b[:, None] + c[:, None]
    return ((said - curves) ** 2 * weights).sum(axis=1)


def test_it_misses_no_more_than_scipy():
    rng = np.random.default_rng(0)
    falling = np.sort(rng.random((30, 4)), axis=1)[:, ::-1]
    curves = np.concatenate([falling, rng.random((10, 4)), np.full((1, 4), 0.3)])
    weights = 1 / curves.mean(axis=0) ** 2
    ours = misses(curves, fitted(curves, X), weights)
    slow = np.array([oracle(curve, weights) for curve in curves])
    # the grid of exponents is coarse: what it may cost is 2 % of the spread
    spread = ((curves - curves.mean(axis=1, keepdims=True)) ** 2 * weights).sum(axis=1)
    assert (ours <= slow + 0.02 * spread + 1e-9).all()
    assert (ours >= slow - 1e-6).all()


@pytest.mark.parametrize(
    ("a", "b", "c"), [(0.1, 0.5, 0.05), (0.02, 1.0, 0.0), (0.0, 0.5, 0.2), (0.3, 0.1, 0.0)]
)
def test_a_law_is_recovered(a, b, c):
    curve = (a * X**-b + c)[np.newaxis]
    found = [float(part[0]) for part in fitted(curve, X)]
    assert found[0] * 2 ** -found[1] + found[2] == pytest.approx(a * 2**-b + c, rel=0.01)


def test_the_fit_of_one_curve_does_not_hang_on_its_neighbours_but_for_the_weights():
    curve = 0.1 * X**-0.5 + 0.05
    alone = fitted(curve[np.newaxis], X)
    many = fitted(np.stack([curve, 1.2 * curve, 0.8 * curve]), X)
    assert [part[0] for part in many] == pytest.approx([part[0] for part in alone])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.lists(st.floats(0, 1), min_size=4, max_size=4), min_size=1, max_size=5))
def test_laws_never_rise_and_are_never_negative(rows):
    a, b, c = fitted(np.array(rows), X)
    assert (a >= 0).all() and (c >= 0).all() and (b > 0).all()
    assert (a * 2.0**-b + c <= a + c).all()

"""What a severity means as a probability among held-out parts: Platt's sigmoid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from visiontune.runtime.bands import NEVER

Floats = NDArray[np.float64]

MOST = 16.0  # log odds that float32 can tell from certainty


@dataclass(frozen=True)
class Sigmoid:
    """P(defective) = 1 / (1 + exp(-(slope * log odds of the severity + shift))); slope > 0."""

    slope: float
    shift: float

    def severity(self, probability: float) -> float:
        """The severity, 0..1, at which a part of the set is defective with this probability; NEVER from 1 on."""
        if probability >= 1:
            return NEVER
        if probability <= 0:
            return 0.0
        odds = (np.log(probability / (1 - probability)) - self.shift) / self.slope
        return float(1 / (1 + np.exp(-np.clip(odds, -500, 500))))


def fit_sigmoid(severity: NDArray[np.float32], defective: NDArray[np.bool_]) -> Sigmoid:
    """The sigmoid of Platt (1999, Advances in Large Margin Classifiers) over the parts' log odds; both arrays (n,).

    A network's severity is a probability under the classes' shares it was trained or weighted to, and for one picture; the
    sigmoid carries it to these parts. Platt's targets, (n + 1) / (n + 2) and 1 / (n + 2) for n parts of a side, keep it finite
    where the sides are apart.
    """
    odds = log_odds(severity.astype(np.float64))
    bad, good = int(defective.sum()), int((~defective).sum())
    target = np.where(defective, (bad + 1) / (bad + 2), 1 / (good + 2))

    def loss(given: Floats) -> tuple[float, Floats]:
        z = given[0] * odds + given[1]
        error = 1 / (1 + np.exp(-np.clip(z, -500, 500))) - target
        return float((np.logaddexp(0, z) - target * z).sum()), np.array([(error * odds).sum(), error.sum()])

    found = minimize(loss, [1.0, 0.0], jac=True, method="L-BFGS-B", bounds=[(1e-3, None), (None, None)])
    return Sigmoid(float(found.x[0]), float(found.x[1]))


def log_odds(probability: Floats) -> Floats:
    """ln(p / (1 - p)), within what float32 can tell from certainty."""
    with np.errstate(divide="ignore"):
        odds: Floats = np.log(probability) - np.log1p(-np.minimum(probability, 1.0))
    return np.clip(odds, -MOST, MOST)

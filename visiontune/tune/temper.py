"""What a head leaves to held-out parts: the temperature of its logits, or the curve from its scores to a severity."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from visiontune.heads import HeadNet
from visiontune.heads.anomaly import ScoredNet
from visiontune.tune.calibrate import fit_temperature
from visiontune.tune.platt import fit_sigmoid

STEEP = 1.5  # log odds to a spread of the good parts, where no defect is known
HALF = 3.0  # spreads above the median of good parts at which severity is then a half
NARROW = 0.02  # of the logarithm of a score; good parts never lie closer together than that
FLAT = 0.5  # slope below which defects do not tell how severity rises
SPREAD = 1.4826  # of a normal distribution, to its median distance from the median

Floats = NDArray[np.float64]


def temper(head: HeadNet, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Sets the temperature of a head, or the curve of one that gives scores, on held-out parts; gives the temperature.

    `logits` (n, C) are those of the head as it is now, `labels` (n,) classes.
    """
    if isinstance(head, ScoredNet):
        scores = (logits[:, 1].astype(np.float64) - float(head.shift)) / float(head.slope)
        slope, shift = curve(scores, labels != 0)
        head.slope.fill_(slope)
        head.shift.fill_(shift)
        temperature = 1.0
    else:
        weights = class_weights(labels) if head.adjusted else np.ones(len(labels))
        temperature = fit_temperature(logits.astype(np.float64), labels, weights)
    head.temperature.fill_(temperature)
    return temperature


def curve(scores: Floats, defective: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and shift of severity's log odds over the logarithms of scores (n,).

    By Platt's sigmoid where some are defective. By good parts alone severity says how unlike them a part is, and is no
    probability: a half at three spreads above their median, by median and median distance, which a few bad labels do not move.
    """
    if defective.any() and not defective.all():
        found = fit_sigmoid(torch.from_numpy(scores).sigmoid().numpy(), defective)
        if found.slope >= FLAT:
            return found.slope, found.shift
    good = scores if defective.all() else scores[~defective]
    middle = float(np.median(good))
    slope = STEEP / max(SPREAD * float(np.median(np.abs(good - middle))), NARROW)
    return slope, -slope * middle - STEEP * HALF


def class_weights(labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights that make every class count alike, mean 1."""
    counts = np.bincount(labels)
    return np.asarray(len(labels) / (np.count_nonzero(counts) * counts[labels]))

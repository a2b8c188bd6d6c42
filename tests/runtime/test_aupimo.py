"""AUPIMO: against the definition, threshold by threshold and picture by picture."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.runtime.aupimo import aupimo


def slow(defective, good, low, high, steps=400):
    """For each defective picture and each of many false shares: the lowest threshold allowed, the recall above it."""
    levels = sorted({score for scores in [*defective, *good] for score in scores} | {math.inf})
    areas = []
    for scores in defective:
        recalls = []
        for step in range(steps):
            share = low * (high / low) ** ((step + 0.5) / steps)
            allowed = [
                level
                for level in levels
                if np.mean([np.mean([score >= level for score in picture]) for picture in good])
                <= share + 1e-12
            ]
            recalls.append(np.mean([score >= min(allowed) for score in scores]))
        areas.append(np.mean(recalls))
    return np.mean(areas)


def binned(pictures):
    found = np.zeros(12)
    for scores in pictures:
        found += np.bincount(scores, minlength=12) / len(scores) / len(pictures)
    return found


some = st.lists(st.lists(st.integers(0, 11), min_size=1, max_size=12), min_size=1, max_size=3)


@given(some, some)
def test_that_of_the_definition(defective, good):
    """With false shares from 5 % to 50 %, so that a few pixels are enough."""
    found = aupimo(binned(defective), binned(good), 0.05, 0.5)
    assert 0 <= found <= 1
    assert found == pytest.approx(slow(defective, good, 0.05, 0.5, 100), abs=0.02)


def test_by_hand():
    # Half of the defect lies above every good pixel, the rest above all but 2 in 100 000 of them.
    covered, false = np.array([0, 0.5, 0, 0.5]), np.array([1 - 2e-5, 0, 2e-5, 0])
    expected = (0.5 * math.log(2) + 1.0 * math.log(5)) / math.log(10)
    assert aupimo(covered, false) == pytest.approx(expected)


def test_a_perfect_map_has_one_and_a_constant_map_none():
    assert aupimo(np.array([0, 1.0]), np.array([1.0, 0])) == 1
    assert aupimo(np.array([1.0]), np.array([1.0])) == 0
    assert aupimo(np.array([0.0]), np.array([1.0])) is aupimo(np.array([1.0]), np.array([0.0])) is None

"""Corruptions keep the shape of a picture, drift is the relative distance, health is in run.json."""

import json

import numpy as np
import pytest
import torch

from visiontune.tune.robust import CORRUPTIONS, moved


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_changes_a_picture_and_keeps_its_form(name):
    frame = np.random.default_rng(0).integers(40, 200, (50, 70, 3), dtype=np.uint8)
    before = frame.copy()
    worse = CORRUPTIONS[name](frame, np.random.default_rng(1))
    assert worse.shape == frame.shape and worse.dtype == np.uint8
    assert (worse != frame).mean() > 0.3
    assert np.array_equal(frame, before)
    assert np.array_equal(worse, CORRUPTIONS[name](frame, np.random.default_rng(1)))


def test_drift_is_the_relative_distance():
    start = {"a": torch.tensor([3.0, 0.0]), "b": torch.tensor([4.0])}
    now = {"a": torch.tensor([3.0, 1.0]), "b": torch.tensor([4.0])}
    assert moved(now, start, ["a", "b"]) == pytest.approx(1 / 5)
    assert moved(start, start, ["a", "b"]) == 0.0


def test_health_says_what_moved_and_what_a_change_of_light_would_cost(cooked):
    found = cooked.health()
    kept = cooked.history[cooked.best].open
    drifted = list(found["drift"].values())
    assert all(value == 0 for value in drifted[: len(drifted) - kept])
    assert all(value > 0 for value in drifted[len(drifted) - kept :])
    assert set(found["corruptions"]["end"]) == {"none", *CORRUPTIONS}
    stored = json.loads((cooked.out / "run.json").read_text())
    assert stored["metrics"]["health"]["gap"] == pytest.approx(found["gap"])

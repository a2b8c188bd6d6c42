"""The gate: painted frames of the station go through, darkened, blurred, overexposed and covered ones do not."""

import numpy as np
import pytest
from scipy import ndimage

from tests.line_models import a_reference
from visiontune.data.painter import paint_part
from visiontune.runtime.gate import Gate
from visiontune.runtime.look import Look, look

SIZE = (96, 96)


def seen(frame):
    return look(frame, size=SIZE, roi=None)


@pytest.fixture(scope="module")
def station():
    """One product under one camera's wandering light: 60 parts, two exposures each."""
    shots = [
        shot.image
        for part in range(60)
        for shot in paint_part(part, "good", exposures=2, size=SIZE, style="turned", product=5)
    ]
    return shots[:60], shots[60:]


@pytest.fixture(scope="module")
def gate(station):
    columns = np.array([seen(frame) for frame in station[0]])
    low, high = np.quantile(columns, (0.01, 0.99), axis=0).tolist()
    ranges = {name: (low[place], high[place]) for place, name in enumerate(Look._fields)}
    return Gate(a_reference(ranges=ranges))


def noisy(frame, seed=0):
    """As a sensor would give it: read noise of one grey level comes after all that happens to the light."""
    noise = np.random.default_rng(seed).normal(0, 1, frame.shape[:2])[..., None]
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


def test_other_parts_of_the_station_go_through(gate, station):
    assert [gate.reason(seen(frame)) for frame in station[1]] == [""] * 60


@pytest.mark.parametrize(
    ("spoil", "words", "share"),
    [
        (lambda f: noisy(f * 0.1), "too dark", 1),
        (lambda f: noisy(0 * f + 3.0), "too dark", 1),
        (lambda f: noisy(f * 4.0), "too bright", 0.9),
        (lambda f: noisy(100 + f * 0.03), "too little contrast", 1),
        (lambda f: noisy(ndimage.gaussian_filter(f.astype(float), (2, 2, 0))), "blurred", 0.9),
    ],
)
def test_spoilt_frames_are_held_with_the_reason(gate, station, spoil, words, share):
    found = [gate.reason(seen(spoil(frame))) for frame in station[1]]
    assert np.mean([bool(reason) for reason in found]) >= share
    assert sum(words in reason for reason in found) > len(found) / 2
    assert all(not reason or reason.startswith("not inspectable: ") for reason in found)


def test_the_reason_says_what_was_seen_and_what_val_held():
    gate = Gate(a_reference(ranges={**a_reference().ranges, "brightness": (80.0, 140.0)}))
    dark = np.full((8, 8, 3), 12, np.uint8)
    assert gate.reason(seen(dark)) == "not inspectable: too dark (brightness 12, val 80 to 140)"
    assert "sharpness" not in gate.reason(seen(dark))


def test_sharpness_is_told_as_a_ratio():
    gate = Gate(a_reference(ranges={**a_reference().ranges, "sharpness": (-0.7, -0.2)}))
    flat = Look(100, 50, 150, 100, 0, -3.0, 0, 0)
    assert gate.reason(flat) == "not inspectable: blurred (sharpness 0.0498, val 0.497 to 0.819)"


@pytest.mark.parametrize(
    ("statistic", "low", "high", "last", "first"),
    [
        ("brightness", 80.0, 140.0, 50.1, 49.9),  # half the width below
        ("brightness", 80.0, 140.0, 169.9, 170.1),
        ("brightness", 80.0, 81.0, 70.1, 69.9),  # at least 10 levels
        ("brightness", 20.0, 200.0, 5.1, 4.9),  # however wide, a quarter of the lowest
        ("contrast", 100.0, 110.0, 90.1, 89.9),
        ("saturated", 0.0, 0.01, 0.029, 0.031),
        ("sharpness", -1.0, -0.9, -1.29, -1.31),
    ],
)
def test_limits_lie_where_the_docstring_says(statistic, low, high, last, first):
    gate = Gate(a_reference(ranges={**a_reference().ranges, statistic: (low, high)}))
    plain = Look(100, 20, 220, 200, 0, 0, 0, 0)
    assert gate.reason(plain._replace(**{statistic: last})) == ""
    assert statistic in gate.reason(plain._replace(**{statistic: first}))

"""The look of a frame: against a slow way, on the region of interest, on frames of any size."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.runtime.look import FEATURES, POINTS, Look, look


def slow_look(frame, scale):
    """Pixel by pixel, with every pixel."""
    height, width = frame.shape[:2]
    inside = [(y, x) for y in range(scale, height - scale) for x in range(scale, width - scale)]
    grey = {(y, x): sum(int(v) for v in frame[y, x]) for y in range(height) for x in range(width)}
    own = sorted(grey[at] for at in inside)
    edges = sorted(
        abs(
            4 * grey[y, x] - grey[y + scale, x] - grey[y - scale, x] - grey[y, x + scale] - grey[y, x - scale]
        )
        for y, x in inside
    )

    def quantile(values, share):
        return next(v for n, v in enumerate(values, 1) if n >= share * len(values)) / 3

    low, high = quantile(own, 0.01), quantile(own, 0.99)
    red, green, blue = (np.mean([int(frame[at][channel]) for at in inside]) for channel in range(3))
    return Look(
        brightness=np.mean(own) / 3,
        low=low,
        high=high,
        contrast=high - low,
        saturated=np.mean([max(frame[at]) >= 250 for at in inside]),
        sharpness=math.log((quantile(edges, 0.99) + 1) / (high - low + 1)),
        red=red - green,
        blue=blue - green,
    )


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_it_is_that_of_the_slow_way(scale):
    frame = np.random.default_rng(scale).integers(0, 256, (40, 33, 3), np.uint8)
    size = (40 // scale, 33 // scale)
    assert look(frame, size=size, roi=None) == pytest.approx(slow_look(frame, scale), abs=1e-9)


def test_only_the_region_of_interest_counts():
    frame = np.random.default_rng(0).integers(0, 256, (80, 60, 3), np.uint8)
    roi = (0.25, 0.5, 1.0, 0.75)
    cut = frame[40:60, 15:60]
    assert look(frame, size=(20, 20), roi=roi) == look(cut.copy(), size=(20, 20), roi=None)


def test_a_large_frame_looks_as_its_own_pixels_do():
    rng = np.random.default_rng(1)
    frame = np.clip(rng.normal(100, 20, (1000, 1300, 3)), 0, 255).astype(np.uint8)
    found = look(frame, size=(1000, 1300), roi=None)
    grey = frame.mean(axis=2)
    assert found.brightness == pytest.approx(grey.mean(), abs=1)
    assert found.low == pytest.approx(np.quantile(grey, 0.01), abs=3)
    assert found.high == pytest.approx(np.quantile(grey, 0.99), abs=3)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5) | st.just(POINTS * 3 + 7), st.integers(1, 300), st.integers(1, 8))
def test_any_size_has_a_look(height, width, size):
    frame = np.full((height, width, 3), 7, np.uint8)
    found = look(frame, size=(size, size), roi=None)
    assert found[:5] == (7, 7, 7, 0, 0) and all(math.isfinite(value) for value in found)
    assert found.sharpness == 0 and found.features().shape == (len(FEATURES),)


def test_gain_moves_brightness_and_hardly_sharpness_while_blur_moves_sharpness():
    rng = np.random.default_rng(2)
    spots = (rng.random((128, 128)) < 0.05).repeat(2, 0).repeat(2, 1)
    frame = np.repeat((60 + 120 * spots).astype(np.uint8)[..., None], 3, axis=2)
    darker = (frame * 0.5).astype(np.uint8)
    blurred = sum(np.roll(frame.astype(float), shift, (0, 1)) for shift in np.ndindex(5, 5)) / 25
    plain, dim, soft = (look(f.astype(np.uint8), size=(256, 256), roi=None) for f in (frame, darker, blurred))
    assert dim.brightness == pytest.approx(plain.brightness / 2, abs=1)
    assert dim.sharpness == pytest.approx(plain.sharpness, abs=0.05)
    assert soft.sharpness < plain.sharpness - 0.7

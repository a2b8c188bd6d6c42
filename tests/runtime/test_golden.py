"""Golden frames: a second, slow painter written from the docstring alone, and the comparison of answers."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune import BadModel, Bands
from visiontune.runtime.golden import Golden, golden_frames

GOLDEN = Golden(
    seed=1, frames=2, size=(8, 9), severity=(0.2, 0.9), kinds=((0.8, 0.2), (0.1, 0.9)), decision=(0, 2)
)


def painted_slowly(seed, frame, height, width):
    """As any language without arrays would paint it."""
    state = (seed * 2654435761 + frame * 40503 + 1) % 2**32 or 1

    def random(n):
        nonlocal state
        state ^= (state << 13) % 2**32
        state ^= state >> 17
        state ^= (state << 5) % 2**32
        return state % n

    lattice = [[[random(256) for _ in range(3)] for _ in range(9)] for _ in range(9)]
    picture = [[[0, 0, 0] for _ in range(width)] for _ in range(height)]
    for y in range(height):
        p = y * 2048 // max(height - 1, 1)
        i = min(p // 256, 7)
        f = p - 256 * i
        for x in range(width):
            q = x * 2048 // max(width - 1, 1)
            j = min(q // 256, 7)
            g = q - 256 * j
            for c in range(3):
                upper = lattice[i][j][c] * (256 - g) + lattice[i][j + 1][c] * g
                lower = lattice[i + 1][j][c] * (256 - g) + lattice[i + 1][j + 1][c] * g
                picture[y][x][c] = (upper * (256 - f) + lower * f) // 65536
    for _ in range(3):
        x0, y0, w, h, c = random(width), random(height), 1 + random(width), 1 + random(height), random(3)
        for y in range(y0, min(y0 + h, height)):
            for x in range(x0, min(x0 + w, width)):
                picture[y][x][c] = 255 - picture[y][x][c]
    a, b = 1 + random(7), 1 + random(7)
    for y in range(height):
        for x in range(width):
            picture[y][x] = [v * 3 // 4 + (a * x + b * y) % 8 * 8 for v in picture[y][x]]
    return picture


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(1, 40), st.integers(1, 40))
def test_painted_as_the_docstring_says(seed, frame, height, width):
    fast = golden_frames(seed, frame + 1, (height, width))
    assert (fast.shape, fast.dtype) == ((frame + 1, height, width, 3), np.uint8)
    assert fast[frame].tolist() == painted_slowly(seed, frame, height, width)


def test_the_painting_never_changes():
    """Shipped models hold answers to these very pixels: this hash may not be updated."""
    painted = golden_frames(20260101, 3, (67, 131)).tobytes()
    assert hashlib.sha256(painted).hexdigest() == FOREVER


FOREVER = "bd049fa186132c155f26b43176a45f8d508bc60e53d622c4f5d0111c18d2b9a3"


def test_frames_differ_and_use_the_range():
    frames = golden_frames(1, 3, (64, 64))
    assert len({frame.tobytes() for frame in frames}) == 3
    assert np.ptp(frames) > 150
    assert all(not np.array_equal(frame[..., 0], frame[..., 2]) for frame in frames)  # tells RGB from BGR


def test_difference_is_the_largest():
    assert GOLDEN.difference([0.2, 0.9], [[0.8, 0.2], [0.1, 0.9]]) == 0
    assert GOLDEN.difference([0.25, 0.9], [[0.8, 0.2], [0.1, 0.8]]) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "answers",
    [
        ([0.2], [[0.8, 0.2], [0.1, 0.9]]),
        ([0.2, float("nan")], [[0.8, 0.2], [0.1, 0.9]]),
        ([0.2, 0.9], [[0.8, 0.2, 0], [0.1, 0.9, 0]]),
        ([0.2, 0.9], [[0.8, 0.2], [0.1, float("inf")]]),
    ],
)
def test_nonsense_differs_without_limit(answers):
    assert GOLDEN.difference(*answers) == float("inf")


def test_flips_count_decisions_except_ties():
    far, on_the_edge = Bands(0.5, 0.7), Bands(0.2 + 5e-5, 0.7)
    assert GOLDEN.flips([0, 2], far) == 0
    assert GOLDEN.flips([1, 1], far) == 2
    assert GOLDEN.flips([1, 1], on_the_edge) == 1
    assert GOLDEN.flips([0], far) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"frames": 0},
        {"frames": 3},
        {"seed": -1},
        {"seed": 0.5},
        {"size": (8,)},
        {"severity": (0.2, float("nan"))},
        {"kinds": ((0.8, 0.2),)},
        {"decision": (0, 3)},
        {"tolerance": 0},
    ],
)
def test_refuses_what_does_not_fit(wrong):
    with pytest.raises(BadModel, match=r"card\.golden"):
        replace(GOLDEN, **wrong)

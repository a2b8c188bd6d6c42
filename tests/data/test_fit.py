"""Grey frames are fitted by one channel: to the very pixels that three would give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.data.fit import Fit, is_grey

FITS = [Fit((24, 17)), Fit((24, 17), (0.1, 0.2, 0.8, 0.9))]


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    shape=st.tuples(st.integers(4, 90), st.integers(4, 90)),
    fit=st.sampled_from(FITS),
    colour=st.sampled_from(["none", "everywhere", "below the first row", "in the last pixel"]),
)
def test_grey_is_fitted_to_the_pixels_of_its_three_channels(seed, shape, fit, colour):
    draw = np.random.default_rng(seed)
    frame = np.repeat(draw.integers(0, 256, (*shape, 1), dtype=np.uint8), 3, axis=2)
    if colour == "everywhere":
        frame = draw.integers(0, 256, frame.shape, dtype=np.uint8)
    elif colour == "below the first row":
        frame[1:, :, 2] ^= 1
    elif colour == "in the last pixel":
        frame[-1, -1, 1] ^= 255
    assert is_grey(frame) == (frame == frame[:, :, :1]).all()
    fitted = fit(frame)
    (plain,) = fit._session.run(None, {"frames": frame[None]})
    assert fitted.shape == (24, 17, 3) and fitted.dtype == np.uint8
    assert (fitted == plain[0]).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_a_single_row_can_be_grey(shape):
    assert is_grey(np.full((*shape, 3), 7, np.uint8))

"""Defects found at so many false regions: against every high band there is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.runtime.froc import found_at

scores = st.lists(st.sampled_from([0.3, 0.4, 0.5, 0.6, 0.7, 1.0]), max_size=12)


@given(scores, scores, st.integers(1, 40), st.sampled_from([0.01, 0.1, 0.5]))
def test_the_best_of_all_bands(hottest, false, frames, per_frame):
    hottest = np.array([*hottest, -np.inf])
    false = np.array(false)
    found = found_at(hottest, false, frames, 0.95, per_frame)
    bands = [0.0, *np.nextafter([0.3, 0.4, 0.5, 0.6, 0.7, 1.0], 2), *(0.3, 0.4, 0.5, 0.6, 0.7, 1.0)]
    allowed = [band for band in bands if (false >= band).sum() <= per_frame * frames + 1e-9]
    assert found.found.hits == max((hottest >= band).sum() for band in allowed)
    assert found.found.of == len(hottest)
    if found.above is not None:
        assert (false > found.above).sum() <= per_frame * frames < (false >= found.above).sum() + 1e-9


def test_a_hundred_frames_allow_one():
    false = np.array([0.9, 0.6, 0.6])
    assert found_at(np.array([0.7, 0.5]), false, 100, 0.95).above == 0.6
    assert found_at(np.array([0.7, 0.5]), false, 99, 0.95).above == 0.9
    assert found_at(np.array([0.7, 0.5]), false, 300, 0.95).above is None
    assert found_at(np.array([0.7, 0.5]), false, 100, 0.95).found.rate == pytest.approx(0.5)

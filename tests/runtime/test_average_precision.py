"""Average precision of binned scores: against scikit-learn's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from visiontune.runtime.average_precision import average_precision

pixels = st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.floats(0.1, 5)), min_size=1, max_size=60)


@given(pixels)
def test_that_of_scikit_learn(rows):
    scores, marked, weights = (np.array(column) for column in zip(*rows, strict=True))
    binned = [np.bincount(scores, weights * which, minlength=21) for which in (marked, ~marked)]
    found = average_precision(*binned)
    if not marked.any():
        assert found is None
    else:
        expected = average_precision_score(marked, scores, sample_weight=weights)
        assert found == pytest.approx(expected, abs=1e-12) and 0 <= found <= 1


def test_the_same_everywhere_gives_the_share_that_is_marked():
    assert average_precision(np.array([0, 3.0]), np.array([0, 9.0])) == pytest.approx(0.25)

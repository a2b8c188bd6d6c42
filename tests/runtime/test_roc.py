import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from visiontune.runtime.roc import auroc

severities = st.lists(st.integers(0, 8).map(lambda tenth: tenth / 8), min_size=1, max_size=40)


@given(severities, severities)
def test_it_is_that_of_scikit_learn_scipy_and_of_counting_pairs(good, bad):
    severity, defective = np.array([*good, *bad]), np.arange(len(good) + len(bad)) >= len(good)
    found = auroc(severity, defective)
    pairs = [1.0 if b > g else 0.5 if b == g else 0.0 for b in bad for g in good]
    assert found == pytest.approx(np.mean(pairs))
    assert found == pytest.approx(roc_auc_score(defective, severity))
    assert found == pytest.approx(mannwhitneyu(bad, good).statistic / (len(bad) * len(good)))


def test_one_side_alone_says_nothing():
    assert auroc(np.array([0.1, 0.9]), np.array([True, True])) is None
    assert auroc(np.array([0.1, 0.9]), np.array([False, False])) is None

"""Exact tests: against SciPy, against published examples, and Holm against his definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, fisher_exact

from visiontune.runtime.exact_tests import fisher_more, holm, mcnemar, mcnemar_worse

count = st.integers(0, 300)


@given(count, count)
def test_mcnemar_is_the_exact_binomial_test(worse, better):
    n = worse + better
    wanted = binomtest(worse, n).pvalue if n else 1.0
    assert mcnemar(worse, better) == pytest.approx(wanted, rel=1e-9)
    one = binomtest(worse, n, alternative="greater").pvalue if n else 1.0
    assert mcnemar_worse(worse, better) == pytest.approx(one, rel=1e-9)


def test_mcnemar_of_five_changes_to_one_side():
    assert mcnemar(5, 0) == pytest.approx(2 / 32)
    assert mcnemar_worse(5, 0) == pytest.approx(1 / 32)
    assert mcnemar_worse(0, 5) == 1


@given(st.tuples(count, count).map(sorted), st.tuples(count, count).map(sorted))
def test_fisher_is_scipys(here, there):
    (k, n), (other_k, other_n) = here, there
    table = [[k, n - k], [other_k, other_n - other_k]]
    wanted = fisher_exact(table, alternative="greater").pvalue
    assert fisher_more(k, n, other_k, other_n) == pytest.approx(wanted, rel=1e-8)


def test_the_lady_tasting_tea():
    """Fisher (1935), The Design of Experiments: four cups of eight; all right 1/70, three or more 17/70."""
    assert fisher_more(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert fisher_more(3, 4, 1, 4) == pytest.approx(17 / 70)


def test_holm_on_a_textbook_example():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0.001, 0.999))
def test_holm_rejects_what_his_procedure_rejects(p, level):
    rejected = set()
    for step, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if (len(p) - step) * p[index] > level:
            break
        rejected.add(index)
    assert {i for i, value in enumerate(holm(p)) if value <= level} == rejected


@pytest.mark.parametrize("counts", [(2, 1, 0, 3), (-1, 2, 0, 3), (0, 2, 4, 3)])
def test_impossible_counts(counts):
    with pytest.raises(ValueError, match="expected 0 <= hits <= of"):
        fisher_more(*counts)
    with pytest.raises(ValueError, match=">= 0"):
        mcnemar(-1, 3)

"""Groups compared: counts against a slow recount, the order, the correction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import fisher_exact

from visiontune.runtime.exact_tests import holm
from visiontune.runtime.part_decisions import group_indices
from visiontune.runtime.slices import Harm, comparable, slices

row = st.tuples(
    st.sampled_from(["1", "2", "3", None]), st.sampled_from("abcdefgh"), st.booleans(), st.booleans()
)


@settings(max_examples=100, deadline=None)
@given(st.lists(row, min_size=1, max_size=40))
def test_parts_are_counted_once_a_value_and_tested_against_the_others(rows):
    columns = {"camera": [r[0] for r in rows]}
    among, befell = (np.array([r[i] for r in rows]) for i in (2, 3))
    found = slices(
        columns, {"camera": [Harm("escapes", among, befell)]}, group_indices([r[1] for r in rows]), 0.9
    )
    of = {v: {r[1] for r in rows if r[0] == v and r[2]} for v in "123"}
    hits = {v: {r[1] for r in rows if r[0] == v and r[2] and r[3]} for v in "123"}
    k, n = sum(map(len, hits.values())), sum(map(len, of.values()))
    assert {one.value: (one.rate.hits, one.rate.of) for one in found} == {
        v: (len(hits[v]), len(of[v])) for v in "123" if of[v]
    }
    raw = []
    for one in found:
        a, b = one.rate.hits, one.rate.of
        table = [[a, b - a], [k - a, n - b - (k - a)]]
        raw.append(fisher_exact(table, alternative="greater").pvalue)
    if len(found) > 1:
        assert [one.p for one in found] == pytest.approx(holm(raw), rel=1e-8)
    else:
        assert all(one.p is None for one in found)


def test_the_surely_worst_comes_first():
    values, bad = [], []
    for value, hits, of in (
        ("one of one", 1, 1),
        ("twenty of forty", 20, 40),
        ("none", 0, 40),
        ("none of two", 0, 2),
    ):
        values += [value] * of
        bad += [True] * hits + [False] * (of - hits)
    harm = Harm("overkill", np.ones(len(bad), bool), np.array(bad))
    found = slices({"lot": values}, {"lot": [harm]}, np.arange(len(bad)), 0.95)
    assert [one.value for one in found] == ["twenty of forty", "one of one", "none of two", "none"]
    assert found[0].p < 1e-4 < found[1].p


def test_the_correction_is_for_the_values_of_one_column():
    bad = np.array([True] * 6 + [False] * 18)
    harm = Harm("overkill", np.ones(24, bool), bad)
    two = ["a"] * 12 + ["b"] * 12
    three = ["a"] * 12 + ["b"] * 6 + ["c"] * 6
    columns = {"lot": two, "line": three}
    found = slices(columns, {name: [harm] for name in columns}, np.arange(24), 0.95)
    raw = fisher_exact([[6, 6], [0, 12]], alternative="greater").pvalue
    assert [one.p for one in found if one.value == "a"] == pytest.approx([2 * raw, 3 * raw])


def test_what_divides_too_finely_or_not_is_not_comparable():
    groups = np.arange(8)
    assert comparable(["a", "b"] * 4, groups)
    assert comparable(["a"] * 4 + ["b"] * 3 + [None], groups)
    assert not comparable(["a"] * 8, groups)
    assert not comparable(list("abcdefgh"), groups)
    assert not comparable(list("aabbccde"), groups)
    assert not comparable(["a", "b"] * 4, np.zeros(8, int))  # one part under two cameras

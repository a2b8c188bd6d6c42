"""AIAG's table, edge by edge."""

import pytest

from visiontune.study import grades


@pytest.mark.parametrize(
    ("grade", "rates"),
    [
        (grades.effectiveness, (0.90, 0.899, 0.80, 0.799)),
        (grades.misses, (0.02, 0.021, 0.05, 0.051)),
        (grades.false_alarms, (0.05, 0.051, 0.10, 0.101)),
    ],
)
def test_the_edges_belong_to_the_better_grade(grade, rates):
    assert [grade(rate) for rate in rates] == ["acceptable", "marginal", "marginal", "not acceptable"]


def test_sums_of_fractions_do_not_fall_off_an_edge():
    assert grades.misses(3 / 60) == grades.misses(0.1 - 0.05) == "marginal"
    assert grades.effectiveness(45 / 50) == "acceptable"


def test_nothing_to_grade():
    assert grades.misses(None) is None
    assert grades.worst([None, "acceptable", "marginal", None]) == "marginal"
    assert grades.worst([None]) is None

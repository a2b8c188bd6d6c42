"""Findings that do not fit together are refused when they are made."""

import numpy as np
import pytest

from visiontune.report.findings import Table
from visiontune.runtime.errors import BadData


def broken(shape):
    return np.full(shape, np.nan, np.float32)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"labels": np.zeros(149, np.int64)}, "150 labels"),
        ({"groups": ["a"]}, "150 labels, groups and paths"),
        ({"kinds": np.zeros((150, 3), np.float32)}, r"\(150, 4\)"),
        ({"severity": broken(150)}, "NaN"),
        ({"kinds": broken((150, 4))}, "NaN"),
        ({"labels": np.full(150, 4)}, "labels from 0 to 3"),
        ({"good": "crack"}, "good class 'crack' first"),
    ],
)
def test_refused_with_the_reason(made, changes, says):
    with pytest.raises(BadData, match=says):
        made(**changes)


def test_no_val_picture_is_refused(made):
    with pytest.raises(BadData, match="at least one val picture"):
        made(n=0)


def test_at_risk_is_the_defect_or_without_a_good_class_the_mistake(made):
    findings = made()
    assert (findings.at_risk == (findings.labels > 0)).all()
    sorter = made(inspects=False)
    assert (sorter.at_risk == (sorter.named != sorter.labels)).all()


def test_a_table_has_rows_of_one_length():
    with pytest.raises(BadData, match="2 cells"):
        Table(("a", "b"), (("1",),))

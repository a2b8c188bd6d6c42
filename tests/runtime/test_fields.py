"""Typed reading of JSON values: each kind takes its own and nothing that merely looks alike."""

import numpy as np
import pytest

from visiontune import BadModel
from visiontune.runtime import fields


@pytest.mark.parametrize(
    ("read", "good"),
    [
        (lambda v: fields.whole(v, "here", least=1), [1, 2, np.int64(3)]),
        (lambda v: fields.real(v, "here", above=0), [1, 0.5, np.float32(2), 1e-300]),
        (lambda v: fields.text(v, "here"), ["a", " "]),
        (lambda v: fields.items(v, "here", count=2), [[1, 2], (1, 2)]),
        (lambda v: fields.size(v, "here"), [[1, 2], (300, 4)]),
    ],
)
def test_takes_its_own_kind_only(read, good):
    for value in good:
        assert read(value) == (
            tuple(value) if isinstance(value, list) and read(value) == tuple(value) else value
        )
    for value in (None, True, "", 0, -1, float("nan"), float("inf"), [], [1], {}, b"a", object()):
        with pytest.raises(BadModel, match="here: expected"):
            read(value)


def test_plain_copies_into_json_types():
    before = {"a": (1, np.float64(2), [None, True, {"b": "c"}])}
    after = fields.plain_object(before, "here")
    assert after == {"a": [1, 2.0, [None, True, {"b": "c"}]]}
    before["a"][2].append(1)
    assert after["a"][2] == [None, True, {"b": "c"}]


@pytest.mark.parametrize("value", [{1: 2}, {"a": {1}}, {"a": float("inf")}, {"a": b"x"}, {"a": np.zeros(2)}])
def test_plain_refuses_what_json_has_not(value):
    with pytest.raises(BadModel, match="here"):
        fields.plain_object(value, "here")


def test_long_values_are_cut_in_messages():
    with pytest.raises(BadModel) as caught:
        fields.text(list(range(1000)), "here")
    assert len(str(caught.value)) < 200

"""Verdicts: frozen, comparable, JSON-able."""

import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from visiontune import Region, Verdict

VERDICT = Verdict(
    "reject",
    0.9,
    "crack",
    {"good": 0.1, "crack": 0.9},
    (Region("crack", 0.8, (1.0, 2.0, 3.0, 4.0), 4),),
    np.zeros((2, 2), np.float32),
)


def test_becomes_json_without_the_heatmap():
    found = json.loads(json.dumps(VERDICT.as_dict(), allow_nan=False))
    assert found == {
        "decision": "reject",
        "severity": 0.9,
        "kind": "crack",
        "kinds": {"good": 0.1, "crack": 0.9},
        "regions": [{"kind": "crack", "score": 0.8, "box": [1.0, 2.0, 3.0, 4.0], "area": 4, "length": None}],
    }


def test_a_region_tells_its_size_on_the_part_where_it_is_known():
    region = Region("crack", 0.8, (1.0, 2.0, 3.0, 4.0), 4, 2.5, 0.04, 0.25)
    found = region.as_dict()
    assert (found["length"], found["area_mm2"], found["length_mm"]) == (2.5, 0.04, 0.25)


def test_what_is_not_finite_becomes_null():
    nan = float("nan")
    found = json.loads(json.dumps(Verdict("review", nan, "", {"good": nan}).as_dict(), allow_nan=False))
    assert (found["severity"], found["kinds"]) == (None, {"good": None})


def test_a_reason_is_told_where_there_is_one():
    held = Verdict("review", 0.1, "good", {}, reason="not inspectable: blurred")
    assert held.as_dict()["reason"] == held.reason
    assert "reason" not in VERDICT.as_dict() and VERDICT.reason == ""


def test_cannot_be_changed_and_compares_without_the_heatmap():
    with pytest.raises(FrozenInstanceError):
        VERDICT.decision = "pass"  # type: ignore[misc]
    assert Verdict("pass", 0.1, "good", {}) == Verdict(
        "pass", 0.1, "good", {}, heatmap=np.ones((1, 1), np.float32)
    )

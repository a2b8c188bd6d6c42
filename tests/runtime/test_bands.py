"""Bands: decisions, ties, NaN, and agreement with the graph."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.line_models import a_card, level, table_model
from visiontune import BadModel, Bands, Inspector
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bands import NEVER

fractions = st.floats(0, 1, width=32)


@pytest.mark.parametrize(
    ("severity", "expected"),
    [
        (0.0, "pass"),
        (math.nextafter(np.float32(0.3), 0), "review"),  # the same float32 as the threshold
        (np.nextafter(np.float32(0.3), np.float32(0)), "pass"),
        (0.3, "review"),
        (np.nextafter(np.float32(0.7), np.float32(0)), "review"),
        (0.7, "reject"),
        (1.0, "reject"),
        (float("nan"), "review"),
    ],
)
def test_decides_on_and_beside_the_edges(severity, expected):
    assert Bands(0.3, 0.7).decide(severity) == expected


def test_a_threshold_above_one_is_never_reached():
    assert Bands(NEVER, NEVER).decide(1.0) == "pass"
    assert Bands(0.0, NEVER).decide(1.0) == "review"


def test_touching_thresholds_leave_no_room_for_review():
    assert [Bands(0.5, 0.5).decide(severity) for severity in (0.49, 0.5)] == ["pass", "reject"]


@given(st.tuples(fractions, fractions), st.lists(fractions, max_size=20))
def test_one_and_many_severities_agree(edges, severities):
    bands = Bands(min(edges), max(edges))
    many = [DECISIONS[index] for index in bands.decisions(severities)]
    assert many == [bands.decide(severity) for severity in severities]


@given(st.tuples(fractions, fractions), fractions, fractions)
def test_more_severe_is_never_judged_milder(edges, first, second):
    bands = Bands(min(edges), max(edges))
    low, high = sorted((first, second))
    assert DECISIONS.index(bands.decide(low)) <= DECISIONS.index(bands.decide(high))


def test_decisions_keep_the_shape():
    assert Bands(0.3, 0.7).decisions([[0.1, 0.5], [0.9, float("nan")]]).tolist() == [[0, 1], [2, 1]]


@pytest.mark.parametrize(
    "edges", [(0.1, 0.3), (0.3, 0.3), (1 / 3, 2 / 3), (0.0, 2.0), (2.0, 2.0), (0.0, 0.0)]
)
def test_decides_as_the_graph_does_on_edges_and_ties(edges):
    bands = Bands(*edges)
    near = [0.0, 1.0]
    for edge in edges:
        at = np.float32(min(edge, 1.0))
        near += [at, np.nextafter(at, np.float32(0)), np.nextafter(at, np.float32(1))]
        near += [np.float32(edge * 0.999999), np.float32(min(1.0, edge * 1.000001))]
    severities = np.resize(np.clip(np.array(near, np.float32), 0, 1), 256)
    severities[200:] = np.linspace(0, 1, 56)
    inspector = Inspector(table_model({"severity": severities}, a_card(bands=bands)))
    verdicts = [inspector(level(value)) for value in range(256)]
    assert [verdict.decision for verdict in verdicts] == [bands.decide(float(s)) for s in severities]


@pytest.mark.parametrize(
    ("review_from", "reject_from"),
    [
        (0.7, 0.3),
        (-0.1, 0.5),
        (float("nan"), 0.5),
        (0.5, float("inf")),
        ("0.5", 0.7),
        (True, True),
        (None, 1),
    ],
)
def test_refuses_thresholds_that_are_none(review_from, reject_from):
    with pytest.raises(BadModel, match="bands"):
        Bands(review_from, reject_from)


def test_evidence_becomes_plain_json():
    bands = Bands(0.1, 0.2, {"n": np.int64(3), "rates": (0.1, np.float32(0.5))})
    assert bands.evidence == {"n": 3, "rates": [0.1, 0.5]}
    with pytest.raises(BadModel, match="evidence"):
        Bands(0.1, 0.2, {"rate": float("nan")})

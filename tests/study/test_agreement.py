"""The analysis against a published example, against slow counting, and where there is little to say."""

import json

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

from tests.study.example import JASP, TRUTH, ruling
from visiontune.study.agreement import HELD, PASSED, Ruling, analyse
from visiontune.study.agreement_table import table
from visiontune.study.reimaged import flips


@pytest.fixture(scope="module")
def example():
    truth = [mark == "1" for mark in TRUTH.split()]
    return analyse(truth, {name: ruling(text) for name, text in JASP.items()})


def test_the_example_against_the_standard(example):
    found = {
        one.name: (one.effectiveness.hits, one.misses.rate, one.false_alarms.rate)
        for one in example.appraisers
    }
    assert found["EG"] == (12, pytest.approx(0.1667, abs=1e-4), pytest.approx(0.20))
    assert found["BL"] == (11, pytest.approx(0.2667, abs=1e-4), pytest.approx(0.20))
    assert found["MH"] == (9, pytest.approx(0.10), pytest.approx(0.6667, abs=1e-4))
    bounds = {one.name: (one.effectiveness.low, one.effectiveness.high) for one in example.appraisers}
    assert bounds["EG"] == pytest.approx((0.51911, 0.95669), abs=1e-5)
    assert bounds["BL"] == pytest.approx((0.44900, 0.92213), abs=1e-5)
    assert bounds["MH"] == pytest.approx((0.32287, 0.83664), abs=1e-5)


def test_the_example_by_aiags_table(example):
    found = {one.name: tuple(one.grades.values())[:3] for one in example.appraisers}
    assert found == {
        "EG": ("marginal", "not acceptable", "not acceptable"),
        "BL": ("not acceptable", "not acceptable", "not acceptable"),
        "MH": (
            "not acceptable",
            "not acceptable",
            "not acceptable",
        ),  # JASP calls 10 % of misses marginal; AIAG stops at 5 %
    }


def test_the_example_within_and_between(example):
    assert [one.within.hits for one in example.appraisers] == [14, 14, 12]
    assert (example.between.hits, example.all_right.hits) == (9, 7)
    assert (example.between.low, example.between.high) == pytest.approx((0.32287, 0.83664), abs=1e-5)
    assert [one.repeats.value for one in example.appraisers] == pytest.approx(
        [0.905462184873949, 0.91, 0.543918918918919]
    )
    assert example.everyone.value == pytest.approx(0.641666666666666)


def test_the_example_of_kappa(example):
    assert [one.against.value for one in example.appraisers] == pytest.approx(
        [0.612903225806452, 0.492307692307692, 0.264150943396226]
    )
    for one, other, value in example.pairs:
        calls = (ruling(JASP[name]).held.ravel() for name in (one, other))
        assert value.value == pytest.approx(cohen_kappa_score(*calls))
    assert len(example.pairs) == 3
    assert all(value.low <= value.value <= value.high for _, _, value in example.pairs)


def slow(truth, held):
    """Effective parts, missed and falsely alarmed trials, by counting one at a time."""
    effective = misses = alarms = 0
    for bad, calls in zip(truth, held.tolist(), strict=True):
        effective += all(call == (HELD if bad else PASSED) for call in calls)
        misses += sum(call == PASSED for call in calls) if bad else 0
        alarms += sum(call == HELD for call in calls) if not bad else 0
    return effective, misses, alarms


def test_by_slow_counting():
    stream = np.random.default_rng(0)
    for _ in range(20):
        truth = stream.random(18) < 0.5
        truth[:2] = True, False
        held = stream.integers(0, 2, (18, 3))
        (one,) = analyse(truth.tolist(), {"A": Ruling(held)}).appraisers
        assert (one.effectiveness.hits, one.misses.hits, one.false_alarms.hits) == slow(truth, held)
        assert (one.misses.of, one.false_alarms.of) == (3 * truth.sum(), 3 * (~truth).sum())


@pytest.fixture
def flawless():
    truth = [place % 2 == 0 for place in range(40)]
    held = np.array([[int(bad)] * 2 for bad in truth])
    return truth, held


def test_the_flawless_are_acceptable_and_still_bounded(flawless):
    truth, held = flawless
    found = analyse(truth, {"A": Ruling(held), "B": Ruling(held)}, model=Ruling(held[:, :1]), reviews=3)
    for one in (*found.appraisers, found.model):
        assert set(one.grades.values()) == {"acceptable"}
        assert one.misses.rate == 0 and one.misses.upper == pytest.approx(1 - 0.05 ** (1 / 20))
        assert one.against.value == 1 and 0.7 < one.against.low < 1
    assert found.model.within is None and found.model.repeats is None
    assert [pair[:2] for pair in found.pairs] == [("A", "B"), ("A", "model"), ("B", "model")]
    assert "its review counts as held (3 parts)" in table(found)


def test_one_wrong_trial_spoils_a_part(flawless):
    truth, held = flawless
    held = held.copy()
    held[0, 1] = PASSED
    (one,) = analyse(truth, {"A": Ruling(held)}).appraisers
    assert (one.effectiveness.hits, one.misses.hits, one.misses.of) == (39, 1, 40)
    assert one.grades["misses"] == "marginal"
    assert one.grades["overall"] == "marginal"


def test_a_single_appraiser_has_nobody_to_agree_with(flawless):
    truth, held = flawless
    found = analyse(truth, {"A": Ruling(held[:, :1])})
    assert found.between is None and found.everyone is None and found.pairs == ()


def test_kinds_count_where_a_defect_was_rightly_held_and_named(flawless):
    truth, held = flawless
    kinds = ["crack" if bad else "good" for bad in truth]
    named = np.array([["crack" if bad else ""] * 2 for bad in truth], dtype="<U9")
    named[0] = ["crack", "scratch"]  # wrong once: the part is not named rightly
    named[2] = ["", ""]  # nobody named it: not counted
    named[4] = ["crack", ""]  # named rightly whenever it was named
    (one,) = analyse(truth, {"A": Ruling(held, named)}, kinds=kinds).appraisers
    assert (one.kinds.hits, one.kinds.of) == (18, 19)


def test_people_who_hold_alike_may_name_otherwise(flawless):
    truth, held = flawless
    one = np.array([["crack" if bad else ""] * 2 for bad in truth], dtype="<U9")
    other = one.copy()
    other[:20][one[:20] != ""] = "scratch"
    found = analyse(truth, {"A": Ruling(held, one), "B": Ruling(held, other)}, kinds=["crack"] * 40)
    assert found.everyone.value == 1 > found.naming.value
    names = np.concatenate([one, other], axis=1)
    counts = np.array([[(row == name).sum() for name in ("", "crack", "scratch")] for row in names])
    assert found.naming.value == pytest.approx(fleiss_kappa(counts))
    assert analyse(truth, {"A": Ruling(held, one), "B": Ruling(held)}).naming is None
    assert "with the kinds that were named" in table(found)


def test_as_json_and_as_text(example):
    said = json.loads(json.dumps(example.as_dict()))
    assert said["appraisers"][0]["effectiveness"]["hits"] == 12
    lines = table(example).splitlines()
    (row,) = [line for line in lines if line.startswith("EG") and "not acceptable" in line]
    assert "80.0% [51.9, 95.7]" in row
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize(
    ("truth", "people", "complaint"),
    [
        ([True, False], {}, "expected rulings"),
        ([True, False], {"A": Ruling(np.zeros((3, 1), np.int64))}, "expected rulings"),
        ([True, True], {"A": Ruling(np.zeros((2, 1), np.int64))}, "only one of them"),
    ],
)
def test_what_cannot_be_analysed(truth, people, complaint):
    with pytest.raises(ValueError, match=complaint):
        analyse(truth, people)


def test_flips_by_counting():
    shown = {
        "a": ["pass", "pass", "pass"],
        "b": ["pass", "review"],
        "c": ["review", "reject"],
        "d": ["pass", "reject", "reject"],
        "e": ["reject"],  # seen once: says nothing
    }
    found = flips((part, decision) for part, decisions in shown.items() for decision in decisions)
    assert (found.parts, found.pictures) == (4, 10)
    assert (found.changed.hits, found.changed.of) == (3, 4)
    assert (found.crossed.hits, found.crossed.of) == (2, 4)
    assert found.pairs == pytest.approx((0 + 1 + 0 + 2 / 3) / 4)


def test_no_flips_without_a_second_picture():
    assert flips([("a", "pass"), ("b", "reject")]) is None

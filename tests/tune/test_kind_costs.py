"""Bands of a sorter by costs: against a slow search, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.runtime.errors import CalibrationRefused
from visiontune.tune import Costs
from visiontune.tune.calibrate import Judged, Target
from visiontune.tune.kind_costs import KindCosts, kind_cost_bands, kind_cost_sentence
from visiontune.tune.sorting import WRONG
from visiontune.tune.verdicts import asked_bands, in_sentences

CLASSES = ("stop", "yield", "speed 30")
COSTS = KindCosts(wrong=10, review=1, pairs={("stop", "speed 30"): 200})


def share(seed, n=120, exposures=2):
    """Judged crops; severity is the probability of being wrong."""
    rng = np.random.default_rng(seed)
    severity = rng.beta(1, 4, n).astype(np.float32) * np.float32(0.66)
    named = rng.integers(0, 3, n)
    kinds = np.tile(severity[:, None] / 2, (1, 3))
    kinds[np.arange(n), named] = 1 - severity
    other = (named + rng.integers(1, 3, n)) % 3
    labels = np.where(rng.uniform(size=n) < severity, other, named)
    groups = [str(i // exposures) for i in range(n)]
    return Judged(severity=severity, kinds=kinds, labels=labels, groups=groups, classes=CLASSES)


def slow_cost(judged, costs, threshold):
    """What each part costs, picture by picture."""
    parts = {}
    for severity, kinds, label, group in zip(
        judged.severity, judged.kinds, judged.labels, judged.groups, strict=True
    ):
        true, named = CLASSES[label], CLASSES[int(np.argmax(kinds))]
        passed = 0 if true == named else costs.pairs.get((true, named), costs.wrong)
        paid = passed if severity < np.float32(threshold) else costs.review
        parts[group] = max(parts.get(group, 0), paid)
    return 1e6 * sum(parts.values()) / len(parts)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_no_threshold_costs_less(seed):
    judged = share(seed)
    bands = kind_cost_bands(judged, COSTS, bootstrap=0)
    found = slow_cost(judged, COSTS, bands.review_from)
    assert bands.evidence["cost_per_million"] == pytest.approx(found)
    everywhere = [slow_cost(judged, COSTS, edge) for edge in (0.0, *np.linspace(0.01, 1, 60), 2.0)]
    assert found <= min(everywhere) + 1e6 * 200 / 60  # between two steps of the grid at most one part moves
    assert bands.decide(0.999) != "reject"


def test_dear_mistakes_send_more_to_review():
    judged = share(1, n=2000, exposures=1)
    cheap, dear = (
        kind_cost_bands(judged, KindCosts(wrong=wrong, review=1), bootstrap=0) for wrong in (3, 100)
    )
    assert dear.review_from < cheap.review_from
    # Chow: review pays where severity times the cost of a mistake passes that of a review
    assert cheap.review_from == pytest.approx(1 / 3, abs=0.08)


def test_the_evidence_says_cost_interval_and_bound():
    bands = kind_cost_bands(share(2), COSTS, confidence=0.9)
    low, high = bands.evidence["cost_interval"]
    assert low <= bands.evidence["cost_per_million"] <= high
    assert (
        bands.evidence[WRONG]["certified"] > bands.evidence[WRONG]["misses"] / bands.evidence[WRONG]["parts"]
    )
    assert "stop named speed 30 200" in kind_cost_sentence(bands.evidence)
    assert "per million parts" in in_sentences(bands)[0] and "certify" in in_sentences(bands)[1]


def test_free_review_passes_nothing():
    assert kind_cost_bands(share(3), KindCosts(wrong=1, review=0), bootstrap=0).decide(1e-6) == "review"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"wrong": 0, "review": 1}, "wrong"),
        ({"wrong": 1, "review": -1}, "review"),
        ({"wrong": 1, "review": 1, "pairs": {("stop", "yield"): float("nan")}}, "stop named yield"),
    ],
)
def test_costs_that_are_none_are_refused(given, why):
    with pytest.raises(CalibrationRefused, match=why):
        KindCosts(**given)


def test_unknown_kinds_are_refused_by_name():
    with pytest.raises(CalibrationRefused, match="found stp"):
        kind_cost_bands(share(0), KindCosts(wrong=1, review=1, pairs={("stp", "yield"): 3}))


TARGET = Target(escapes=0.1, overkill=0.1, confidence=0.9)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"good": True, "costs": COSTS}, "KindCosts are for a sorter"),
        ({"good": False, "costs": Costs(escape=1, overkill=1, review=1)}, "no good class"),
        ({"good": True, "costs": Costs(escape=1, overkill=1, review=1)}, "say prevalence"),
        ({"good": True, "prevalence": 0.1}, "say costs"),
    ],
)
def test_costs_and_data_that_do_not_fit_together_are_refused(asked, why):
    with pytest.raises(CalibrationRefused, match=why):
        asked_bands(share(0), TARGET, **asked)

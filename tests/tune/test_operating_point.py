"""Bands by cost: against a slow search, Chow's rule, and on parts drawn from known crowds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.line_models import a_card
from visiontune.report.promise import promise
from visiontune.runtime.bands import NEVER
from visiontune.runtime.card import ModelCard
from visiontune.runtime.costs import Costs, mean_costs
from visiontune.runtime.describe import describe
from visiontune.runtime.errors import CalibrationRefused
from visiontune.tune.calibrate import Judged
from visiontune.tune.cheapest import Paid
from visiontune.tune.operating_point import chow_probabilities, cost_bands, cost_sentence
from visiontune.tune.promise import any_threshold, sentence

COSTS = Costs(escape=100, overkill=5, review=1)


def judged(good, bad, groups=None):
    severity = np.array([*good, *bad], np.float32)
    labels = np.array([0] * len(good) + [1] * len(bad))
    return Judged(
        severity=severity,
        kinds=np.stack([1 - severity, severity], axis=1),
        labels=labels,
        groups=groups or [str(i) for i in range(len(labels))],
    )


def slow_cost(good, bad, review_from, reject_from, costs, prevalence):
    """What each part costs, one after the other."""
    paid = [
        costs.escape if s < review_from else costs.review if s < reject_from else 0.0 for s in np.float32(bad)
    ]
    lost = [
        0.0 if s < review_from else costs.review if s < reject_from else costs.overkill
        for s in np.float32(good)
    ]
    return 1e6 * (prevalence * sum(paid) / len(paid) + (1 - prevalence) * sum(lost) / len(lost))


severities = st.lists(st.integers(0, 20).map(lambda i: i / 20), min_size=1, max_size=12)
price = st.sampled_from([0.5, 1.0, 5.0, 100.0])


@settings(max_examples=150, deadline=None)
@given(
    severities,
    severities,
    price,
    price,
    st.sampled_from([0.0, 0.3, 1.0, 7.0]),
    st.sampled_from([0.01, 0.3, 0.9]),
)
def test_the_cost_is_told_truly_and_lies_near_the_least_there_is(
    good, bad, escape, overkill, review, prevalence
):
    costs = Costs(escape=escape, overkill=overkill, review=review)
    bands = cost_bands(judged(good, bad), costs, prevalence=prevalence, bootstrap=0)
    told = bands.evidence["cost_per_million"]
    own = slow_cost(good, bad, bands.review_from, bands.reject_from, costs, prevalence)
    assert told == pytest.approx(own)
    edges = [i / 20 + 0.025 for i in range(-1, 21)]
    pairs = itertools.combinations_with_replacement(edges, 2)
    least = min(slow_cost(good, bad, *pair, costs, prevalence) for pair in pairs)
    assert told >= least - 1e-6 * least - 1e-6
    # either threshold moves by a standard error at most: no more than what all parts' squares come to
    most = max(escape, overkill, review)
    doubt = most * math.sqrt(prevalence**2 / len(bad) + (1 - prevalence) ** 2 / len(good))
    assert told <= least + 1e6 * 2 * doubt + 1e-6


@given(severities, severities)
def test_no_severity_lies_within_rounding_of_a_threshold(good, bad):
    bands = cost_bands(judged(good, bad), COSTS, prevalence=0.02, bootstrap=0)
    for value in np.float32([*good, *bad]):
        for edge in (bands.review_from, bands.reject_from):
            assert abs(float(value) - edge) > 1e-6 * float(value) or value == 0


def test_chows_rule_by_trying_every_decision():
    rng = np.random.default_rng(0)
    for _ in range(200):
        costs = Costs(escape=rng.uniform(1, 100), overkill=rng.uniform(0.5, 20), review=rng.uniform(0, 5))
        prevalence, held, p = rng.uniform(0.01, 0.99, 3)
        on_line = p * prevalence / held / (p * prevalence / held + (1 - p) * (1 - prevalence) / (1 - held))
        paid = [on_line * costs.escape, costs.review, (1 - on_line) * costs.overkill]
        review, reject = chow_probabilities(costs, prevalence, held)
        assert paid[int(p >= review) + int(p >= reject)] == pytest.approx(min(paid))


def test_thresholds_of_separate_crowds_follow_the_costs():
    good, bad = np.linspace(0, 0.2, 200), np.linspace(0.8, 1, 100)
    dear = cost_bands(judged(good, bad), COSTS, prevalence=0.3)
    assert dear.evidence["cost_per_million"] == 0 <= dear.evidence["optimism"]
    assert 0.2 < dear.review_from <= dear.reject_from < 0.8
    cheap = cost_bands(judged(good, bad), Costs(escape=1.5, overkill=100, review=1), prevalence=0.3)
    assert cheap.review_from > dear.review_from and cheap.reject_from >= dear.reject_from


def test_free_review_of_all_and_review_that_never_pays():
    rng = np.random.default_rng(0)
    mixed = judged(rng.random(400) * 0.9 + 0.01, rng.random(400) * 0.9 + 0.05)
    free = cost_bands(mixed, Costs(escape=100, overkill=100, review=0), prevalence=0.5)
    assert free.evidence["cost_per_million"] == 0
    dear = cost_bands(mixed, Costs(escape=10, overkill=10, review=1000), prevalence=0.5)
    assert (dear.decisions(mixed.severity) != 1).all()


def test_a_rare_defect_raises_the_thresholds():
    rng = np.random.default_rng(1)
    mixed = judged(rng.beta(2, 5, 800), rng.beta(5, 2, 800))
    rare, common = (cost_bands(mixed, COSTS, prevalence=p, bootstrap=0) for p in (0.001, 0.5))
    assert rare.review_from > common.review_from and rare.reject_from > common.reject_from


def test_a_part_counts_by_the_picture_that_does_most_harm():
    bad = [0.9, 0.1] * 30  # every defective part has one picture that looks good
    groups = [f"good {i}" for i in range(30)] + [f"bad {i // 2}" for i in range(60)]
    bands = cost_bands(judged([0.05] * 30, bad, groups), COSTS, prevalence=0.3)
    assert bands.decide(0.1) != "pass"
    assert bands.evidence["escapes"]["parts"] == 30


def test_what_is_certified_holds_for_chosen_thresholds_and_optimism_is_real():
    """On parts from two normal crowds whose true rates are known."""
    rng = np.random.default_rng(0)
    prevalence, held, optimistic, corrected, true = 0.02, 0, [], [], []
    for _ in range(40):
        logits = rng.normal(2, 1.6, 80), rng.normal(-2, 1.6, 200)
        bad, good = (1 / (1 + np.exp(-one)) for one in logits)
        bands = cost_bands(judged(good, bad), COSTS, prevalence=prevalence, confidence=0.8, bootstrap=0)
        edges = [math.log(e / (1 - e)) if e < 1 else math.inf for e in (bands.review_from, bands.reject_from)]
        below = [[normal(edge, mean) for edge in edges] for mean in (2, -2)]
        held += below[0][0] <= bands.evidence["escapes"]["certified"]
        outcome = [side for low, high in below for side in (low, high - low, 1 - high)]
        true.append(mean_costs(np.array([outcome]), COSTS, prevalence)[0])
        optimistic.append(bands.evidence["cost_per_million"])
        corrected.append(optimistic[-1] + bands.evidence["optimism"])
    assert held >= 0.8 * 40
    assert np.mean(optimistic) < np.mean(corrected) < 1.05 * np.mean(true)
    assert abs(np.mean(corrected) - np.mean(true)) < abs(np.mean(optimistic) - np.mean(true))


@pytest.mark.parametrize("shift", [0.0, -3.0])
def test_what_few_parts_cannot_tell_apart_is_better_left_to_chow(monkeypatch, shift):
    """Against the thresholds that cost the parts least, on parts from two normal crowds; whatever shares severity speaks of."""

    def true_costs():
        rng, found = np.random.default_rng(0), []
        for _ in range(60):
            bad, good = (
                1 / (1 + np.exp(-shift - rng.normal(mean, 1.6, n))) for mean, n in ((2, 50), (-2, 200))
            )
            bands = cost_bands(judged(good, bad), COSTS, prevalence=0.02, bootstrap=0)
            edges = [e if e < 1 else 1 - 1e-12 for e in (bands.review_from, bands.reject_from)]
            edges = [math.log(e / (1 - e)) - shift for e in edges]
            below = [[normal(edge, mean) for edge in edges] for mean in (2, -2)]
            outcome = [side for low, high in below for side in (low, high - low, 1 - high)]
            found.append(mean_costs(np.array([outcome]), COSTS, 0.02)[0])
        return np.mean(found)

    monkeypatch.setattr("visiontune.tune.operating_point.OPTIMISM_DRAWS", 0)
    ours = true_costs()
    monkeypatch.setattr(Paid, "like", lambda self, best: np.arange(len(self.cost)) == best)
    assert ours < 0.99 * true_costs()


def normal(x, mean, sd=1.6):
    return (1 + math.erf((x - mean) / (sd * math.sqrt(2)))) / 2


def test_the_bound_for_any_threshold_is_wider_than_that_for_one_and_holds_for_the_worst_choice():
    rng = np.random.default_rng(0)
    n, confidence, held = 60, 0.8, 0
    bounds = [any_threshold(n, k, confidence) for k in range(n)]
    assert bounds[0] == pytest.approx(1 - 0.1 ** (1 / 60))
    assert bounds == sorted(bounds)
    for _ in range(400):
        true = np.sort(
            rng.random(n)
        )  # of uniform severities, the true rate below a threshold is the threshold
        held += bool((true <= bounds).all())  # whichever threshold a foe chooses
    assert held / 400 >= confidence


def test_the_evidence_is_said_in_words():
    rng = np.random.default_rng(1)
    bands = cost_bands(judged(rng.beta(2, 5, 300), rng.beta(5, 2, 100)), COSTS, prevalence=0.02)
    evidence = dict(bands.evidence)
    low, high = evidence["cost_interval"]
    assert low < evidence["cost_per_million"] < high
    assert "at 2 % defective parts, where val holds 25 % (escape 100, overkill 5, review 1)" in cost_sentence(
        evidence
    )
    assert all("certify at most" in line for line in sentence(evidence))
    assert evidence["method"].startswith("expected cost")
    for side in ("escapes", "overkill"):
        assert evidence[side]["certified"] <= evidence[side]["asked"] < 1.1 * evidence[side]["certified"]


def test_the_evidence_goes_into_the_card_and_onto_the_page():
    bands = cost_bands(judged(np.linspace(0, 0.5, 90), np.linspace(0.4, 1, 60)), COSTS, prevalence=0.02)
    card = a_card(bands=bands)
    assert ModelCard.from_json(card.to_json()).bands == bands
    assert "expected cost" in describe(card)
    said = promise("escapes", bands.evidence["escapes"], 0.95)
    assert said.kept and said.certified <= said.asked


def test_lacking_parts_and_rates_that_are_none():
    with pytest.raises(CalibrationRefused, match="no defective part"):
        cost_bands(judged([0.1], []), COSTS, prevalence=0.1)
    with pytest.raises(CalibrationRefused, match="no good part"):
        cost_bands(judged([], [0.1]), COSTS, prevalence=0.1)
    with pytest.raises(CalibrationRefused, match="prevalence"):
        cost_bands(judged([0.1], [0.9]), COSTS, prevalence=1)


def test_saturated_severities_are_no_trouble():
    bands = cost_bands(judged([0.0] * 20 + [1.0], [1.0] * 20 + [0.0]), COSTS, prevalence=0.02)
    assert 0 <= bands.review_from <= bands.reject_from <= NEVER

"""Drift: silent while good parts are as in validation, whatever the share of defects; it speaks when they are not."""

import json

import numpy as np
import pytest
from scipy import stats

from tests.line_models import a_reference
from visiontune.runtime.bands import Bands
from visiontune.runtime.drift import Drift, log_odds
from visiontune.runtime.look import Look
from visiontune.runtime.reference import Strangeness

BANDS = Bands(0.1, 0.6)
PLAIN = a_reference()


def good_scores(rng, count):
    return 1 / (1 + np.exp(4 - rng.standard_normal(count) * 1.5))


def looks(rng, count, away=0.0):
    """As the reference's centre and covariance (the identity) have them."""
    values = rng.standard_normal((count, 6)) + PLAIN.centre + away
    return [Look(b, low, high, high - low, 0, s, red, blue) for b, low, high, s, red, blue in values.tolist()]


def a_drift(rng, parts=150, alpha=0.1, seed=0):
    strangeness = Strangeness(PLAIN.centre, PLAIN.covariance)
    severities = good_scores(rng, parts).tolist()
    reference = a_reference(
        good=tuple(sorted(severities)),
        looks=tuple(
            (severity, strangeness(look))
            for severity, look in zip(severities, looks(rng, parts), strict=True)
        ),
    )
    return Drift(reference, BANDS, alpha=alpha, seed=seed)


def fed(drift, severities, seen):
    """What the frames that pass raise."""
    return [
        alarm
        for severity, look in zip(severities.tolist(), seen, strict=True)
        if BANDS.decide(severity) == "pass"
        for alarm in drift.observe(severity, look)
    ]


def test_no_more_false_alarms_than_promised_when_the_share_of_defects_changes():
    lives, alpha, alarms = 120, 0.1, 0
    for seed in range(lives):
        rng = np.random.default_rng(seed)
        drift = a_drift(rng, alpha=alpha, seed=seed)
        severities = good_scores(rng, 500)
        defective = rng.random(500) < np.where(np.arange(500) < 250, 0.01, 0.3)  # a bad lot comes
        escapes = rng.random(500) < 0.002
        severities[defective & ~escapes] = 0.9
        severities[defective & escapes] = 0.09
        alarms += bool(fed(drift, severities, looks(rng, 500)))
    assert alarms <= stats.binom.ppf(0.999, lives, alpha)


def test_scores_that_rise_are_told():
    rng = np.random.default_rng(0)
    drift = a_drift(rng, alpha=0.01)
    assert not fed(drift, good_scores(rng, 400), looks(rng, 400))
    worse = 1 / (1 + np.exp(2.8 - rng.standard_normal(300) * 1.5))
    ((name, text),) = fed(drift, worse, looks(rng, 300))
    assert name == "scores"
    assert text.startswith("scores of the frames that pass are higher than in validation (odds ")
    assert text.endswith(": 1, alarm from 200 : 1)")


def test_pictures_that_change_without_the_scores_are_told():
    rng = np.random.default_rng(1)
    drift = a_drift(rng, alpha=0.01)
    assert not fed(drift, good_scores(rng, 400), looks(rng, 400))
    ((name, text),) = fed(drift, good_scores(rng, 100), looks(rng, 100, away=2.0))
    assert (name, "stranger than in validation" in text) == ("looks", True)


def test_parts_that_the_bands_would_not_pass_are_no_reference():
    reference = a_reference(good=(0.01, 0.05, 0.3, 0.7), looks=((0.5, 1.0),))
    drift = Drift(reference, BANDS, alpha=0.1, seed=0)
    assert list(drift.status()) == ["scores"]
    assert sum(drift.state()["scores"]["counts"]) == 2
    none = Drift(a_reference(good=(0.3,), looks=()), BANDS, alpha=0.1, seed=0)
    assert list(none.observe(0.01, looks(np.random.default_rng(0), 1)[0])) == [] and none.status() == {}


def test_restored_it_goes_on_as_if_nothing_had_been_between():
    whole, first, second = (a_drift(np.random.default_rng(5)) for _ in range(3))
    rng = np.random.default_rng(6)
    severities, seen = good_scores(rng, 200), looks(rng, 200)
    fed(whole, severities, seen)
    fed(first, severities[:77], seen[:77])
    second.restore(json.loads(json.dumps(first.state())))
    fed(second, severities[77:], seen[77:])
    assert second.state() == whole.state() and second.status() == whole.status()


@pytest.mark.parametrize("severity", [0.0, 1e-9, 0.5, 1.0])
def test_log_odds(severity):
    with np.errstate(divide="ignore"):
        assert log_odds(severity) == pytest.approx(float(np.log(severity) - np.log(1 - severity)))

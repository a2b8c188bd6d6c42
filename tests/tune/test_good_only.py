"""Bands and severities from good parts alone: the promise of overkill held against simulated lines."""

import numpy as np
import pytest

from visiontune.runtime.errors import CalibrationRefused
from visiontune.tune.calibrate import Judged, Target, inspection_bands
from visiontune.tune.promise import HELD, UNKNOWN, sentence
from visiontune.tune.rebands import rebands
from visiontune.tune.temper import curve


def judged(severity, one_class=True):
    severity = np.asarray(severity, np.float32)
    return Judged(
        severity=severity,
        kinds=np.stack([1 - severity, severity], axis=1),
        labels=np.zeros(len(severity), np.int64),
        groups=[str(part) for part in range(len(severity))],
        classes=("good", "defective"),
        one_class=one_class,
    )


def test_overkill_is_kept_as_often_as_promised():
    """600 calibrations on 60 parts: the true rate of the threshold passes the certified one in at most 1 of 5, about."""
    rng = np.random.default_rng(0)
    target = Target(escapes=0.1, overkill=0.1, confidence=0.8)
    broken = {"overkill": 0, HELD: 0}
    for _ in range(600):
        bands = inspection_bands(judged(rng.uniform(size=60)), target)
        true = {"overkill": max(0, 1 - bands.reject_from), HELD: max(0, 1 - bands.review_from)}
        for name, rate in true.items():
            broken[name] += rate > bands.evidence[name]["certified"]
    for count in broken.values():
        assert count / 600 < 0.2 + 4 * np.sqrt(0.2 * 0.8 / 600)
    assert broken["overkill"] > 0  # a threshold at the very top would keep any promise


def test_escapes_are_said_to_be_unknown_and_missing_parts_are_counted():
    bands = inspection_bands(
        judged(np.linspace(0, 0.5, 20)), Target(escapes=0.01, overkill=0.05, confidence=0.95)
    )
    assert bands.evidence["escapes"] == UNKNOWN
    assert bands.evidence["overkill"]["missing_parts"] == 59 - 20
    lines = sentence(bands.evidence)
    assert lines[0].startswith("escapes: unknown") and any(line.startswith("overkill: ") for line in lines)
    assert bands.review_from <= bands.reject_from and bands.reject_from > 0.5


def test_a_part_is_the_unit():
    found = judged([0.1, 0.9, 0.2, 0.3])
    found = Judged(**{**vars(found), "groups": ["a", "a", "b", "b"]})
    assert (
        inspection_bands(found, Target(escapes=0.1, overkill=0.1, confidence=0.8)).evidence["overkill"][
            "parts"
        ]
        == 2
    )


def test_other_heads_need_defects():
    with pytest.raises(CalibrationRefused, match="no defective part"):
        inspection_bands(
            judged([0.1, 0.2], one_class=False), Target(escapes=0.1, overkill=0.1, confidence=0.8)
        )


def test_bands_of_a_narrower_file_keep_their_evidence():
    found = judged(np.linspace(0.01, 0.5, 80))
    old = inspection_bands(found, Target(escapes=0.1, overkill=0.1, confidence=0.8))
    new = rebands(found, old, decided=old.decisions(found.severity), good=True)
    assert new.evidence["escapes"] == UNKNOWN
    assert new.evidence["overkill"]["misses"] == old.evidence["overkill"]["misses"]


def test_a_curve_without_defects_is_half_at_three_spreads_and_not_moved_by_one_bad_label():
    scores = np.random.default_rng(1).normal(0.3, 0.1, 4001)
    slope, shift = curve(scores, np.zeros(4001, bool))
    assert -shift / slope == pytest.approx(0.6, abs=0.02)
    assert curve(np.append(scores, 9.0), np.zeros(4002, bool))[0] == pytest.approx(slope, rel=0.01)


def test_a_curve_rises_even_where_defects_score_lower():
    rng = np.random.default_rng(2)
    bad = np.arange(200) < 50
    slope, _ = curve(np.where(bad, rng.normal(0, 1, 200), rng.normal(3, 1, 200)), bad)
    assert slope > 0
    slope, shift = curve(np.where(bad, rng.normal(2, 0.5, 200), rng.normal(0, 0.5, 200)), bad)
    assert 0 < -shift / slope < 2

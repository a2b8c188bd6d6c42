"""The reference that the export writes: what the line itself sees of val, one picture a part."""

from collections import Counter

import numpy as np
import pytest

from visiontune import Inspector
from visiontune.runtime.frame import decode
from visiontune.runtime.look import Look, look
from visiontune.runtime.reference import MOST, Strangeness
from visiontune.tune.calibrate import Judged
from visiontune.tune.reference import FEWEST, reference


def judged(labels, groups):
    count = len(labels)
    return Judged(
        severity=np.zeros(count, np.float32),
        kinds=np.zeros((count, 2), np.float32),
        labels=np.asarray(labels, np.int64),
        groups=groups,
    )


def some_looks(rng, count):
    return [Look(*row) for row in rng.normal(50, 9, (count, len(Look._fields))).tolist()]


def made(parts, exposures, *, sorts=False, seed=0):
    """A reference of so many parts, every third defective; severity = number of the picture."""
    rng = np.random.default_rng(seed)
    count = parts * exposures
    groups = [f"part {index // exposures}" for index in range(count)]
    labels = [int(index // exposures % 3 == 2) for index in range(count)]
    severities = [index / count for index in range(count)]
    looks = some_looks(rng, count)
    return reference(severities, looks, judged(labels, groups), sorts=sorts), looks


def test_one_picture_of_each_part():
    found, _ = made(30, 4)
    parts = Counter(round(severity * 120) // 4 for severity in (*found.good, *found.defective))
    assert parts == Counter(range(30))
    assert [round(severity * 120) // 4 % 3 for severity in found.defective] == [2] * 10
    assert (found.parts, found.frames, len(found.good)) == (20, 120, 20)
    exposures = {round(severity * 120) % 4 for severity in found.good}
    assert len(exposures) > 1  # drawn, not always the first


def test_a_sorter_counts_every_part_as_good():
    found, _ = made(30, 2, sorts=True)
    assert (found.parts, len(found.good), found.defective) == (30, 30, ())


def test_of_many_parts_a_random_choice_is_kept_not_the_quantiles():
    found, _ = made(1800, 1)
    assert found.parts == 1200 and len(found.good) == MOST and len(found.defective) == MOST
    assert len(found.looks) == MOST
    kept = np.round(np.array(found.good) * 1800).astype(int)
    good = [index for index in range(1800) if index % 3 != 2]
    gaps = np.diff(np.searchsorted(good, kept))
    assert gaps.max() > 5 and gaps.min() == 1  # of evenly spaced ones all gaps would be 2 or 3
    assert made(1800, 1)[0] == found


def test_distances_are_of_parts_that_the_centre_does_not_know():
    found, looks = made(30, 1)
    rows = {round(severity * 30) for severity, _ in found.looks}
    others = [index for index in range(30) if index % 3 != 2 and index not in rows]
    assert len(rows) == len(others) == 10
    features = np.array([looks[index].features() for index in others])
    assert found.centre == pytest.approx(features.mean(axis=0))
    spread = np.cov(features.T)
    assert np.diag(found.covariance) == pytest.approx(np.diag(spread))
    assert found.covariance[0][1] == pytest.approx(spread[0, 1] * 10 / 16)
    strangeness = Strangeness(found.centre, found.covariance)
    for severity, distance in found.looks:
        assert distance == pytest.approx(strangeness(looks[round(severity * 30)]))


def test_ranges_are_of_all_pictures():
    found, looks = made(30, 3)
    columns = np.array(looks)
    for place, name in enumerate(Look._fields):
        assert found.ranges[name] == pytest.approx(np.quantile(columns[:, place], (0.01, 0.99)))


def test_few_parts_have_no_looks_and_none_no_reference():
    assert made(FEWEST, 1)[0].looks == ()
    rng = np.random.default_rng(0)
    assert reference([0.5], some_looks(rng, 1), judged([1], ["a"]), sorts=False) is None
    one = reference([0.5], some_looks(rng, 1), judged([0], ["a"]), sorts=False)
    assert (one.good, one.looks) == ((0.5,), ())


def test_the_exported_card_holds_what_the_line_sees(cooked):
    inspector, val = Inspector(cooked.model), cooked.data.share("val")
    found = inspector.card.reference
    seen = {float(f"{inspector(sample.path).severity:.7g}") for sample in val}
    assert set(found.good) | set(found.defective) <= seen
    fine = {sample.group for sample in val if sample.label == cooked.data.good}
    bad = {sample.group for sample in val if sample.label != cooked.data.good}
    assert (found.parts, found.frames) == (len(fine), len(val))
    assert (len(found.good), len(found.defective)) == (len(fine), len(bad))
    columns = np.array([look(decode(sample.path), size=(64, 64), roi=None) for sample in val])
    assert found.ranges["brightness"] == pytest.approx(np.quantile(columns[:, 0], (0.01, 0.99)))


def test_no_picture_of_val_is_held_by_the_gate(cooked):
    monitor = Inspector(cooked.model).monitor()
    assert [monitor(sample.path).reason for sample in cooked.data.share("val")] == [""] * len(
        cooked.data.share("val")
    )

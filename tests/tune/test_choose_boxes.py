"""The band of boxes: against every band there is, and the odd val shares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.data.box_targets import IGNORE, NOWHERE, Boxes, BoxTargets
from visiontune.runtime.verdict import Proposals
from visiontune.tune.choose_boxes import between, chosen_boxes
from visiontune.tune.choose_regions import NEVER

PLACES = np.array([[0, 0, 8, 8], [10, 0, 18, 8], [0, 10, 8, 18], [10, 10, 18, 18]], np.float32)


def proposed(rows):
    """Of (score, place, kind), in any order."""
    rows = sorted(rows, key=lambda row: -row[0])
    return Proposals(
        PLACES[[place for _, place, _ in rows]].reshape(-1, 4),
        np.array([score for score, *_ in rows], np.float32),
        np.array([kind for *_, kind in rows], np.int64),
    )


def target(objects, known=True):
    """Of {place: kind}."""
    return Boxes(PLACES[list(objects)].reshape(-1, 4), np.array(list(objects.values()), np.int64), known)


def counts(pictures, good, high):
    """(right boxes, boxes that count, false boxes in good pictures) at a band, counted plainly."""
    right = shown = false = 0
    for (rows, objects, known), fine in zip(pictures, good, strict=True):
        strong = sorted((row for row in rows if row[0] >= high), key=lambda row: -row[0])
        false += len(strong) if fine else 0
        taken = set()
        for _, place, kind in strong if known else ():
            if objects.get(place) == kind and place not in taken:
                taken.add(place)
                right += 1
            elif objects.get(place) == IGNORE:
                continue
            shown += 1
    return right, shown, false


score = st.sampled_from([0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0])
row = st.tuples(score, st.integers(0, 3), st.integers(0, 1))
objects = st.dictionaries(st.integers(0, 3), st.sampled_from([0, 1, IGNORE]), max_size=3)
picture = st.tuples(st.lists(row, max_size=6), objects, st.sampled_from([True, True, True, False]))


@given(st.lists(picture, min_size=1, max_size=6), st.data())
@settings(max_examples=300, deadline=None)
def test_the_best_of_all_bands(pictures, data):
    good = np.array([not held and data.draw(st.booleans()) for _, held, _ in pictures])
    pictures = [(rows, held, known or fine) for (rows, held, known), fine in zip(pictures, good, strict=True)]
    targets = BoxTargets.of([target(held) if known else NOWHERE for _, held, known in pictures])
    found = chosen_boxes([proposed(rows) for rows, *_ in pictures], targets, good)
    total = sum(kind >= 0 for _, held, known in pictures if known for kind in held.values())
    if not total and not good.any():
        assert found is None
        return
    right, shown, false = counts(pictures, good, found.bands.high)
    assert (found.right.hits, found.right.of, found.false, found.good) == (right, shown, false, good.sum())
    assert (found.found.hits, found.found.of) == (right, total)
    assert false == 0  # one in 100 good pictures is none in so few
    if total:
        bands = [0.1, 0.2, 0.3, 0.4, 0.55, 0.7, 0.9, 1.5]
        tried = [counts(pictures, good, band) for band in bands]
        best = max(2 * r / (total + s) for r, s, f in tried if not f)
        assert 2 * right / (total + shown) == pytest.approx(best)
        assert found.bands.high == NEVER or right


@pytest.mark.parametrize(("many", "found", "false"), [(100, 1, 1), (99, 0, 0)])
def test_a_hundred_good_pictures_allow_one_false_box(many, found, false):
    """The object's box is weaker than the strongest in good pictures, and stronger than the next."""
    rows = [[(0.75, 0, 0)], [(0.875, 0, 0)], [(0.5, 1, 0)], *[[]] * (many - 2)]
    targets = BoxTargets.of([target({0: 0}), *[target({})] * many])
    chosen = chosen_boxes([proposed(row) for row in rows], targets, np.array([False] + [True] * many))
    assert (chosen.found.hits, chosen.false, chosen.good) == (found, false, many)
    assert chosen.bands.high == (0.625 if found else NEVER)
    assert str(chosen).startswith("boxes: shown from 0.625;" if found else "boxes: never shown: no score")


def test_without_objects_good_pictures_say_how_strong_is_too_strong():
    good = np.array([True] * 3)
    targets = BoxTargets.of([target({})] * 3)
    for strongest, high in ((0.2, 0.5), (0.9, np.nextafter(np.float32(0.9), np.float32(2))), (1.0, NEVER)):
        told = [proposed([(strongest, 0, 0)]), proposed([]), proposed([(0.1, 1, 0)])]
        assert chosen_boxes(told, targets, good).bands.high == pytest.approx(float(high), abs=1e-9)


@given(st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_a_band_between_two_scores_tells_them_apart(one, other):
    weaker, stronger = sorted((one, other))
    if weaker < stronger:
        band = np.float32(between(weaker, stronger))
        assert np.float32(weaker) < band <= np.float32(stronger)

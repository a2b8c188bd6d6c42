"""How far boxes fall short, against plain loops over boxes and objects."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.heads.assign import IGNORE, PADDING
from visiontune.heads.shortfall import shortfalls

OBJECT = (10.0, 10.0, 30.0, 30.0)


def overlap(one, other):
    wide = max(0.0, min(one[2], other[2]) - max(one[0], other[0]))
    high = max(0.0, min(one[3], other[3]) - max(one[1], other[1]))
    area = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high, wide * high / (sum(area) - wide * high) if wide * high else 0.0


def slow(found, scores, named, boxes, kinds):
    """One picture, box by box from the strongest."""
    said, lacking = set(), 0.0
    objects = [at for at, kind in enumerate(kinds) if kind >= 0]
    for box, score, name in zip(found, scores, named, strict=True):
        if not score:
            continue
        shares = {at: overlap(box, boxes[at])[1] for at in objects if kinds[at] == name}
        best = max(shares, key=lambda at: shares[at], default=None)
        if best is not None and shares[best] >= 0.5 and best not in said:
            said.add(best)
            lacking += (score - shares[best]) ** 2 + 1 - shares[best] ** 2
            continue
        area = (box[2] - box[0]) * (box[3] - box[1])
        skipped = any(
            kind == IGNORE and overlap(box, boxes[at])[0] >= area / 2 for at, kind in enumerate(kinds)
        )
        lacking += 0.0 if skipped else score**2
    return (lacking + len(objects) - len(said)) / max(1, len(objects))


def picture(found, boxes, known=True):
    """Rows (box, score, kind) found, and objects (box, kind), as a batch of one."""
    columns = [torch.tensor([column]) for column in zip(*found, strict=True)]
    corners, kinds = (torch.tensor([column]) for column in zip(*boxes, strict=True))
    return shortfalls(*columns, corners, kinds, torch.tensor([known])).item()


side = st.integers(0, 12)
box = st.tuples(side, side, side, side).map(
    lambda e: tuple(
        float(v) for v in (min(e[0], e[2]), min(e[1], e[3]), max(e[0], e[2]) + 1, max(e[1], e[3]) + 1)
    )
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(box, st.sampled_from([0.2, 0.5, 0.9]), st.integers(0, 1)), min_size=1, max_size=7),
    st.lists(st.tuples(box, st.sampled_from([0, 1, IGNORE, PADDING])), min_size=1, max_size=4),
)
def test_it_is_what_plain_loops_say(found, objects):
    found = [*sorted(found, key=lambda one: -one[1]), ((0.0,) * 4, 0.0, 0)]
    expected = slow(*zip(*found, strict=True), *zip(*objects, strict=True))
    assert picture(found, objects) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("found", "lacking"),
    [
        ([(OBJECT, 1.0, 0)], 0.0),
        ([(OBJECT, 0.8, 0)], 0.04),
        ([(OBJECT, 1.0, 1)], 1 + 1.0),  # of the wrong kind: nothing found, and a false one
        ([(OBJECT, 0.9, 0), (OBJECT, 0.5, 0)], 0.01 + 0.25),  # said twice
        ([((0.0,) * 4, 0.0, 0)], 1.0),
    ],
)
def test_known_cases(found, lacking):
    assert picture(found, [(OBJECT, 0)]) == pytest.approx(lacking)


def test_a_good_picture_lacks_what_is_false_and_an_unknown_one_nothing():
    nothing = [((0.0,) * 4, PADDING)]
    assert picture([(OBJECT, 0.5, 0)], nothing) == pytest.approx(0.25)
    assert picture([(OBJECT, 0.5, 0)], nothing, known=False) == 0
    assert picture([(OBJECT, 0.5, 0)], [(OBJECT, IGNORE)]) == 0

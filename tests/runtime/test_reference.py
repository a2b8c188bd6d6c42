"""The reference in the card: refuses nonsense, and measures how strange a look is."""

import numpy as np
import pytest

from tests.line_models import a_reference
from visiontune import BadModel
from visiontune.runtime.look import FEATURES, Look
from visiontune.runtime.reference import FLOORS, Strangeness

ROWS = tuple((1.0,) * 6 for _ in range(6))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("parts", 0),
        ("frames", -1),
        ("good", ()),
        ("good", (1.5,)),
        ("defective", (-0.1,)),
        ("ranges", {}),
        ("ranges", {**a_reference().ranges, "mood": (0, 1)}),
        ("ranges", {**a_reference().ranges, "low": (0, 1, 2)}),
        ("centre", (1.0,)),
        ("covariance", ROWS[:5]),
        ("covariance", (*ROWS[:5], (1.0,))),
        ("looks", ((0.5,),)),
        ("looks", ((0.5, float("nan")),)),
    ],
)
def test_a_wrong_field_is_named(field, wrong):
    with pytest.raises(BadModel, match=rf"card\.reference\.{field}"):
        a_reference(**{field: wrong})


def test_strangeness_is_the_mahalanobis_distance():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(6, 6)) * 5
    covariance, centre = mixing @ mixing.T, rng.normal(size=6)
    values = dict(zip(FEATURES, (centre + rng.normal(size=6) * 9).tolist(), strict=True))
    look = Look(**{**dict.fromkeys(Look._fields, 0.0), **values})
    away = look.features() - centre
    slow = away @ np.linalg.solve(covariance + np.diag(FLOORS**2), away)
    measured = Strangeness(tuple(centre.tolist()), tuple(map(tuple, covariance.tolist())))
    assert measured(look) == pytest.approx(np.sqrt(slow))


def test_what_never_varied_counts_in_floors():
    measured = Strangeness((0.0,) * 6, tuple((0.0,) * 6 for _ in range(6)))
    look = Look(**{**dict.fromkeys(Look._fields, 0.0), "red": 3.0})
    assert measured(look) == pytest.approx(3)

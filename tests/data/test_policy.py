"""Policies as data: equality, JSON, digests, seeds, refusals."""

import json
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.data import policies
from visiontune.data.policy import Policy, Step, view_seed
from visiontune.data.transforms import TRANSFORMS, Span
from visiontune.runtime.errors import BadData, BadRecipe

NAMED = [
    policies.none(),
    policies.flat_sheet(),
    policies.fixed_part(),
    policies.natural(),
    policies.xray(),
    policies.road_signs(),
]
PICTURE = np.zeros((8, 9, 3), np.uint8)


@pytest.mark.parametrize("policy", NAMED, ids=lambda policy: policy.name)
def test_a_policy_survives_json_pickle_and_repr(policy: Policy) -> None:
    text = json.dumps(policy.to_json())
    back = Policy.from_json(json.loads(text))
    assert back == policy
    assert hash(back) == hash(policy)
    assert back.digest() == policy.digest()
    assert json.dumps(back.to_json()) == text
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert eval(repr(policy), {"Policy": Policy, "Step": Step}) == policy


def test_policies_are_equal_by_value_and_digests_follow_the_steps() -> None:
    assert policies.flat_sheet() == policies.flat_sheet(light=0.25)
    assert policies.flat_sheet() != policies.flat_sheet(light=0.2)
    assert policies.flat_sheet().digest() != policies.flat_sheet(light=0.2).digest()
    assert len({policy.digest() for policy in NAMED}) == len(NAMED)
    renamed = Policy("another", policies.xray().steps)
    assert renamed != policies.xray()
    assert renamed.digest() == policies.xray().digest()
    turned = Policy("a", tuple(reversed(policies.xray().steps)))
    assert turned.digest() != Policy("a", policies.xray().steps).digest()


def test_a_step_has_one_form_for_one_meaning() -> None:
    brief = Step("Affine", rotate=[-2, 2])
    full = Step(
        "Affine",
        p=1,
        shear=(0, 0),
        rotate=(-2.0, 2.0),
        scale=(1, 1),
        keep_ratio=False,
        translate_percent=(0, 0.0),
    )
    assert brief == full
    assert hash(brief) == hash(full)
    assert repr(brief) == repr(full)
    assert Policy("a", (brief,)).digest() == Policy("a", (full,)).digest()
    assert repr(Step("RandomGamma", gamma_limit=(80, 120), p=0.5)) == (
        "Step('RandomGamma', gamma_limit=(80.0, 120.0), p=0.5)"
    )


def test_what_is_written_today_is_read_for_ever() -> None:
    written = """{"name": "mine", "steps": [
        {"transform": "HorizontalFlip", "params": {"p": 0.5}},
        {"transform": "GaussNoise", "params": {"p": 0.3, "std_range": [0.0, 0.01]}}]}"""
    policy = Policy.from_json(json.loads(written))
    assert policy == Policy(
        "mine", (Step("HorizontalFlip", p=0.5), Step("GaussNoise", p=0.3, std_range=(0, 0.01)))
    )
    assert policy.digest() == "e8daa7483428b5ea8fa2ce027c45f0fa935bff0a5138078286d33a6fd3181ff0"


def test_view_seeds_are_these_for_ever() -> None:
    assert view_seed(0, "good/a.png", 0) == 6747083617727161802
    assert view_seed(7, "good/a.png", 3) == 13193755363935884278


@given(st.tuples(st.integers(), st.text(), st.integers()), st.tuples(st.integers(), st.text(), st.integers()))
def test_view_seeds_fit_64_bits_and_differ(one: tuple[int, str, int], other: tuple[int, str, int]) -> None:
    assert 0 <= view_seed(*one) < 2**64
    assert (view_seed(*one) == view_seed(*other)) == (one == other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Step("HorisontalFlip"), "no transform 'HorisontalFlip'; did you mean HorizontalFlip?"),
        (lambda: Step("Perspective"), "did you mean"),
        (lambda: Step("Affine", rotation=(0, 1)), "no parameter 'rotation'; did you mean rotate?"),
        (lambda: Step("Affine", border_mode=0), "no parameter 'border_mode'"),
        (
            lambda: Step("Affine", rotate=(2, -2)),
            "Affine.rotate: expected two numbers (low, high) within -180..180",
        ),
        (lambda: Step("Affine", rotate=3), "expected two numbers"),
        (lambda: Step("Affine", rotate=(0, float("nan"))), "expected two numbers"),
        (lambda: Step("Affine", scale=(0.1, 1)), "within 0.8..1.5"),
        (lambda: Step("Affine", keep_ratio=1), "expected true or false"),
        (lambda: Step("HorizontalFlip", p=1.5), "expected a probability"),
        (lambda: Step("HorizontalFlip", p=True), "expected a probability"),
        (lambda: Step("GaussNoise"), "GaussNoise needs std_range"),
        (lambda: Policy("", ()), "expected a name"),
        (lambda: Policy("a", ("HorizontalFlip",)), "expected Step(...)"),  # type: ignore[arg-type]
        (lambda: Policy.from_json([]), "expected a dict"),
        (lambda: Policy.from_json({"name": "a"}), "expected steps as list"),
        (lambda: Policy.from_json({"name": "a", "stepps": []}), "no field 'stepps'; did you mean steps?"),
        (lambda: Policy.from_json({"name": "a", "steps": ["Transpose"]}), "expected a dict"),
        (lambda: policies.flat_sheet(light=0.9), "light: expected a number within 0..0.5, found 0.9"),
        (lambda: policies.natural(crop=0), "crop: expected a number within 0.2..1"),
    ],
)
def test_what_is_unknown_is_refused_at_birth(make: Any, message: str) -> None:
    with pytest.raises(BadRecipe) as refusal:
        make()
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "given_",
    [
        {"image": PICTURE[..., 0]},
        {"image": PICTURE.astype(np.float32)},
        {"image": PICTURE[:7]},
        {"image": [[0]]},
        {"mask": np.zeros((9, 8), np.uint8)},
        {"mask": np.zeros((8, 9), bool)},
        {"boxes": np.array([1.0, 1, 2, 2])},
        {"boxes": np.array([["a"] * 4])},
        {"boxes": np.array([[3.0, 1, 2, 2]])},
        {"boxes": np.array([[1.0, 1, np.nan, 2]])},
        {"boxes": np.array([[9.0, 1, 12, 2]])},
        {"boxes": np.array([[1.0, 1, 2, 2]]), "kinds": []},
        {"kinds": ["crack"]},
    ],
)
def test_arrays_of_another_form_are_refused(given_: dict[str, Any]) -> None:
    with pytest.raises(BadData, match="policy"):
        policies.none()(**{"image": PICTURE, **given_}, seed=0)


def test_a_policy_is_read_and_printed_without_albumentations() -> None:
    code = (
        "import sys; from visiontune.data.policies import road_signs as r, Policy;"
        "assert Policy.from_json(r().to_json()) == r(); print(r(), r().digest());"
        "assert not {'albumentations', 'cv2', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_every_allowed_range_is_a_range() -> None:
    spans = [span for known in TRANSFORMS.values() for span in known.values() if isinstance(span, Span)]
    assert spans
    assert all(span.least < span.most for span in spans)
    assert all(span.rest is None or span.read(span.rest) for span in spans)

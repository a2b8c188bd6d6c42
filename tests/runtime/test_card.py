"""The card: round trip through JSON, strictness, and the text for people."""

import copy
import json
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.line_models import a_card, a_reference
from visiontune import BadModel, Bands, ModelCard
from visiontune.runtime.card import PRECISIONS, InputSpec, Proof
from visiontune.runtime.describe import describe
from visiontune.runtime.golden import Golden
from visiontune.runtime.region_bands import RegionBands

numbers = st.floats(allow_nan=False, allow_infinity=False)
fractions = st.floats(0, 1)
texts = st.text(min_size=1, max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
objects = st.dictionaries(texts, json_values, max_size=4)

PROOF = Proof(
    frames=2,
    max_severity_difference=1e-7,
    flips=1,
    worst="ab",
    sha256=("cd", "ab"),
    severity=(0.5, 1.0),
    reviewed=1,
    tolerance=0.002,
)
CHANGE = {
    "what": "bands",
    "when": "2026-01-31T12:00:00+00:00",
    "by": "visiontune 0.1.0",
    "note": None,
    "from": {"review_from": 0.1, "reject_from": 0.2, "evidence": {"confidence": 0.95}},
    "to": {"review_from": 0.3, "reject_from": 2.0, "evidence": None},
    "evidence": "gone",
}
REGIONS = RegionBands(low=0.1, high=0.9, min_area=12, pixel_mm=(0.05, 0.1))


@st.composite
def cards(draw):
    classes = draw(st.lists(texts, min_size=1, max_size=4, unique=True))
    edges = sorted(draw(st.tuples(st.floats(0, 2), st.floats(0, 2))))
    roi = draw(st.none() | st.just((0.25, 0.0, 1.0, 0.5)))
    frames = draw(st.integers(1, 3))
    golden = Golden(
        seed=draw(st.integers(0, 2**32 - 1)),
        frames=frames,
        size=(draw(st.integers(1, 999)), 31),
        severity=draw(st.lists(fractions, min_size=frames, max_size=frames)),
        kinds=[draw(st.lists(fractions, min_size=len(classes), max_size=len(classes)))] * frames,
        decision=draw(st.lists(st.integers(0, 2), min_size=frames, max_size=frames)),
        tolerance=draw(st.floats(1e-9, 1)),
    )
    return a_card(
        name=draw(texts),
        task=draw(texts),
        classes=classes,
        good=draw(st.sampled_from([None, classes[0]])),
        input=InputSpec(
            size=(draw(st.integers(1, 4096)), 16),
            roi=roi,
            mean=draw(st.tuples(*[numbers] * 3)),
            std=(1, 0.5, 2),
            window=draw(st.none() | st.just((0, 4095)) | st.just((65534, 65535))),
        ),
        temperature=draw(st.floats(1e-6, 1e6)),
        bands=Bands(*edges, draw(st.none() | objects)),
        recipe=draw(objects),
        versions=draw(objects),
        data={**a_card().data, **draw(st.just({}) | st.just({"val_from": "test"}))},
        proof=draw(
            st.none() | st.just(Proof(frames=3, max_severity_difference=1.5e-7, flips=0)) | st.just(PROOF)
        ),
        golden=draw(st.none() | st.just(golden)),
        probes=draw(st.lists(st.just(golden), max_size=2)),
        reference=draw(st.none() | st.just(a_reference()) | st.just(a_reference(defective=(), looks=()))),
        history=draw(st.lists(json_values | st.just(CHANGE), max_size=3)),
        precision=draw(st.sampled_from(PRECISIONS)),
        regions=draw(st.none() | st.just(RegionBands()) | st.just(REGIONS)),
    )


@given(cards())
def test_comes_back_from_json_equal(card):
    text = card.to_json()
    assert ModelCard.from_json(text) == card
    assert json.loads(text) == card.as_dict()
    assert text.isascii()


@given(cards())
def test_every_card_can_be_described(card):
    assert card.name in describe(card)


def test_numpy_numbers_and_tuples_become_json():
    card = a_card(recipe={"lr": np.float32(0.5), "size": (3, 4)}, history=({"loss": np.float64(1)},))
    assert card.recipe == {"lr": 0.5, "size": [3, 4]}
    assert ModelCard.from_json(card.to_json()) == card


def test_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        a_card().name = "other"  # type: ignore[misc]


SINCE = ("probes", "reference", "precision", "regions")  # not in the first cards
FIELDS = tuple(name for name in a_card().as_dict() if name not in SINCE)


@pytest.mark.parametrize("name", FIELDS)
def test_a_missing_field_is_named(name):
    found = a_card().as_dict()
    del found[name]
    with pytest.raises(BadModel, match=f"card: {name} missing"):
        ModelCard.from_dict(found)


def test_an_unknown_field_is_named():
    with pytest.raises(BadModel, match="unknown field mood"):
        ModelCard.from_dict({**a_card().as_dict(), "mood": "good"})


@pytest.mark.parametrize("schema", [2, 0, "1", None, 1.5])
def test_another_schema_is_refused_before_anything_else(schema):
    with pytest.raises(BadModel, match="schema"):
        ModelCard.from_dict({"schema": schema, "what": "ever"})


def a_whole_card():
    golden = Golden(seed=1, frames=1, size=(8, 9), severity=(0.2,), kinds=((0.8, 0.1, 0.1),), decision=(0,))
    proof = Proof(frames=1, max_severity_difference=0, flips=0)
    return a_card(golden=golden, proof=proof, reference=a_reference(), regions=REGIONS)


def places(value, path=()):
    """The paths to everything inside a JSON value."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield (*path, name)
        yield from places(inner, (*path, name))


FREE = ("recipe", "versions", "evidence", "val_from")  # the lab's own notes: any JSON goes
STRICT = [
    path
    for path in places(a_whole_card().as_dict())
    if not set(path[:-1]) & set(FREE) and path[-1] not in FREE
]


@pytest.mark.parametrize("path", STRICT, ids=".".join)
@pytest.mark.parametrize("wrong", [object(), True, float("nan"), "?", {"a": 1}, [[]]], ids=type)
def test_a_value_of_another_type_is_refused(path, wrong):
    found = copy.deepcopy(a_whole_card().as_dict())
    place = found
    for name in path[:-1]:
        place = place[name]
    free_text = path[-1] in ("name", "made_by", "task", "digest", "layout", "group_pattern")
    if (wrong == "?" and free_text) or (wrong == {"a": 1} and path == ("data", "counts", "train")):
        return
    if wrong == [[]] and path == ("history",):
        return
    place[path[-1]] = wrong
    with pytest.raises(BadModel) as caught:
        ModelCard.from_dict(found)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"created": "yesterday"}, "created"),
        ({"created": "2026-01-31T12:00:00+01:00"}, "UTC"),
        ({"created": "2026-01-31T12:00:00"}, "UTC"),
        ({"classes": ()}, "classes"),
        ({"classes": ("good", "good")}, "once"),
        ({"good": "crack"}, "first class"),
        ({"temperature": 0}, "temperature"),
        ({"recipe": {"policy": object()}}, "recipe.policy"),
        ({"recipe": {1: 2}}, "recipe"),
        ({"history": "none"}, "history"),
        ({"bands": {"review_from": 0.1}}, "bands"),
        ({"data": {}}, "digest"),
    ],
)
def test_values_that_cannot_be_are_refused(changes, said):
    with pytest.raises(BadModel, match=said):
        replace(a_card(), **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": ("ab",)},
        {"severity": (0.5,)},
        {"worst": "zz"},
        {"worst": None},
        {"sha256": (), "severity": ()},
        {"sha256": (1, 2)},
        {"severity": (0.5, "high")},
    ],
)
def test_a_proof_that_does_not_fit_itself_is_refused(changes):
    with pytest.raises(BadModel, match=r"card\.proof"):
        replace(PROOF, **changes)


@pytest.mark.parametrize(
    "change",
    [
        {name: value for name, value in CHANGE.items() if name != "when"},
        {**CHANGE, "mood": "good"},
        {**CHANGE, "note": ""},
        {**CHANGE, "by": None},
        {**CHANGE, "to": {"review_from": 0.3, "reject_from": 0.2, "evidence": None}},
        {**CHANGE, "from": None},
    ],
)
def test_a_change_of_the_bands_has_all_its_fields(change):
    with pytest.raises(BadModel, match=r"card\.history|bands"):
        replace(a_card(), history=(change,))


@pytest.mark.parametrize("roi", [(0, 0, 1), (0, 0, 0, 1), (0.5, 0, 0.4, 1), (-0.1, 0, 1, 1), (0, 0, 1, 1.1)])
def test_a_region_outside_the_frame_is_refused(roi):
    with pytest.raises(BadModel, match="roi"):
        InputSpec(size=(8, 8), roi=roi, mean=(0, 0, 0), std=(1, 1, 1))


@pytest.mark.parametrize(
    "window", [(0, 0), (5, 3), (-1, 9), (0, 65536), (0,), (0, 1, 2), (0.0, 9.5), "ab", 4095, (False, True)]
)
def test_a_window_out_of_order_is_refused(window):
    with pytest.raises(BadModel, match=r"card\.input\.window"):
        InputSpec(size=(8, 8), mean=(0, 0, 0), std=(1, 1, 1), window=window)


def test_a_card_from_before_windows_has_none():
    found = a_card().as_dict()
    assert found["input"].pop("window") is None
    assert ModelCard.from_dict(found) == a_card()


def test_a_card_from_before_hashes_and_probes_is_read():
    found = a_whole_card().as_dict()
    for place, names in (
        (found, ("probes",)),
        (found["golden"], ("sha256",)),
        (found["proof"], ("worst", "sha256", "severity")),
    ):
        for name in names:
            del place[name]
    card = ModelCard.from_dict(found)
    assert (card.probes, card.golden.sha256, card.proof.sha256, card.proof.worst) == ((), (), (), None)


def test_a_card_from_before_regions_has_none():
    found = a_card().as_dict()
    assert found.pop("regions") is None
    assert ModelCard.from_dict(found) == a_card()


@pytest.mark.parametrize(
    "changes",
    [
        {"low": 0.6},
        {"high": float("nan")},
        {"min_area": -1},
        {"pixel_mm": 0.1},
        {"pixel_mm": (0.1,)},
        {"pixel_mm": (0.1, 0)},
    ],
)
def test_region_bands_out_of_order_are_refused(changes):
    with pytest.raises(BadModel, match=r"card\.regions.*; correct it"):
        RegionBands(**changes)


def test_description_speaks_of_regions_where_the_card_does():
    assert "regions" not in describe(a_card())
    text = describe(a_card(regions=REGIONS))
    assert "heatmap from 0.1 where it reaches 0.9; at least 12 px; a pixel shows 0.05 x 0.1 mm" in text


def test_description_speaks_of_the_window_where_there_is_one():
    assert "16-bit" not in describe(a_card())
    deep = replace(a_card().input, window=(0, 4095))
    assert "16-bit grey 0..4095 read as 0..255" in describe(a_card(input=deep))


def test_golden_answers_must_fit_the_classes():
    golden = Golden(seed=1, frames=1, size=(8, 9), severity=(0.2,), kinds=((0.8, 0.2),), decision=(0,))
    with pytest.raises(BadModel, match="3 values a frame"):
        a_card(golden=golden)


@pytest.mark.parametrize("text", ["", "{", "NaN", "[" * 100_000, "[]", "null", '"card"'])
def test_what_is_no_card_is_refused(text):
    with pytest.raises(BadModel, match="card"):
        ModelCard.from_json(text)


def test_description_speaks_of_the_decision():
    text = describe(a_card(bands=Bands(0.25, 2.0, {"escapes": {"certified": 0.0123456}})))
    assert "review from severity 0.25, never reject, else pass" in text
    assert "certified 0.01235" in text
    assert "train" in text and "good 7, crack 2" in text
    assert max(map(len, text.splitlines())) < 140


def test_description_speaks_of_changes():
    text = describe(replace(a_card(), history=(CHANGE, {"what": "painted", "colour": "blue"}), proof=PROOF))
    assert "bands 0.1 / 0.2 became 0.3 / 2; gone" in text and "what painted, colour blue" in text
    assert "at most 1 decisions flip with the bands of today" in text
    assert "1 decisions flipped" in describe(replace(a_card(), proof=PROOF))


def test_description_cuts_what_is_long():
    lines = describe(a_card(recipe={"policy": list(range(1000))})).splitlines()
    assert any(line.endswith("…") and len(line) < 140 for line in lines)

"""The published JSON Schema: cards that are written fit it, cards that are refused do not, and every field is explained."""

import copy
import json
import re
from dataclasses import fields
from importlib.resources import files
from pathlib import Path

import onnxruntime
import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from tests.line_models import line_model
from tests.runtime.test_card import CHANGE, STRICT, a_whole_card, cards
from visiontune import BadModel, Bands, ModelCard
from visiontune.runtime.card import SCHEMA, InputSpec, Proof
from visiontune.runtime.golden import Golden
from visiontune.runtime.look import Look
from visiontune.runtime.reference import Reference
from visiontune.runtime.region_bands import RegionBands

TEXT = files("visiontune.runtime").joinpath("card.schema.json").read_text("utf-8")
SPEC = json.loads(TEXT)
VALIDATOR = Draft202012Validator(SPEC)
PAGE = (Path(__file__).parents[2] / "docs" / "card.md").read_text("utf-8")
# What a schema cannot say: a text that is a time, one of the classes, one of the hashes, as many as there are classes.
BEYOND = (("created",), ("good",), ("proof", "worst"), ("golden", "kinds"))


def fits(card):
    return VALIDATOR.is_valid(json.loads(json.dumps(card)))


def test_it_is_a_schema_of_this_version():
    Draft202012Validator.check_schema(SPEC)
    assert SPEC["properties"]["schema"]["const"] == SCHEMA and SPEC["$id"].endswith(f":{SCHEMA}")


@given(cards())
def test_every_card_fits(card):
    VALIDATOR.validate(json.loads(card.to_json()))


def test_the_card_of_an_exported_file_fits(cooked):
    session = onnxruntime.InferenceSession(cooked.model.read_bytes())  # all that a reader needs
    VALIDATOR.validate(json.loads(session.get_modelmeta().custom_metadata_map["visiontune.card"]))


def test_the_card_of_a_file_with_other_bands_fits(tmp_path):
    from visiontune import set_bands

    path = tmp_path / "model.onnx"
    path.write_bytes(line_model())
    VALIDATOR.validate(json.loads(set_bands(path, 0.1, 2.0, note="me").to_json()))


@pytest.mark.parametrize("path", STRICT, ids=".".join)
@pytest.mark.parametrize("wrong", [True, "?", {"a": 1}, [[]]], ids=type)
def test_what_the_reader_refuses_for_its_type_does_not_fit(path, wrong):
    found = copy.deepcopy(a_whole_card().as_dict())
    place = found
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = wrong
    try:
        ModelCard.from_dict(found)
    except BadModel:
        if path not in BEYOND:
            assert not fits(found)
    else:
        assert fits(found)


@pytest.mark.parametrize(
    "change",
    [
        {"mood": "good"},
        {"schema": 2},
        {"history": [{**CHANGE, "mood": "good"}]},
        {"classes": []},
        {"proof": {"frames": 1}},
    ],
)
def test_unknown_and_missing_fields_do_not_fit(change):
    assert fits(a_whole_card().as_dict())
    assert not fits({**a_whole_card().as_dict(), **change})


def test_a_card_from_before_later_fields_fits():
    found = a_whole_card().as_dict()
    for place, names in (
        (found, ("probes", "reference", "precision", "regions")),
        (found["input"], ("window",)),
        (found["golden"], ("sha256",)),
        (found["proof"], ("worst", "sha256", "severity", "reviewed", "tolerance")),
    ):
        for name in names:
            del place[name]
    assert fits(found) and ModelCard.from_dict(found)


@pytest.mark.parametrize(
    ("kind", "node"),
    [
        (ModelCard, SPEC),
        (InputSpec, SPEC["properties"]["input"]),
        (Bands, SPEC["$defs"]["bands"]),
        (Golden, SPEC["$defs"]["golden"]),
        (Proof, SPEC["properties"]["proof"]["oneOf"][1]),
        (Reference, SPEC["$defs"]["reference"]),
        (RegionBands, SPEC["properties"]["regions"]["oneOf"][1]),
    ],
)
def test_it_knows_exactly_the_fields_that_there_are(kind, node):
    assert set(node["properties"]) == {field.name for field in fields(kind)}
    later = {name for name, spec in node["properties"].items() if "default" in spec}
    assert set(node["required"]) == set(node["properties"]) - later


def test_it_knows_the_statistics_of_a_look():
    ranges = SPEC["$defs"]["reference"]["properties"]["ranges"]
    assert list(ranges["properties"]) == ranges["required"] == list(Look._fields)


def test_the_page_explains_every_field():
    missing = [name for name in SPEC["properties"] if f"`{name}`" not in PAGE]
    assert not missing


def test_the_pages_example_reads_the_card(cooked, monkeypatch, capsys):
    monkeypatch.chdir(cooked.model.parent)
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(block, "card.md", "exec"), {})
    assert str(list(cooked.data.classes)) in capsys.readouterr().out

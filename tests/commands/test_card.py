"""`visiontune card`: the papers, for people and as JSON."""

import json

from tests.line_models import a_card
from visiontune import ModelCard
from visiontune.runtime.card import describe


def test_for_people(visiontune, model):
    found = visiontune("card", model)
    assert (found.status, found.out) == (0, describe(a_card()) + "\n")


def test_as_json(visiontune, model):
    found = visiontune("card", model, "--json")
    assert ModelCard.from_dict(json.loads(found.out)) == a_card()


def test_a_damaged_model(visiontune, model, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(model.read_bytes()[:-9])
    found = visiontune("card", path)
    assert (found.status, found.out) == (2, "")
    assert found.err.count("\n") == 1 and "model.onnx" in found.err

"""`visiontune card`: the papers, for people and as JSON."""

import json

import numpy as np
import pytest

from tests.line_models import a_card, level, line_model, table_model
from visiontune import Bands, Inspector, ModelCard
from visiontune.runtime.adjust import BACK, GONE
from visiontune.runtime.describe import describe
from visiontune.runtime.model import load_card
from visiontune.runtime.region_bands import RegionBands


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


@pytest.fixture
def mine(tmp_path):
    """A model of my own to change."""
    path = tmp_path / "model.onnx"
    path.write_bytes(line_model(a_card(bands=Bands(0.3, 0.7, {"confidence": 0.95}))))
    return path


def test_bands_are_set_and_the_loss_is_told(visiontune, mine):
    found = visiontune("card", mine, "--set-bands", "0.25", "never", "--note", "J. Doe: trial")
    assert found.status == 0 and GONE in found.err and found.err.count("\n") == 1
    assert "review from severity 0.25, never reject" in found.out and "(J. Doe: trial)" in found.out
    assert load_card(mine).bands == Bands(0.25, 2.0)
    assert visiontune("verify", mine).status == 0


def test_the_certified_bands_come_back(visiontune, mine):
    visiontune("card", mine, "--set-bands", "0.1", "0.2")
    found = visiontune("card", mine, "--restore-bands", "--json")
    assert BACK in found.err
    card = ModelCard.from_dict(json.loads(found.out))
    assert card.bands == Bands(0.3, 0.7, {"confidence": 0.95}) and len(card.history) == 2
    again = visiontune("card", mine, "--restore-bands")
    assert again.status == 0 and "already so" in again.err


def test_without_evidence_nothing_can_be_restored(visiontune, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(line_model(a_card(bands=Bands(0.3, 0.7))))
    found = visiontune("card", path, "--restore-bands")
    assert found.status == 2 and "none" in found.err and "calibrate" in found.err


@pytest.mark.parametrize(
    "wrong",
    [
        ("--set-bands", "0.5", "0.4"),
        ("--set-bands", "0.5"),
        ("--set-bands", "low", "high"),
        ("--set-bands", "nan", "0.4"),
        ("--set-bands", "0.1", "0.2", "--restore-bands"),
        ("--note", "only a note"),
    ],
)
def test_wrong_use_changes_nothing(visiontune, mine, wrong):
    before = mine.read_bytes()
    found = visiontune("card", mine, *wrong)
    assert found.status == 2 and found.err.count("\n") == 1
    assert mine.read_bytes() == before


# regions


@pytest.fixture
def heated(tmp_path):
    path = tmp_path / "heated.onnx"
    path.write_bytes(line_model(a_card(bands=Bands(0.3, 0.7, {"confidence": 0.95})), heatmap=True))
    return path


def test_regions_are_set_and_what_is_not_given_stays(visiontune, heated):
    before = load_card(heated)
    found = visiontune("card", heated, "--set-regions", "0.2", "0.6", "--note", "J. Doe: small chips")
    assert found.status == 0 and "regions set; decisions stay as they are" in found.err
    assert "heatmap from 0.2 where it reaches 0.6" in found.out and "J. Doe: small chips" in found.out
    found = visiontune("card", heated, "--min-area", "12", "--pixel-mm", "0.05", "0.1", "--json")
    card = ModelCard.from_dict(json.loads(found.out))
    assert card == load_card(heated)
    assert card.regions == RegionBands(low=0.2, high=0.6, min_area=12, pixel_mm=(0.05, 0.1))
    assert [entry["what"] for entry in card.history] == ["regions", "regions"]
    assert card.history[1]["from"]["min_area"] == 0 and card.history[1]["to"]["min_area"] == 12
    assert (card.bands, card.golden, card.proof) == (before.bands, before.golden, before.proof)
    assert visiontune("verify", heated).status == 0
    assert visiontune("card", heated, "--set-bands", "0.1", "0.2").status == 0
    assert load_card(heated).regions == card.regions


def test_regions_that_are_already_so_write_nothing(visiontune, heated):
    before = heated.read_bytes()
    found = visiontune("card", heated, "--set-regions", "0.3", "0.5")
    assert found.status == 0 and "already so" in found.err
    assert heated.read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--set-regions", "0.6", "0.5"), "low <= high"),
        (("--set-regions", "nan", "0.5"), "card.regions.low"),
        (("--min-area", "-1"), ">= 0"),
        (("--pixel-mm", "0", "1"), "> 0"),
        (("--set-regions", "0.1", "0.5", "--set-bands", "0.1", "0.2"), "not allowed"),
        (("--min-area", "3", "--restore-bands"), "one change at a time"),
    ],
)
def test_wrong_regions_change_nothing(visiontune, heated, wrong, said):
    before = heated.read_bytes()
    found = visiontune("card", heated, *wrong)
    assert found.status == 2 and said in found.err and found.err.count("\n") == 1
    assert heated.read_bytes() == before


def test_a_model_without_a_heatmap_has_no_regions(visiontune, mine):
    found = visiontune("card", mine, "--min-area", "3")
    assert found.status == 2 and "expected a model with a heatmap" in found.err


def test_the_score_from_which_boxes_are_shown_is_set(visiontune, tmp_path):
    rows = {"severity": np.zeros(256), "boxes": np.tile([1.0, 2, 3, 4], (256, 2, 1))}
    rows |= {"box_scores": np.tile([0.9, 0.4], (256, 1)), "box_kinds": np.ones((256, 2))}
    path = tmp_path / "boxes.onnx"
    path.write_bytes(table_model(rows))
    assert len(Inspector(path)(level(0)).regions) == 2
    found = visiontune("card", path, "--set-regions", "0.5", "0.5")
    assert found.status == 0 and "scores from 0.5" in found.out
    assert [one.score for one in Inspector(path)(level(0)).regions] == [pytest.approx(0.9)]

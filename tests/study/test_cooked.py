"""Both studies on a model that was fine-tuned and exported, over painted parts."""

import shutil

import pytest

from tests.study.appraisers import answer, fill
from visiontune.data.read import read
from visiontune.runtime.adjust import set_bands
from visiontune.runtime.inspector import Inspector
from visiontune.study.folder import Wanted, conclude, prepare
from visiontune.study.series import Good
from visiontune.study.survey import Asked, survey

pytestmark = pytest.mark.slow  # cooks a model, unless another test did


@pytest.fixture(scope="module")
def inspector(cooked):
    return Inspector(cooked.model)


def test_a_study(inspector, parts_folder, tmp_path):
    study = prepare(inspector, read(parts_folder), tmp_path / "s", Wanted(parts=20, trials=2), sha256="")
    fill(tmp_path / "s", study, answer(study))
    _, found = conclude(tmp_path / "s")
    assert [one.effectiveness.hits for one in found.appraisers] == [20, 20, 20]
    assert found.model.effectiveness.of == 20
    assert (found.flips.parts, found.flips.pictures) == (36, 72)


def test_planted_defects(inspector, cooked, parts_folder, tmp_path):
    data = read(parts_folder)
    good = [Good(sample.path, sample.group) for sample in data if sample.label == data.good]
    # As it came from so short a training the model may hold every part; bands that pass three quarters of the good ones do.
    edge = sorted(inspector(one.path).severity for one in good)[3 * len(good) // 4]
    shutil.copy(cooked.model, tmp_path / "model.onnx")
    set_bands(tmp_path / "model.onnx", edge, 2.0, note="for a test")
    inspector = Inspector(tmp_path / "model.onnx")
    found = survey(inspector, good, Asked(("spot", "crack"), (-80.0,), plantings=20))
    assert found.pictures == len(good)
    for series in found.series:
        assert series.curve.planted + series.unplanted == 20
        assert all(0 <= find.severity <= 1 for find in series.finds)

"""A study's folder through the real Inspector: what appraisers may see, what the key holds, what comes out at the end."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.line_models import a_card, level, table_model
from tests.study.appraisers import answer, fill
from visiontune.data.read import read
from visiontune.runtime.errors import BadData
from visiontune.runtime.inspector import Inspector
from visiontune.study import key, sheet
from visiontune.study.folder import LEAFLET, PICTURES, Wanted, conclude, prepare

WANTED = Wanted(parts=24, appraisers=("anna", "ben"), trials=2, seed=1)


@pytest.fixture(scope="module")
def inspector():
    """Severity is the first red value over 255; from half of it on it says crack. Bands 0.3 and 0.7: from 77 and 179 on."""
    severity = np.linspace(0, 1, 256)
    kinds = np.column_stack([1 - severity, severity, 0 * severity])
    return Inspector(table_model({"severity": severity, "kinds": kinds}, a_card()))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """30 good parts and 15 of either defect, two pictures each, of which the second is ten levels brighter."""
    root = tmp_path_factory.mktemp("data")
    for label, first, count in (("good", 20, 30), ("crack", 70, 15), ("scratch", 100, 15)):
        (root / label).mkdir()
        for part in range(count):
            for view in range(2):
                value = min(255, first + 4 * part + 10 * view)
                Image.fromarray(level(value)).save(root / label / f"{label}{part:02}_{view}.png")
    return read(root, group=r"/([a-z]+\d+)_")


@pytest.fixture
def planned(inspector, data, tmp_path):
    out = tmp_path / "study"
    return out, prepare(inspector, data, out, WANTED, sha256="0" * 64)


def test_the_folder_holds_what_it_should(planned):
    out, study = planned
    assert {path.name for path in out.iterdir()} == {PICTURES, sheet.FOLDER, LEAFLET, key.FILE}
    assert len(list((out / PICTURES).iterdir())) == 24
    assert len(list((out / sheet.FOLDER).iterdir())) == 4
    assert key.read(out) == study
    assert not list(out.parent.glob(".*.tmp"))


def test_what_appraisers_see_tells_nothing(planned, data):
    out, study = planned
    seen = (out / LEAFLET).read_text() + "".join(p.read_text() for p in (out / sheet.FOLDER).iterdir())
    for part in study.parts:
        assert part.group not in seen and part.id not in seen
    assert "crack, scratch" in seen  # which kinds there are they must know
    for path in (out / PICTURES).iterdir():
        with Image.open(path) as picture:
            assert picture.format == "PNG" and not picture.info
    labels = [part.label for part in study.parts]
    assert labels != sorted(labels) and labels != sorted(labels, reverse=True)


def test_pictures_are_those_of_the_key(planned, data):
    out, study = planned
    paths = {sample.id: sample.path for sample in data}
    for part in study.parts:
        with Image.open(out / PICTURES / part.picture) as here, Image.open(paths[part.id]) as there:
            assert (np.asarray(here) == np.asarray(there)).all()


def test_one_picture_a_part_and_the_models_verdict(planned, inspector, data):
    _, study = planned
    assert len({part.group for part in study.parts}) == 24
    paths = {sample.id: sample.path for sample in data}
    for part in study.parts:
        verdict = inspector(paths[part.id])
        assert (part.decision, part.kind) == (verdict.decision, verdict.kind)
        assert part.severity == pytest.approx(verdict.severity)


def test_the_flawless_and_the_model_beside_them(planned):
    out, study = planned
    fill(out, study, answer(study))
    _, found = conclude(out)
    for person in found.appraisers:
        assert (person.effectiveness.rate, person.misses.rate, person.false_alarms.rate) == (1, 0, 0)
        assert person.kinds.rate == 1 and person.kinds.of == found.defective
    held = {part.picture: part.decision != "pass" for part in study.parts}
    bad = {part.picture: part.label != "good" for part in study.parts}
    assert found.model.misses.hits == sum(bad[p] and not held[p] for p in held)
    assert found.model.false_alarms.hits == sum(held[p] and not bad[p] for p in held)
    assert found.reviews == sum(part.decision == "review" for part in study.parts)
    assert (
        found.model.misses.hits + found.model.false_alarms.hits > 0
    )  # the stock has parts it judges wrongly


def test_mistakes_come_through(planned):
    out, study = planned
    bad = [part.picture for part in study.parts if part.label != "good"]
    good = [part.picture for part in study.parts if part.label == "good"]
    fill(out, study, answer(study, wrong=(bad[0], good[0], good[1])))
    _, found = conclude(out)
    for person in found.appraisers:
        assert person.effectiveness.hits == 21
        assert (person.misses.hits, person.false_alarms.hits) == (2, 4)  # in both trials


def test_flips_over_pictures_of_one_part(planned, inspector, data):
    out, study = planned
    fill(out, study, answer(study))
    found = conclude(out)[1].flips
    decisions = {}
    for sample in data:
        decisions.setdefault(sample.group, []).append(inspector(sample.path).decision)
    assert (found.parts, found.pictures) == (60, 120)
    assert found.changed.hits == sum(len(set(some)) > 1 for some in decisions.values()) > 0
    assert found.crossed.hits == sum(len({one == "pass" for one in some}) > 1 for some in decisions.values())


def test_parts_seen_once_have_no_flips(inspector, data, tmp_path):
    from dataclasses import replace

    once = replace(data, samples=tuple(sample for sample in data if sample.id.endswith("_0.png")))
    told = []
    study = prepare(inspector, once, tmp_path / "s", WANTED, sha256="", progress=told.append)
    assert (study.reimaged, sum(told)) == ((), 60)


def test_a_folder_that_is_there_is_left_alone(planned, inspector, data):
    out, _ = planned
    before = (out / key.FILE).read_bytes()
    with pytest.raises(BadData, match="expected no such folder yet"):
        prepare(inspector, data, out, WANTED, sha256="")
    assert (out / key.FILE).read_bytes() == before


def test_nothing_half_written(inspector, data, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr(sheet, "write", broken)
    with pytest.raises(OSError, match="disk full"):
        prepare(inspector, data, tmp_path / "study", WANTED, sha256="")
    assert not list(tmp_path.iterdir())


def test_labels_the_model_does_not_know(inspector, data, tmp_path):
    from dataclasses import replace

    strange = replace(data, samples=(replace(data.samples[0], label="dent"), *data.samples[1:]))
    with pytest.raises(BadData, match="found dent"):
        prepare(inspector, strange, tmp_path / "study", WANTED, sha256="")


def test_a_sorter_has_no_pass_and_reject(data, tmp_path):
    sorter = Inspector(table_model({"severity": np.zeros(256)}, a_card(good=None)))
    with pytest.raises(BadData, match="found a sorter"):
        prepare(sorter, data, tmp_path / "study", WANTED, sha256="")


def test_the_same_seed_gives_the_same_folder(inspector, data, tmp_path):
    for name in ("one", "two"):
        prepare(inspector, data, tmp_path / name, WANTED, sha256="")
    files = [
        {
            path.relative_to(tmp_path / name).as_posix(): path.read_bytes()
            for path in (tmp_path / name).rglob("*.*")
        }
        for name in ("one", "two")
    ]
    assert files[0] == files[1] and len(files[0]) == 24 + 4 + 2


def test_the_key_is_plain_json_with_the_mix(planned):
    out, _ = planned
    said = json.loads((out / key.FILE).read_text())
    assert Counter(part["why"] for part in said["parts"]) == {
        "borderline": 8,
        "clearly good": 8,
        "clearly defective": 8,
    }

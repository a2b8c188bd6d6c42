"""A survey through the real Inspector: a known truth is found, and what is wrong with the pictures is said."""

import json
import math

import numpy as np
import pytest
from PIL import Image

from tests.study.dark_model import dark_model
from visiontune.runtime.card import InputSpec
from visiontune.runtime.errors import BadData, BadFrame
from visiontune.runtime.inspector import Inspector
from visiontune.study.series import ANYWHERE, PASS, Good
from visiontune.study.survey import Asked, survey
from visiontune.study.survey_table import COLUMNS, rows, sheet, table


@pytest.fixture(scope="module")
def pictures(good_folder):
    return [Good(path, path.name) for path in sorted(good_folder.iterdir())]


@pytest.fixture(scope="module")
def found(inspector, pictures):
    asked = Asked(("spot", "scratch"), (-90.0, 60.0), (2.0, 24.0), plantings=70, pixel_mm=0.5)
    return survey(inspector, pictures, asked)


def one(found, kind, contrast):
    return next(series for series in found.series if (series.kind, series.contrast) == (kind, contrast))


def test_the_known_truth_is_found(found):
    """A pixel counts as dark from 5/9 of the contrast on: nearly the spot's own area, 50 pixels at 8 across."""
    curve = one(found, "spot", -90.0).curve
    truth = 2 * math.sqrt(50 / math.pi)
    assert truth * 0.97 < curve.a50 < truth * 1.08
    assert curve.a90 < curve.a90_95 < 1.35 * truth
    assert curve.planted == curve.groups == 70


def test_what_cannot_be_seen_is_not_found(found):
    for kind, contrast in (("spot", 60.0), ("scratch", 60.0), ("scratch", -90.0)):
        curve = one(found, kind, contrast).curve
        assert (curve.found, curve.a90, curve.a90_95) == (0, None, None)


def test_every_part_bears_one_defect_of_a_series(found):
    for series in found.series:
        assert len({find.group for find in series.finds}) == len(series.finds) == 70


def test_sizes_are_spread_over_their_logarithm_and_not_by_picture(found):
    finds = one(found, "spot", -90.0).finds
    logs = np.log([find.size for find in finds])
    assert np.histogram(logs, 7, (math.log(2), math.log(24)))[0].tolist() == [10] * 7
    order = [int(find.group.partition("_")[2].partition(".")[0]) for find in finds]
    assert abs(np.corrcoef(order, logs)[0, 1]) < 0.3


def test_false_calls_are_counted_and_not_planted_on(inspector, pictures, tmp_path):
    bad = []
    for number in range(5):
        path = tmp_path / f"dark{number}.png"
        Image.fromarray(np.full((64, 80, 3), 20, np.uint8)).save(path)
        bad.append(Good(path, path.name))
    some = survey(inspector, pictures[:20] + bad, Asked(("spot",), (-90.0,), plantings=20))
    assert (some.false_calls.hits, some.false_calls.of) == (5, 25)
    assert not {find.group for find in some.series[0].finds} & {picture.group for picture in bad}
    assert some.notes == (ANYWHERE,)
    more = survey(inspector, pictures[:12] + bad, Asked(("spot",), (-90.0,), plantings=12))
    assert "5 of 17 good pictures are not passed" in more.notes[1]
    assert all(note in table(more) for note in more.notes)


def test_too_few_parts_come_again_in_turn(inspector, pictures):
    found = survey(inspector, pictures[:15], Asked(("spot",), (-90.0,), (2.0, 24.0), plantings=40))
    (series,) = found.series
    times = [sum(find.group == picture.group for find in series.finds) for picture in pictures[:15]]
    assert set(times) == {2, 3}
    assert series.curve.groups == 15


def test_the_same_seed_gives_the_same_survey(inspector, pictures):
    asked = [Asked(("crack",), (-40.0,), plantings=12, seed=seed) for seed in (1, 1, 2)]
    said = [json.dumps(survey(inspector, pictures[:12], one).as_dict()) for one in asked]
    assert said[0] == said[1] != said[2]


def test_defects_lie_in_the_models_region_and_on_the_mask(pictures, tmp_path):
    spec = InputSpec(size=(16, 16), roi=(0.5, 0, 1, 1), mean=(0.5,) * 3, std=(0.2,) * 3)
    mask = np.zeros((64, 80), np.uint8)
    mask[:32] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    asked = Asked(("spot",), (-60.0,), (2.0, 10.0), plantings=30, where=tmp_path / "mask.png")
    found = survey(Inspector(dark_model(50, input=spec)), pictures[:30], asked)
    boxes = np.array([find.box for find in found.series[0].finds])
    assert boxes[:, 0].min() >= 40 and boxes[:, 3].max() <= 32


def test_a_mask_for_every_picture(inspector, pictures, tmp_path):
    for number, picture in enumerate(pictures[:20]):
        mask = np.zeros((64, 80), np.uint8)
        mask[:, 40:] = 255 * (number % 2)
        mask[:, :40] = 255 * (number % 2 == 0)
        Image.fromarray(mask).save(tmp_path / f"{picture.path.stem}.png")
    found = survey(inspector, pictures[:20], Asked(("spot",), (-60.0,), (2.0, 10.0), 20, where=tmp_path))
    for find in found.series[0].finds:
        number = [picture.group for picture in pictures].index(find.group)
        assert (find.box[0] >= 40) if number % 2 else (find.box[2] <= 40)
    assert found.notes == ()
    (tmp_path / f"{pictures[3].path.stem}.png").unlink()
    with pytest.raises(BadFrame, match=pictures[3].path.stem):
        survey(inspector, pictures[:20], Asked(("spot",), (-60.0,), (2.0, 10.0), 20, where=tmp_path))


def test_a_mask_of_another_size(inspector, pictures, tmp_path):
    Image.fromarray(np.full((10, 10), 255, np.uint8)).save(tmp_path / "mask.png")
    with pytest.raises(
        BadData, match=r"mask\.png: expected a mask of .*part.*'s size \(64, 80\), found \(10, 10\)"
    ):
        survey(inspector, pictures[:12], Asked(where=tmp_path / "mask.png", plantings=12))


def test_too_few_pictures_that_pass(inspector, pictures):
    with pytest.raises(BadData, match="at least 10 good pictures that the model passes, found 9 of 9"):
        survey(inspector, pictures[:9])


def test_no_room(inspector, pictures):
    with pytest.raises(BadData, match="expected places for 12 defects"):
        survey(inspector, pictures[:12], Asked(("spot",), (-60.0,), (70.0, 90.0), plantings=12))


def test_a_picture_that_cannot_be_read(inspector, pictures, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(BadFrame, match=r"broken\.png"):
        survey(inspector, [*pictures[:12], Good(tmp_path / "broken.png", "x")])


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"kinds": ("dot",)}, "expected kinds of spot, stain, scratch, crack, found"),
        ({"kinds": ()}, "expected kinds"),
        ({"contrasts": (0.0,)}, "1 to 255 grey levels"),
        ({"contrasts": ()}, "1 to 255 grey levels"),
        ({"contrasts": (math.nan,)}, "1 to 255 grey levels"),
        ({"sizes": (5.0, 5.0)}, "0.5 <= low < high"),
        ({"sizes": (0.1, 5.0)}, "0.5 <= low < high"),
        ({"plantings": 5}, "at least 10 plantings"),
    ],
)
def test_what_cannot_be_planted(wrong, complaint):
    with pytest.raises(BadData, match=complaint):
        Asked(**wrong)


def test_progress_counts_every_verdict(inspector, pictures):
    told = []
    survey(inspector, pictures[:12], Asked(("spot",), (-60.0, 60.0), plantings=15), progress=told.append)
    assert sum(told) == 12 + 2 * 15


def test_as_json_rows_and_text(found):
    said = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert said["statement"].startswith("Planted defects, of these shapes and contrasts; not your real ones")
    assert len(said["series"][0]["planted"]) == 70
    listed = rows(found)
    assert len(listed) == 4 * 70 and all(len(row) == len(COLUMNS) for row in listed)
    lines = table(found).splitlines()
    assert lines[0] == found.statement
    (row,) = [line for line in lines if line.startswith("spot") and " -90 " in line]
    curve = one(found, "spot", -90.0).curve
    assert f"{curve.a90_95:.3g} ({curve.a90_95 / 2:.3g})" in row


def test_the_sheet_shows_found_and_missed(found):
    picture = np.asarray(sheet(found))
    colours = {tuple(pixel) for pixel in picture[1:-1:7, 1::7].reshape(-1, 3)}
    assert {(31, 106, 165), (196, 80, 12)} <= colours
    shown = [find for find in one(found, "spot", -90.0).finds if find.crop is not None]
    assert len(shown) == 8
    assert {find.decision == PASS for find in shown} == {True, False}

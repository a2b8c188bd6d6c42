"""The painter of parts: repeatable, honest about its defects, and without a shortcut that would tell them."""

import csv
import itertools
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from PIL import Image
from scipy import ndimage

from visiontune.data.painter import KINDS, STYLES, paint_folder, paint_part
from visiontune.data.painter.camera import Pose, look
from visiontune.data.painter.folder import BLOCK, _kind
from visiontune.data.painter.light import Light, shade
from visiontune.data.painter.machining import machine
from visiontune.data.painter.noise import cloud, spread
from visiontune.data.painter.strokes import trace
from visiontune.data.painter.surface import Surface, canvas
from visiontune.data.read import read
from visiontune.runtime.errors import BadData

SMALL = (72, 80)
DEFECTS = KINDS[1:]


def grey(shot):
    return shot.image.astype(float).mean(axis=2)


@pytest.mark.parametrize(("kind", "style"), list(itertools.product(KINDS, STYLES)))
def test_every_kind_on_every_style(kind, style):
    shots = paint_part(5, kind, exposures=2, size=SMALL, style=style)
    assert [shot.exposure for shot in shots] == [0, 1]
    for shot in shots:
        assert shot.image.shape == (*SMALL, 3)
        assert shot.image.dtype == np.uint8
        assert shot.mask.shape == SMALL
        assert shot.mask.dtype == bool
        assert shot.mask.any() == bool(shot.boxes) == (kind != "good")
        assert 25 < grey(shot).mean() < 190
        assert grey(shot).std() > 3
        assert (shot.image == 255).mean() < 0.15


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    kind=st.sampled_from(DEFECTS),
    size=st.tuples(st.integers(32, 97), st.integers(32, 97)),
    severity=st.floats(0, 1),
    difficulty=st.floats(0, 1),
)
def test_any_size_shows_its_defect_in_tight_boxes(seed, kind, size, severity, difficulty):
    (shot,) = paint_part(seed, kind, exposures=1, size=size, severity=severity, difficulty=difficulty)
    assert shot.image.shape == (*size, 3)
    assert shot.mask.any()
    boxed = np.zeros(size, bool)
    for box in shot.boxes:
        assert box.kind == kind
        assert 0 <= box.x0 < box.x1 <= size[1]
        assert 0 <= box.y0 < box.y1 <= size[0]
        inside = shot.mask[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)]
        for border in (inside[0], inside[-1], inside[:, 0], inside[:, -1]):
            assert border.any()
        boxed[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = True
    assert not (shot.mask & ~boxed).any()
    assert len(shot.boxes) == 1 or kind == "pit"


def test_the_same_seed_gives_the_same_bytes():
    for once, again in zip(
        paint_part(11, "crack", size=SMALL), paint_part(11, "crack", size=SMALL), strict=True
    ):
        assert once.image.tobytes() == again.image.tobytes()
        assert once.mask.tobytes() == again.mask.tobytes()
        assert once.boxes == again.boxes
    other = paint_part(12, "crack", size=SMALL)[0]
    assert (other.image != once.image).mean() > 0.5


def test_an_exposure_does_not_depend_on_how_many_there_are():
    (one,) = paint_part(11, "dent", exposures=1, size=SMALL)
    four = paint_part(11, "dent", exposures=4, size=SMALL)
    assert (one.image == four[0].image).all()


@pytest.mark.parametrize("kind", DEFECTS)
def test_the_defect_is_what_differs_from_the_same_part_without_it(kind):
    """Nearly all of the squared difference lies in the mask, widened by the blur of the lens."""
    shares = []
    for seed in range(8):
        bad, good = (paint_part(seed, name, exposures=1, size=(128, 128))[0] for name in (kind, "good"))
        difference = (grey(bad) - grey(good)) ** 2
        near = ndimage.binary_dilation(bad.mask, iterations=2)
        shares.append(difference[near].sum() / difference.sum())
        far = ~ndimage.binary_dilation(bad.mask, iterations=12)
        assert (bad.image != good.image)[far].mean() < 0.10  # glare of one level, not more
        assert np.abs(grey(bad) - grey(good))[far].max() <= 2
    assert min(shares) > 0.7
    assert np.median(shares) > 0.9


@pytest.mark.parametrize("kind", DEFECTS)
def test_severity_is_what_one_sees(kind):
    def change(severity):
        total = 0.0
        for seed in range(6):
            bad, good = (
                paint_part(seed, name, exposures=1, size=(128, 128), severity=severity)[0]
                for name in (kind, "good")
            )
            total += ((grey(bad) - grey(good)) ** 2).sum()
        return total

    assert 0 < change(0.1) < change(0.5) < change(1.0)


@pytest.mark.parametrize("kind", ["pit", "crack"])
def test_holes_swallow_light(kind):
    for seed in range(6):
        bad, good = (paint_part(seed, name, exposures=1, severity=1.0)[0] for name in (kind, "good"))
        deep = ndimage.binary_erosion(bad.mask) if kind == "pit" else bad.mask
        assert np.median(grey(bad)[deep]) < 0.75 * np.median(grey(good)[deep])


def test_exposures_share_the_part_and_differ_in_light_and_pose():
    for seed in range(6):
        shots = paint_part(seed, "stain", size=(128, 128), severity=0.8)
        for a, b in itertools.combinations(shots, 2):
            assert np.abs(grey(a) - grey(b)).mean() > 1
            assert (a.camera, a.lot, a.part, a.kind) == (b.camera, b.lot, b.part, b.kind)
            middles = [np.array(ndimage.center_of_mass(shot.mask)) for shot in (a, b)]
            assert np.abs(middles[0] - middles[1]).max() < 8
            assert 0.8 < a.mask.sum() / b.mask.sum() < 1.25
            moved = ndimage.shift(a.mask.astype(float), middles[1] - middles[0], order=1) > 0.5
            assert (moved & b.mask).sum() / (moved | b.mask).sum() > 0.7


def test_the_light_moves_what_a_dent_shows():
    """A dent is geometry, not paint: between exposures its bright side turns with the lamp."""
    turned = []
    for seed in range(12):
        bad, good = (
            paint_part(seed, kind, exposures=4, size=(128, 128), severity=1.0) for kind in ("dent", "good")
        )
        for shot, twin in zip(bad, good, strict=True):
            change = np.where(shot.mask, grey(shot) - grey(twin), 0)
            if change.max() > 10 and change.min() < -10:
                light, dark = (ndimage.center_of_mass(np.clip(side, 0, None)) for side in (change, -change))
                turned.append((seed, np.arctan2(light[0] - dark[0], light[1] - dark[1])))
    spread_of = [
        np.ptp([angle for other, angle in turned if other == seed])
        for seed in range(12)
        if sum(other == seed for other, _ in turned) > 1
    ]
    assert len(spread_of) > 3
    assert np.median(spread_of) > 0.1


def auc(bad, good):
    """Probability that a bad part scores above a good one, ties count half: by comparing all pairs."""
    bad, good = np.asarray(bad)[:, None], np.asarray(good)[None, :]
    return ((bad > good) + 0.5 * (bad == good)).mean()


@pytest.mark.parametrize("kind", DEFECTS)
def test_brightness_and_contrast_do_not_tell_the_defect(kind):
    """The same parts with and without the defect: what a statistic of the whole picture gains is near chance."""
    twins = [
        [grey(paint_part(seed, name, exposures=1, size=(96, 96))[0]) for seed in range(40)]
        for name in (kind, "good")
    ]
    for statistic in (np.mean, np.std, np.median, np.max):
        bad, good = ([statistic(picture) for picture in pictures] for pictures in twins)
        assert 0.4 < auc(bad, good) < 0.6, statistic.__name__


def test_good_parts_carry_litter_when_asked():
    plain, littered = (
        paint_part(3, "good", exposures=1, size=(128, 128), difficulty=difficulty, product=1)[0]
        for difficulty in (0.0, 1.0)
    )
    assert not littered.mask.any()
    assert np.abs(grey(plain) - grey(littered)).max() > 8


def test_parts_of_one_product_look_alike():
    def silhouette(seed, product):
        (shot,) = paint_part(seed, "good", exposures=1, size=(96, 96), style="turned", product=product)
        picture = ndimage.gaussian_filter(grey(shot), 1.5)
        return (picture - picture.mean()) / picture.std()

    same = [(silhouette(2 * k, 4) * silhouette(2 * k + 1, 4)).mean() for k in range(5)]
    other = [(silhouette(k, 4) * silhouette(k, 5 + k)).mean() for k in range(5)]
    assert np.mean(same) > np.mean(other) + 0.1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "rust"}, "kind"),
        ({"style": "woven"}, "style"),
        ({"exposures": 0}, "exposure"),
        ({"size": (31, 64)}, "32 pixels"),
        ({"severity": 1.5}, "severity"),
        ({"difficulty": float("nan")}, "difficulty"),
    ],
)
def test_values_outside_their_range_are_refused(wrong, message):
    with pytest.raises(BadData, match=message):
        paint_part(1, **{"kind": "good", **wrong})


# The folder.


def painted(folder, **settings):
    return paint_folder(folder, **{"parts": 6, "exposures": 2, "size": (40, 48), "seed": 2, **settings})


def rows(folder):
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_folder_is_read_back_as_it_was_painted(tmp_path):
    done = []
    folder = painted(tmp_path / "deep" / "parts", parts=10, progress=done.append)
    assert done == list(range(1, 11))
    data = read(folder)
    assert data.good == data.classes[0] == "good"
    assert set(data.classes) == set(KINDS)
    assert len(data) == 20
    assert len({sample.group for sample in data}) == 10
    for sample in data:
        assert Image.open(sample.path).size == (48, 40)
        assert set(sample.attributes) == {"camera", "lot", "exposure"}
        assert (sample.boxes == ()) == (sample.mask is None) == (sample.label == "good")
        if sample.mask:
            mask = np.asarray(Image.open(sample.mask))
            assert set(np.unique(mask)) == {0, 255}
            assert mask.shape == (40, 48)
            assert min(box.x0 for box in sample.boxes) == np.flatnonzero(mask.any(axis=0))[0]
            assert max(box.y1 for box in sample.boxes) == np.flatnonzero(mask.any(axis=1))[-1] + 1


def test_a_part_does_not_depend_on_how_many_there_are(tmp_path):
    few, many = painted(tmp_path / "few", parts=3), painted(tmp_path / "many", parts=5)
    assert rows(few) == rows(many)[:6]
    for row in rows(few):
        assert (few / row["path"]).read_bytes() == (many / row["path"]).read_bytes()


def test_kinds_are_spread_evenly_and_out_of_step_with_the_numbers():
    kinds = [_kind(0, index, 0.5) for index in range(200)]
    for start in range(0, 200, BLOCK):
        assert sorted(kinds[start : start + BLOCK]) == sorted([*KINDS, *["good"] * 4])
    for step in (2, 5, 10):
        for rest in range(step):
            assert 0.2 < np.mean([kind == "good" for kind in kinds[rest::step]]) < 0.8
    assert {_kind(0, index, 0.0) for index in range(40)} == {"good"}
    assert {_kind(0, index, 1.0) for index in range(40)} == set(DEFECTS)
    assert sum(_kind(0, index, 0.1) != "good" for index in range(200)) == 20


def test_painting_the_same_set_again_changes_nothing(tmp_path):
    folder = painted(tmp_path / "parts")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert painted(tmp_path / "parts") == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_anything_else_in_the_folder_is_left_alone(tmp_path):
    folder = painted(tmp_path / "parts")
    with pytest.raises(BadData, match="another set"):
        painted(folder, seed=3)
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(BadData, match="files missing"):
        painted(folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    with pytest.raises(BadData, match="empty folder"):
        painted(tmp_path / "mine")
    with pytest.raises(BadData, match="found a file"):
        painted(tmp_path / "mine" / "notes.txt")
    (tmp_path / "empty").mkdir()
    assert len(rows(painted(tmp_path / "empty"))) == 12


def test_a_broken_off_painting_leaves_nothing_behind(tmp_path):
    def stop(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        painted(tmp_path / "parts", progress=stop)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [{"parts": 0}, {"products": 0}, {"defective": 1.2}])
def test_settings_outside_their_range_are_refused(tmp_path, wrong):
    with pytest.raises(BadData, match="expected at least 1 part"):
        painted(tmp_path / "parts", **wrong)
    assert not list(tmp_path.iterdir())


# The arithmetic underneath, against slow and plain versions.


@pytest.mark.parametrize("style", STYLES)
def test_the_maps_of_a_part_are_sound(style):
    part = machine(np.random.default_rng(1), np.random.default_rng(2), style, (45, 60))
    maps = {f.name: getattr(part, f.name) for f in fields(part) if f.name not in ("size", "unit")}
    for name, array in maps.items():
        assert array.dtype == np.float32, name
        assert array.shape == part.shape, name
        assert np.isfinite(array).all(), name
    for name in ("along", "across", "gloss", "matte"):
        assert (maps[name] > 0).all(), name
    rim = np.abs(part.depth) < 1  # where a bore ends the direction has no meaning, elsewhere it is a unit
    length = np.hypot(part.grain_x, part.grain_y)[~rim & (part.depth > 0)]
    assert np.quantile(np.abs(length - 1), 0.99) < 1e-3


def test_shading_agrees_with_the_formula_pixel_by_pixel():
    x, y = canvas((32, 40))
    part = Surface.blank((32, 40), 0 * x + 0 * y + 9, 0.1, 0.3)
    rng = np.random.default_rng(0)
    part.tilt_x, part.tilt_y = (rng.normal(0, 0.2, part.shape).astype(np.float32) for _ in range(2))
    turn = rng.uniform(0, 6, part.shape)
    part.grain_x, part.grain_y = np.cos(turn).astype(np.float32), np.sin(turn).astype(np.float32)
    light = Light(azimuth=0.7, elevation=0.9, extent=0.2, strength=1.3, near=0.2, fall=0.1)
    fast = shade(part, (light,), 0.1)
    h, w = part.shape
    for row, col in rng.integers(0, (h, w), (30, 2)):
        px, py = (col - (w - 1) / 2) / (min(h, w) / 2), (row - (h - 1) / 2) / (min(h, w) / 2)
        lx, ly, up = np.cos(0.9) * np.cos(0.6), np.cos(0.9) * np.sin(0.6), np.sin(0.9)
        tilt = np.array([part.tilt_x[row, col], part.tilt_y[row, col]])
        facet = np.array([lx, ly]) / (1 + up) - 0.2 * np.array([px, py]) - tilt
        groove = np.array([part.grain_x[row, col], part.grain_y[row, col]])
        u, v = facet @ groove, facet @ [-groove[1], groove[0]]
        a, b = np.hypot(0.1, 0.2), np.hypot(0.3, 0.2)
        strength = 1.3 * (1 + 0.1 * (lx * px + ly * py))
        gloss = strength / (a * b * (1 + (u / a) ** 2 + (v / b) ** 2) ** 2)
        matte = 8 * 0.12 * strength * max(up + lx * tilt[0] + ly * tilt[1], 0)
        assert fast[row, col] == pytest.approx((gloss + matte) / np.sqrt(1 + tilt @ tilt), rel=1e-4)
    assert shade(part, (light,), 0.1, 8) == pytest.approx(fast[::8, ::8], rel=1e-5)


def test_a_pose_moves_and_turns_what_the_camera_sees():
    x, y = canvas((40, 60))
    spot = np.exp(-((x - 16) ** 2 + y**2) / 50)  # 8 frame pixels right of the middle
    for pose, where in [
        (Pose(0, 0, 0), (19.5, 37.5)),
        (Pose(5, 0, 0), (19.5, 42.5)),
        (Pose(0, -3, 0), (16.5, 37.5)),
        (Pose(0, 0, np.pi / 2), (27.5, 29.5)),  # y points down: a positive turn is clockwise
    ]:
        assert ndimage.center_of_mass(look(spot, (40, 60), pose)) == pytest.approx(where, abs=0.05)


def test_grooves_shine_towards_the_lamp_across_them():
    """The bow tie of a turned face: bright where the grooves lie across the lamp's direction."""
    part = Surface.blank(
        (64, 64), np.full(canvas((64, 64))[0].shape, 9, np.float32) + 0 * canvas((64, 64))[1], 0.06, 0.3
    )
    lamps = [Light(azimuth, 0.9, 0.1, 1.0, 0.0, 0.0) for azimuth in (0.0, np.pi / 2)]
    along, across = (shade(part, (lamp,), 0.0).mean() for lamp in lamps)
    assert across > 3 * along


def test_a_stroke_knows_the_distance_to_its_path():
    path = np.stack([np.linspace(10, 30, 41), np.full(41, 20.0)], axis=1)
    stroke = trace(path, (40, 40), 3.0)
    found = {(r, c): s for r, c, s in zip(stroke.rows, stroke.cols, stroke.side, strict=True)}
    assert len(found) == len(stroke.rows)
    for row in range(40):
        for col in range(40):
            far = np.hypot(path[:, 0] - col, path[:, 1] - row).min()
            assert ((row, col) in found) == (far <= 3.0)
            if far <= 3.0:
                assert abs(found[row, col]) == pytest.approx(far, abs=1e-5)
                assert np.sign(found[row, col]) in (0, np.sign(row - 20)) or row == 20


def test_fields_are_smooth_and_of_unit_deviation():
    field = cloud(np.random.default_rng(0), (300, 260), 8)
    assert field.shape == (300, 260)
    assert 0.7 < field.std() < 1.4
    assert np.abs(np.diff(field, axis=0)).max() < 1.5
    ramp = spread(np.arange(12, dtype=np.float32), 50, 0)
    assert ramp == pytest.approx(np.linspace(1, 10, 50), abs=1e-3)  # B-splines keep straight lines

"""Measuring: counts against a slow recount, bounds, groups, refusals, speed."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.line_models import CLASSES, a_card, level, table_model
from visiontune import BadData, BadFrame, BadModel, CalibrationRefused, Inspector, Verdict
from visiontune.runtime import binomial
from visiontune.runtime.costs import Costs
from visiontune.runtime.measure import measure
from visiontune.runtime.measurement import table
from visiontune.runtime.region_bands import RegionBands


@dataclass
class Sample:
    path: Path
    label: str | None
    group: str


class Scripted:
    """An inspector that says what the path tells: decision and kind."""

    def __init__(self, verdicts, card=None):
        self.verdicts = iter(verdicts)
        self.card = card or a_card()

    def __call__(self, frame):
        decision, kind = next(self.verdicts)
        return Verdict(decision, 0.5, kind, {name: float(name == kind) for name in self.card.classes})


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "frame.png"
    Image.fromarray(level(1)).save(path)
    return path


def measured(picture, rows, *, good="good", **options):
    """Measures rows of (label, group, decision, kind)."""
    parts = [Sample(picture, label, group) for label, group, _, _ in rows]
    inspector = Scripted([(decision, kind) for _, _, decision, kind in rows], a_card(good=good))
    return measure(inspector, parts, **options)


row = st.tuples(
    st.sampled_from(CLASSES),
    st.sampled_from("abcd"),
    st.sampled_from(["pass", "review", "reject"]),
    st.sampled_from(CLASSES),
)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(row, min_size=1, max_size=30), st.sampled_from(["good", None]))
def test_counts_are_those_of_a_slow_recount(picture, rows, good):
    found = measured(picture, rows, good=good, bootstrap=0)
    bad = [r for r in rows if r[0] != "good"]
    fine = [r for r in rows if r[0] == "good"]
    recalls = {}
    for name in CLASSES:
        members = [r for r in rows if r[0] == name]
        if members:
            hits = sum(r[3] == name for r in members)
            recalls[name] = hits / len(members)
            assert (found.recall[name].hits, found.recall[name].of) == (hits, len(members))
    assert set(found.recall) == set(recalls)
    assert found.balanced_accuracy == pytest.approx(sum(recalls.values()) / len(recalls))
    assert (found.top1.hits, found.top1.of) == (sum(r[0] == r[3] for r in rows), len(rows))
    assert found.confusion == [[sum(r[0] == t and r[3] == p for r in rows) for p in CLASSES] for t in CLASSES]
    assert found.review.hits == sum(r[2] == "review" for r in rows)
    assert (found.n, found.groups) == (len(rows), len({r[1] for r in rows}))
    if good is None:
        assert (found.escapes, found.escaped_groups, found.overkill) == (None, None, None)
        return
    assert (found.escapes.hits, found.escapes.of) == (sum(r[2] == "pass" for r in bad), len(bad))
    assert (found.overkill.hits, found.overkill.of) == (sum(r[2] == "reject" for r in fine), len(fine))
    escaped = {r[1] for r in bad if r[2] == "pass"}
    assert (found.escaped_groups.hits, found.escaped_groups.of) == (len(escaped), len({r[1] for r in bad}))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(row, min_size=2, max_size=20))
def test_intervals_are_those_of_a_slow_bootstrap(picture, rows):
    found = measured(picture, rows, bootstrap=60, confidence=0.8)
    names = list(dict.fromkeys(r[1] for r in rows))
    if len(names) < 2:
        assert found.intervals == {"balanced_accuracy": None, "top1": None, "escapes": None}
        return
    samples = {"balanced_accuracy": [], "top1": [], "escapes": []}
    for drawn in np.random.default_rng(20250101).integers(len(names), size=(60, len(names))):
        again = [r for index in drawn for r in rows if r[1] == names[index]]
        one = measured(picture, again, bootstrap=0)
        samples["balanced_accuracy"].append(one.balanced_accuracy)
        samples["top1"].append(one.top1.rate)
        if one.escapes.of:
            samples["escapes"].append(one.escapes.rate)
    for name, values in samples.items():
        wanted = tuple(np.percentile(values, [10, 90])) if values else None
        assert found.intervals[name] == (wanted if wanted is None else pytest.approx(wanted))


def test_bounds_are_the_exact_ones(picture):
    rows = [("crack", str(i), "pass" if i == 0 else "reject", "crack") for i in range(93)]
    escapes = measured(picture, rows).escapes
    assert (escapes.low, escapes.high) == binomial.interval(1, 93)
    assert escapes.upper == binomial.upper(1, 93) <= 0.05
    assert escapes.rate == pytest.approx(1 / 93)


def test_without_defective_parts_nothing_is_certified(picture):
    found = measured(picture, [("good", "a", "pass", "good"), ("good", "b", "pass", "good")])
    assert (found.escapes.rate, found.escapes.low, found.escapes.upper) == (None, 0, 1)
    assert found.intervals["escapes"] is None
    assert "-" in table(found)


def test_one_group_has_no_interval(picture):
    found = measured(picture, [("good", "a", "pass", "good"), ("crack", "a", "pass", "good")])
    assert set(found.intervals.values()) == {None}


def test_measures_a_real_model_from_files(tmp_path):
    severity = np.linspace(0, 1, 256)
    kinds = np.column_stack([1 - severity, severity, 0 * severity])
    inspector = Inspector(table_model({"severity": severity, "kinds": kinds}))
    parts = []
    for value, label in (
        (10, "good"),
        (120, "good"),
        (250, "good"),
        (20, "crack"),
        (240, "crack"),
        (255, "scratch"),
    ):
        path = tmp_path / f"{value}.png"
        Image.fromarray(level(value)).save(path)
        parts.append(Sample(path, label, path.stem))
    seen = []
    found = measure(inspector, iter(parts), progress=seen.append)
    assert seen == [1] * 6
    assert (found.escapes.hits, found.escapes.of) == (1, 3)  # 20 passes
    assert (found.overkill.hits, found.overkill.of) == (1, 3)  # 250 is rejected
    assert found.review.hits == 1
    assert found.confusion == [[2, 1, 0], [1, 1, 0], [0, 1, 0]]
    assert 0 < found.judge_ms.p50 <= found.judge_ms.p99
    assert 0 < found.decode_ms.p50 <= found.decode_ms.p99


def test_results_are_json_and_repeat(picture):
    rows = [(CLASSES[i % 3], str(i % 5), "pass", CLASSES[i % 2]) for i in range(30)]
    first, second = (measured(picture, rows).as_dict() for _ in range(2))
    for found in (first, second):
        del found["judge_ms"], found["decode_ms"]
    assert first == second
    assert json.loads(json.dumps(first, allow_nan=False))["escapes"]["of"] == 20


# refusals


def test_unlabelled_and_unknown_labels_are_named(picture):
    inspector = Scripted([])
    with pytest.raises(BadData, match=r"1 parts without a label: .*frame\.png"):
        measure(inspector, [Sample(picture, None, "a"), Sample(picture, "good", "b")])
    many = [Sample(Path(f"{i}.png"), "dent", "a") for i in range(8)]
    with pytest.raises(
        BadData, match=r"out of good, crack, scratch, .*8 parts .*0\.png \(dent\).* and 3 more"
    ):
        measure(inspector, many)


def test_no_parts_are_refused():
    with pytest.raises(BadData, match="found none"):
        measure(Scripted([]), [])


def test_an_unreadable_picture_stops_the_measurement(tmp_path):
    path = tmp_path / "bad.png"
    path.write_bytes(b"nothing")
    with pytest.raises(BadFrame, match=r"bad\.png"):
        measure(Scripted([]), [Sample(path, "good", "a")])


def test_a_model_that_names_nothing_is_refused(picture):
    with pytest.raises(BadModel, match=r"frame\.png"):
        measured(picture, [("good", "a", "review", "")])


def test_confidence_must_be_one(picture):
    with pytest.raises(ValueError, match="confidence"):
        measured(picture, [("good", "a", "pass", "good")], confidence=1.0)


# text


def test_the_table_leads_with_escapes_and_tells_the_bounds(picture):
    rows = [("crack", str(i // 2), "pass" if i == 0 else "reject", "crack") for i in range(100)]
    rows += [("good", f"g{i}", "pass", "good") for i in range(50)]
    found = measured(picture, rows)
    lines = table(found).splitlines()
    assert lines[0].startswith("150 parts in 100 groups")
    assert lines[2].split()[:3] == ["escapes", "1.00%", "1/100"]
    assert f"at most {100 * binomial.upper(1, 100):.2f}% certified" in lines[2]
    assert lines[3].split()[:4] == ["by", "group", "2.00%", "1/50"]
    assert str(found) == table(found)
    assert max(map(len, lines)) < 130


def test_many_classes_show_the_commonest_confusions(picture):
    names = tuple(f"sign {i}" for i in range(43))
    rows = [(name, name, "pass", names[0]) for name in names for _ in range(1 + (name == "sign 7"))]
    inspector = Scripted([(r[2], r[3]) for r in rows], a_card(classes=names, good=None))
    text = str(measure(inspector, [Sample(picture, r[0], r[1]) for r in rows], bootstrap=10))
    assert "sign 7 named sign 0" in text
    assert max(map(len, text.splitlines())) < 130
    assert "escapes" not in text


def test_ten_thousand_parts_are_counted_in_seconds(picture, monkeypatch):
    monkeypatch.setattr("visiontune.runtime.judging.decode", lambda path, window: None)
    rng = np.random.default_rng(0)
    rows = [
        (CLASSES[k], str(i), "pass", CLASSES[k]) for i, k in enumerate(rng.integers(0, 3, 10_000).tolist())
    ]
    begin = perf_counter()
    found = measured(picture, rows)
    assert perf_counter() - begin < 10
    assert math.isclose(found.balanced_accuracy, 1)


# by part, at the line's rate, by group


def test_parts_are_counted_by_the_picture_that_does_most_harm(picture):
    rows = [
        ("crack", "a", "pass", "crack"),
        ("crack", "a", "reject", "crack"),
        ("crack", "b", "reject", "crack"),
        ("good", "c", "pass", "good"),
        ("good", "c", "reject", "good"),
        ("good", "d", "review", "good"),
        ("good", "e", "pass", "good"),
    ]
    found = measured(picture, rows, prevalence=0.01)
    assert found.parts["defective"] == {"pass": 1, "review": 0, "reject": 1}
    assert found.parts["good"] == {"pass": 1, "review": 1, "reject": 1}
    assert (found.escaped_groups.hits, found.escaped_groups.of) == (1, 2)
    assert (found.overkill_groups.hits, found.overkill_groups.of) == (1, 3)
    shipped = 0.01 / 2 / (0.01 / 2 + 0.99 * 2 / 3)
    assert found.line.shipped_escapes.value == pytest.approx(1e6 * shipped)
    assert found.line.review.value == pytest.approx(1e6 * 0.99 / 3)
    assert (found.line.set_prevalence.hits, found.line.set_prevalence.of) == (2, 5)


def test_costs_at_the_lines_rate(picture):
    rows = [("crack", str(i), "pass" if i < 2 else "reject", "crack") for i in range(20)]
    rows += [("good", f"g{i}", "reject" if i < 5 else "pass", "good") for i in range(50)]
    costs = Costs(escape=100, overkill=5, review=1)
    found = measured(picture, rows, prevalence=0.02, costs=costs)
    assert found.line.cost.value == pytest.approx(1e6 * (0.02 * 100 * 0.1 + 0.98 * 5 * 0.1))
    low, high = found.line.cost_interval
    assert found.line.cost.low < low < found.line.cost.value < high < found.line.cost.high
    assert found.line.differs
    text = table(found)
    assert "per million shipped" in text and "escape 100, overkill 5, review 1" in text
    assert "warning: 28.57% of the measured parts are defective" in text
    assert max(map(len, text.splitlines())) < 150
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["line"]["costs"]["escape"] == 100


def test_a_set_with_the_lines_rate_warns_of_nothing(picture):
    rows = [("crack", "0", "reject", "crack")] + [("good", f"g{i}", "pass", "good") for i in range(49)]
    found = measured(picture, rows, prevalence=0.02)
    assert not found.line.differs and "warning" not in table(found)
    assert found.line.cost is None


def test_what_is_asked_of_the_line_must_make_sense(picture):
    rows = [("crack", "0", "reject", "crack"), ("good", "1", "pass", "good")]
    costs = Costs(escape=100, overkill=5, review=1)
    with pytest.raises(CalibrationRefused, match="expected the prevalence"):
        measured(picture, rows, costs=costs)
    with pytest.raises(CalibrationRefused, match="between 0 and 1, found 2"):
        measured(picture, rows, prevalence=2)
    with pytest.raises(CalibrationRefused, match="one that sorts"):
        measured(picture, rows, prevalence=0.1, good=None)


def test_the_bad_camera_is_found(picture):
    rows, parts = [], []
    for i in range(200):
        camera, bad = i % 4, i % 2
        decision = "pass" if not bad or (camera == 3 and i % 3) else "reject"
        rows.append((decision, "crack" if bad else "good"))
        parts.append(Sample(picture, "crack" if bad else "good", str(i)))
        parts[-1].attributes = {"camera": str(camera), "serial": str(i)}
    found = measure(Scripted(rows), parts)
    worst = next(one for one in found.slices if (one.by, one.harm) == ("camera", "escapes"))
    assert (worst.value, worst.rate.hits, worst.rate.of) == ("3", 33, 50)
    assert worst.p < 1e-6
    assert found.not_compared == ("serial",)
    text = table(found)
    assert "escapes by camera, worst first" in text and "; worse than the others" in text
    assert "corrected (Holm)" in text and "nearly every part: serial" in text
    assert measure(Scripted(rows), parts, by=["serial"]).not_compared == ()


def test_long_lists_show_the_worst_and_say_how_many_more(picture):
    rows, parts = [], []
    for i in range(150):
        rows.append(("pass" if i % 30 == 7 else "reject", "crack"))
        parts.append(Sample(picture, "crack", str(i)))
        parts[-1].attributes = {"lot": f"lot {i % 30}"}
    text = table(measure(Scripted(rows), parts))
    lines = text.splitlines()
    assert lines[lines.index("escapes by lot, worst first") + 1].split()[:2] == ["lot", "7"]
    assert (
        lines[lines.index("escapes by lot, worst first") + 3]
        == "  and 28 more without escapes (all of them with --json)"
    )


def test_a_list_of_many_with_escapes_is_cut(picture):
    rows, parts = [], []
    for i in range(150):
        rows.append(("pass" if i // 30 <= i % 3 else "reject", "crack"))
        parts.append(Sample(picture, "crack", str(i)))
        parts[-1].attributes = {"lot": f"lot {i % 30}"}
    lines = table(measure(Scripted(rows), parts)).splitlines()
    assert "  and 18 more (all of them with --json)" in lines


def test_a_model_that_sorts_is_measured_on_what_it_passes(picture):
    names = tuple("abcdefg")
    rows = [("a", "pass", "a"), ("b", "pass", "a"), ("c", "review", "a"), ("g", "pass", "g")]
    inspector = Scripted([(d, kind) for _, d, kind in rows], a_card(classes=names, good=None))
    found = measure(
        inspector, [Sample(picture, label, "1" if i < 3 else "2") for i, (label, _, _) in enumerate(rows)]
    )
    assert (found.wrong_passed.hits, found.wrong_passed.of) == (1, 3)
    assert (found.wrong_passed_groups.hits, found.wrong_passed_groups.of) == (1, 2)
    assert found.parts is found.line is None
    assert "wrong kind" in table(found)


def test_top5_is_among_the_five_most_probable(tmp_path):
    names = tuple("abcdefg")
    kinds = np.zeros((256, 7))
    kinds[:] = np.array([7, 6, 5, 4, 3, 2, 1]) / 28
    inspector = Inspector(
        table_model({"severity": np.zeros(256), "kinds": kinds}, a_card(classes=names, good=None))
    )
    Image.fromarray(level(1)).save(tmp_path / "frame.png")
    found = measure(inspector, [Sample(tmp_path / "frame.png", name, name) for name in names])
    assert (found.top1.hits, found.top5.hits, found.top5.of) == (1, 5, 7)
    assert found.calibration.temperature == inspector.card.temperature
    assert "top-5" in table(found)


# where


@pytest.fixture
def masked(tmp_path):
    """Ten cracks of which frames 100..107 show a hot cell over the mask, and 100 good parts of which 7 shows one too."""
    heat = np.zeros((256, 4, 4), np.float32)
    heat[100:108, 1, 2] = heat[7, 3, 3] = 0.9
    severity = np.where(np.arange(256) >= 100, 0.9, 0.1)
    rows = {"severity": severity, "kinds": np.column_stack([1 - severity, severity, 0 * severity])}
    mask = np.zeros((40, 40), np.uint8)
    mask[12:18, 22:28] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    parts = []
    for value in range(110):
        path = tmp_path / f"{value}.png"
        Image.fromarray(level(value, (40, 40))).save(path)
        parts.append(Sample(path, "crack" if value >= 100 else "good", str(value)))
        parts[-1].mask = tmp_path / "mask.png" if value >= 100 else None
    return parts, rows, heat


def test_a_heatmap_is_measured_against_masks(masked):
    parts, rows, heat = masked
    found = measure(Inspector(table_model({**rows, "heatmap": heat})), parts)
    where = found.localisation
    assert (where.found.hits, where.found.of, where.good) == (8, 10, 100)
    assert (where.found.low, where.found.high) == binomial.interval(8, 10)
    assert (where.false_regions.count, where.false_regions.mean) == (1, 0.01)
    assert where.iou == {"crack": pytest.approx(8 * 36 / (8 * 100 + 2 * 36 + 100))}
    assert where.found_at.found.hits == 8 and where.found_at.above is None
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["localisation"]["found"]["hits"] == 8
    lines = {line.split()[0]: line for line in table(found).splitlines() if line}
    assert (
        "8/10" in lines["found"] and "1/100" in lines["false"] and "regions a good picture" in lines["false"]
    )
    assert "rests on single cells of 1600" in lines["AUPIMO"]
    assert max(map(len, table(found).splitlines())) < 150


def test_the_bands_in_the_card_decide_what_is_found(masked):
    parts, rows, heat = masked
    card = a_card(regions=RegionBands(high=0.95))
    where = measure(Inspector(table_model({**rows, "heatmap": heat}, card)), parts).localisation
    assert (where.found.hits, where.false_regions.count) == (0, 0)
    assert where.found_at.found.hits == 8  # whatever the band


def test_without_heatmap_or_masks_nothing_is_said_of_where(masked):
    parts, rows, heat = masked
    plain = measure(Inspector(table_model(rows)), parts)
    for part in parts:
        part.mask = None
    unmasked = measure(Inspector(table_model({**rows, "heatmap": heat})), parts)
    for found in (plain, unmasked):
        assert found.localisation is None and "localisation" not in found.as_dict()
        assert "where:" not in table(found)


def test_what_was_left_out_is_named(masked):
    parts, rows, heat = masked
    empty = parts[0].path.parent / "empty.png"
    Image.fromarray(np.zeros((40, 40), np.uint8)).save(empty)
    for part in parts[100:105]:
        part.mask = empty
    parts[105].mask = None
    found = measure(Inspector(table_model({**rows, "heatmap": heat})), parts)
    text = table(found)
    assert "left out: 1 defective pictures without a mask" in text
    assert f"so where is unknown: {parts[100].path}, " in text and "and 2 more (--json)" in text
    assert len(found.localisation.empty_masks) == 5

"""Old model against new: counts against a slow recount, the rule of go and no-go, refusals."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binomtest

from tests.line_models import CLASSES, a_card, level, table_model
from tests.runtime.test_measure import Sample, Scripted
from visiontune import BadData, BadModel, CalibrationRefused, Inspector
from visiontune.runtime import binomial
from visiontune.runtime.comparison import compare
from visiontune.runtime.comparison_table import table
from visiontune.runtime.flips import CHANGES


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("frames") / "frame.png"
    Image.fromarray(level(1)).save(path)
    return path


def compared(picture, rows, *, good="good", **options):
    """Compares rows of (label, group, (old decision, old kind), (new decision, new kind))."""
    parts = [Sample(picture, label, group) for label, group, _, _ in rows]
    old, new = (Scripted([row[i] for row in rows], a_card(good=good)) for i in (2, 3))
    return compare(old, new, parts, **options)


verdict = st.tuples(st.sampled_from(["pass", "review", "reject"]), st.sampled_from(CLASSES))
row = st.tuples(st.sampled_from(CLASSES), st.sampled_from("abcdef"), verdict, verdict)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(row, min_size=1, max_size=30), st.sampled_from(["good", None]))
def test_counts_are_those_of_a_slow_recount(picture, rows, good):
    found = compared(picture, rows, good=good)

    def escaped(label, judged):
        return judged[0] == "pass" and (label != judged[1] if good is None else label != "good")

    def held(label, judged):
        return judged[0] != "pass" and (good is None or label == "good")

    for pair, event, side in (
        (found.escapes, escaped, lambda r: good is None or r[0] != "good"),
        (found.held, held, lambda r: good is None or r[0] == "good"),
    ):
        of = {r[1] for r in rows if side(r)}
        before = {r[1] for r in rows if side(r) and event(r[0], r[2])}
        after = {r[1] for r in rows if side(r) and event(r[0], r[3])}
        assert (pair.of, pair.old, pair.new) == (len(of), len(before), len(after))
        assert (pair.worse, pair.better) == (len(after - before), len(before - after))
        changed = len(after ^ before)
        assert pair.p == pytest.approx(binomtest(pair.worse, changed).pvalue if changed else 1)
    if good is not None:  # then a part is on one side only
        assert found.decisions.worse == found.escapes.worse + found.held.worse
        assert found.decisions.of == found.escapes.of + found.held.of
        assert found.flipped == sum(r[2][0] != r[3][0] for r in rows)
    assert len(found.flips) == sum(r[2][0] != r[3][0] or r[2][1] != r[3][1] for r in rows)
    order = [CHANGES.index(flip.change) for flip in found.flips]
    assert order == sorted(order)
    assert found.new_escapes.upper == binomial.upper(found.escapes.worse, found.escapes.of)
    assert found.go == (not found.reasons)


def parts_of(defective, good):
    """Rows from numbers of parts by (old decision, new decision)."""
    rows = []
    for label, side in (("crack", defective), ("good", good)):
        for (old, new), count in side.items():
            rows += [(label, f"{label} {old} {new} {i}", (old, label), (new, label)) for i in range(count)]
    return rows


SAME = {("reject", "reject"): 60}
FINE = {("pass", "pass"): 100}


def test_the_same_verdicts_go(picture):
    found = compared(picture, parts_of(SAME, FINE))
    assert found.go and found.reasons == () and found.flips == ()
    assert found.new_escapes.upper == pytest.approx(0.0487, abs=1e-4)
    text = table(found)
    assert text.endswith("GO: NEW may replace OLD")
    assert "0 of 60 defective parts; at most 4.87% certified" in text
    assert "no picture is judged otherwise" in text


def test_one_new_escape_does_not_go_unless_allowed(picture):
    rows = parts_of({("reject", "reject"): 92, ("review", "pass"): 1, ("pass", "reject"): 9}, FINE)
    found = compared(picture, rows)
    assert not found.go
    assert found.reasons == ("1 of 102 defective parts pass that did not with OLD",)
    assert table(found).splitlines()[-1].startswith("NO-GO: 1 of 102")
    assert compared(picture, rows, allow=0.05).go  # 1 in 93 certifies 5 % at 95 %
    too_few = compared(picture, parts_of({("reject", "reject"): 91, ("review", "pass"): 1}, FINE), allow=0.05)
    assert not too_few.go and "at most 5.05% certified, 5% allowed" in too_few.reasons[0]


@pytest.mark.parametrize(("rate", "parts"), [(0.05, 59), (0.02, 149), (0.01, 299), (0.005, 598)])
def test_the_published_table_of_parts_needed(picture, rate, parts):
    for count, go in ((parts, True), (parts - 1, False)):
        assert compared(picture, parts_of({("reject", "reject"): count}, FINE), allow=rate).go == go


def test_significantly_more_good_parts_held_do_not_go(picture):
    held = {("pass", "pass"): 95, ("pass", "review"): 5}
    found = compared(picture, parts_of(SAME, held))
    assert found.held.p_worse == pytest.approx(1 / 32)
    assert not found.go and "significantly more good parts do not pass: 5 newly" in found.reasons[0]
    assert compared(picture, parts_of(SAME, held), confidence=0.99).go
    assert compared(picture, parts_of(SAME, held | {("reject", "pass"): 2})).go
    assert compared(picture, parts_of(SAME, {("pass", "pass"): 9, ("pass", "reject"): 4})).go  # 1 / 16


def test_review_that_becomes_overkill_is_no_more_held(picture):
    assert compared(picture, parts_of(SAME, {("review", "reject"): 50})).held.worse == 0


def test_nothing_to_try_it_on_is_no_go(picture):
    assert compared(picture, parts_of({}, FINE)).reasons == ("no defective part to try it on",)
    assert compared(picture, parts_of(SAME, {})).reasons == ("no good part to try it on",)


def test_a_callers_doubts_are_reasons(picture):
    found = compared(picture, parts_of(SAME, FINE), doubts=["NEW knows them"])
    assert (found.go, found.reasons) == (False, ("NEW knows them",))


def test_a_part_that_old_let_pass_in_one_picture_is_no_new_escape(picture):
    rows = [
        ("crack", "a", ("pass", "crack"), ("pass", "crack")),
        ("crack", "a", ("reject", "crack"), ("pass", "crack")),
        ("good", "b", ("pass", "good"), ("pass", "good")),
    ]
    found = compared(picture, rows)
    assert found.go and found.escapes.worse == 0
    assert [flip.change for flip in found.flips] == ["new escape"]  # the picture is shown all the same


def test_flips_are_named_and_ordered_by_harm(picture):
    rows = parts_of(
        {("reject", "review"): 1, ("pass", "reject"): 1, ("review", "pass"): 1},
        {("pass", "reject"): 1, ("pass", "review"): 1, ("review", "pass"): 1},
    )
    rows.append(("crack", "x", ("reject", "crack"), ("reject", "scratch")))
    found = compared(picture, rows)
    assert [flip.change for flip in found.flips] == [
        "new escape",
        "new overkill",
        "new review",
        "no longer rejected",
        "mended",
        "mended",
        "other kind",
    ]
    assert found.flipped == 6
    first = found.flips[0]
    assert (first.label, first.old, first.new, first.group) == (
        "crack",
        "review",
        "pass",
        "crack review pass 0",
    )
    lines = table(found, root=picture.parent).splitlines()
    assert "flipped decisions: 6 of 7 pictures (new escape 1, new overkill 1, new review 1," in "\n".join(
        lines
    )
    assert lines[-3] == "  and 1 more (all of them with --json)"  # of another kind
    assert (
        "  new escape          crack: review (crack) -> pass (crack)  frame.png  part crack review pass 0"
        in lines
    )


def test_many_flips_are_cut_in_the_table(picture):
    text = table(compared(picture, parts_of({("reject", "pass"): 50}, FINE)))
    assert "  and 30 more (all of them with --json)" in text.splitlines()


def test_models_that_sort(picture):
    rows = [
        ("crack", "a", ("pass", "crack"), ("pass", "scratch")),
        ("crack", "b", ("pass", "crack"), ("review", "crack")),
        ("crack", "c", ("review", "crack"), ("pass", "crack")),
        ("crack", "d", ("pass", "good"), ("pass", "scratch")),
    ]
    found = compared(picture, rows, good=None)
    assert [flip.change for flip in found.flips] == ["new wrong kind", "new review", "mended", "other kind"]
    assert (found.escapes.worse, found.escapes.of, found.held.worse, found.held.better) == (1, 4, 1, 1)
    assert (found.decisions.worse, found.decisions.better) == (2, 1)
    assert "wrong kind passed" in table(found)


def test_classes_in_another_order_are_the_same_classes(tmp_path):
    severity = np.linspace(0, 1, 256)
    kinds = np.column_stack([1 - severity, 0.75 * severity, 0.25 * severity])
    swapped = a_card(classes=("good", "scratch", "crack"))
    old = Inspector(table_model({"severity": severity, "kinds": kinds}))
    new = Inspector(table_model({"severity": severity, "kinds": kinds[:, [0, 2, 1]]}, swapped))
    parts = []
    for value, label in ((0, "good"), (20, "good"), (250, "crack"), (255, "crack")):
        Image.fromarray(level(value)).save(tmp_path / f"{value}.png")
        parts.append(Sample(tmp_path / f"{value}.png", label, str(value)))
    seen = []
    found = compare(old, new, parts, progress=seen.append)
    assert found.go and found.flips == () and len(seen) == 8
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["go"] is True


def test_other_classes_are_refused():
    for card in (a_card(classes=("good", "crack")), a_card(good=None)):
        with pytest.raises(BadModel, match="expected models of the same classes"):
            compare(Scripted([]), Scripted([], card), [])


def test_wrong_use(picture):
    with pytest.raises(CalibrationRefused, match="allow: expected a rate"):
        compared(picture, parts_of(SAME, FINE), allow=1.5)
    with pytest.raises(ValueError, match="confidence"):
        compared(picture, parts_of(SAME, FINE), confidence=0)
    with pytest.raises(BadData, match="found none"):
        compare(Scripted([]), Scripted([]), [])

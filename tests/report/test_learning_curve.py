"""The section on what more pictures may give: its sentences, its figure, foreign names, classes too thin, many classes."""

import pytest
from markupsafe import escape

from tests.report.test_page import Reader, check
from visiontune.report.learning_curve import SHOWN, plot, section
from visiontune.report.page import render


def one(name, now=0.2, *, thin=False):
    errors = [min(3 * now, 1.0), 2 * now, 1.5 * now, now]
    return {
        "name": name,
        "train": {"number": 80, "counts_as": 80},
        "val": {"number": 14, "counts_as": 14},
        "errors": errors,
        "low": [0.6 * error for error in errors],
        "high": [min(1.5 * error, 1.0) for error in errors],
        "twice": None if thin else (0.5 * now, 0.8 * now, 1.2 * now),
        "says": f"{name}: too few to say" if thin else f"{name}: {now:.0%} errors now",
    }


def curve(*classes, **balanced):
    return {
        "pictures": [100, 200, 400, 800],
        "parts": [50, 100, 200, 400],
        "says": "A head alone.",
        "balanced": one("all classes alike", **balanced),
        "classes": list(classes),
    }


def test_every_class_has_its_sentence_and_all_the_last(made):
    found = curve(one("crack", 0.12), one("dent", thin=True), one("good", 0.05))
    page = render(made(sections=(section(found),)))
    reader = check(Reader(page))
    places = [reader.text.index(said["says"]) for said in (*found["classes"], found["balanced"])]
    assert places == sorted(places)
    assert "A head alone." in reader.text


def test_foreign_names_are_text(made):
    name = '<b onmouseover="x">{crack}\n'
    body = section(curve(one(name))).body
    assert "<b" not in body and str(escape('<b onmouseover="x">{crack}')) in body
    check(Reader(render(made(sections=(section(curve(one(name))),)))))


def test_the_figure_draws_what_can_be_told():
    drawn, kinds = plot(curve(one("crack"), one("dent", thin=True))).axes
    assert [label.get_text() for label in kinds.get_yticklabels()] == ["crack", "all classes alike"]
    assert list(drawn.lines[0].get_xdata()) == [100, 200, 400, 800]
    assert list(drawn.lines[1].get_xdata()) == [800, 1600]
    assert list(drawn.lines[1].get_ydata()) == pytest.approx([0.2, 0.16])


def test_the_worst_of_many_classes_are_drawn():
    names = [f"kind {i:02}" for i in range(40)]
    _, kinds = plot(curve(*(one(name, 0.01 * (i + 1)) for i, name in enumerate(names)))).axes
    shown = [label.get_text() for label in kinds.get_yticklabels()]
    assert shown == [*names[: -SHOWN - 1 : -1], "all classes alike"]


def test_nothing_is_drawn_beyond_the_data_where_parts_are_too_few():
    drawn, kinds = plot(curve(one("crack", thin=True), thin=True)).axes
    assert len(drawn.lines) == 1
    assert [label.get_text() for label in kinds.get_yticklabels()] == ["all classes alike"]
    assert "too few to say" in section(curve(one("crack", thin=True), thin=True)).body

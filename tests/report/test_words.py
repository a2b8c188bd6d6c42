"""Numbers and names as the page writes them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.report.words import (
    asked,
    at_least,
    at_most,
    counted,
    flattened,
    moment,
    percent,
    printable,
    shortened,
    wide_letters,
)

NBSP = "\N{NO-BREAK SPACE}"


def number(text):
    return float(re.fullmatch(rf"([\d.]+){NBSP}%", text)[1]) / 100


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0"), (1, "100"), (0.0098, "0.98"), (0.1234, "12.3"), (0.09996, "10.0"), (0.5, "50.0")],
)
def test_percent(share, text):
    assert percent(share) == f"{text}{NBSP}%"


@given(st.floats(0, 1))
def test_bounds_are_rounded_to_the_safe_side(share):
    assert share - 1e-3 <= number(at_least(share)) <= share + 1e-9
    assert share - 1e-9 <= number(at_most(share)) <= share + 1e-3


def test_what_a_person_asked_for_keeps_its_digits():
    assert [asked(share) for share in (0.01, 0.005, 0.95, 0.1)] == [
        f"{text}{NBSP}%" for text in ("1", "0.5", "95", "10")
    ]


def test_counted():
    assert [counted(n, "part") for n in (0, 1, 2)] == ["0 parts", "1 part", "2 parts"]
    assert counted(1234567, "part").endswith("567 parts")


def test_time_is_given_in_utc():
    assert moment("2026-03-01T09:30:00+02:00") == "2026-03-01 07:30 UTC"
    assert moment("yesterday") == "yesterday"


@given(st.text(st.characters(), max_size=30))
def test_a_printable_name_can_be_written_anywhere(name):
    shown = printable(name)
    assert shown.isprintable()
    shown.encode("utf-8")


@given(st.text(st.characters(codec="utf-8"), max_size=60), st.integers(4, 30))
def test_a_shortened_name_fits(name, limit):
    shown = shortened(name, limit)
    assert len(shown) <= limit
    if len(printable(name)) <= limit:
        assert shown == printable(name)
    else:
        assert shown[0] == printable(name)[0] and shown[-1] == printable(name)[-1]


def test_names_that_differ_at_the_end_still_do():
    assert shortened("x" * 40 + "left") != shortened("x" * 40 + "right")


def test_wide_letters():
    assert wide_letters("打痕 ok") == 2


def test_settings_are_flattened_and_steps_read_like_calls():
    rows = flattened(
        {
            "size": [256, 192],
            "roi": None,
            "head": {"type": "Classify", "dropout": 0.2},
            "policy": {"steps": [{"transform": "Affine", "params": {"rotate": [-2, 2], "p": 0.8}}]},
        }
    )
    assert rows == [
        ("size", "[256, 192]"),
        ("roi", "-"),
        ("head.type", "Classify"),
        ("head.dropout", "0.2"),
        ("policy.steps[0]", "Affine(rotate=[-2, 2], p=0.8)"),
    ]

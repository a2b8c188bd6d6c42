"""The journal: whole lines only, read back after any end, and nobody else's file is touched."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.runtime.errors import BadData
from visiontune.runtime.journal import FIELDS, Journal, printable
from visiontune.runtime.landing import Landed

FORMS = pytest.mark.parametrize("name", ["log.csv", "log.jsonl"])


def record(name="a.png", **changes):
    sound = {
        "time": "2026-01-31T12:00:00.000+00:00",
        "path": name,
        "decision": "review",
        "severity": 0.1,
        "kind": "crack, long",
        "ms": 2.5,
        "to": None,
        "bytes": 7,
        "mtime_ns": 1_700_000_000_123_456_789,
        "kinds": {"not": "for the log"},
    }
    return {**sound, **changes}


def landed(name="a.png", size=7, mtime_ns=1_700_000_000_123_456_789):
    return Landed(Path("somewhere") / name, size, mtime_ns)


def rows(path):
    text = path.read_text("utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    return [json.loads(line) for line in text.splitlines()]


@FORMS
def test_lines_in_either_form(tmp_path, name):
    path = tmp_path / "logs" / name
    journal = Journal(path, ())
    journal.append(record())
    journal.append(record("b.png", severity=None, kind=None, reason='said "no",\nthen more'), safely=True)
    journal.close()
    first, second = rows(path)
    assert tuple(first) == FIELDS
    assert (first["path"], float(first["severity"]), first["kind"]) == ("a.png", 0.1, "crack, long")
    assert second["reason"] == 'said "no",\\nthen more'
    assert second["severity"] in ("", None)
    assert len(path.read_bytes().splitlines()) == 2 + (path.suffix == ".csv")


@FORMS
def test_it_knows_the_files_it_is_asked_about_and_only_those_very_files(tmp_path, name):
    with_two = Journal(tmp_path / name, ())
    with_two.append(record("a.png"))
    with_two.append(record("b.png", decision="reject"))
    with_two.close()
    again = Journal(tmp_path / name, {"b.png", "c.png"})
    assert again.recall(landed("b.png"))["decision"] == "reject"
    for other in (landed("a.png"), landed("c.png"), landed("b.png", size=8), landed("b.png", mtime_ns=1)):
        assert again.recall(other) is None
    assert again.recall(landed("b.png")) is None  # a second one is new
    assert again._known == {}  # memory goes with the folder, not with the log
    again.close()


@FORMS
def test_a_torn_last_line_goes_wherever_it_was_torn(tmp_path, name):
    path = tmp_path / name
    journal = Journal(path, ())
    for turn in "ab":
        journal.append(record(f"{turn}.png"))
    journal.close()
    whole = path.read_bytes()
    last = len(whole) - len(whole.splitlines(keepends=True)[-1])
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        journal = Journal(path, {"a.png", "b.png"})
        assert journal.recall(landed("a.png"))
        assert journal.recall(landed("b.png")) is None
        journal.append(record("b.png"))
        journal.close()
        assert path.read_bytes() == whole


def test_a_torn_header_is_written_again(tmp_path):
    path = tmp_path / "log.csv"
    for torn in (b"", b"time,pa"):
        path.write_bytes(torn)
        Journal(path, ()).close()
        assert path.read_text() == ",".join(FIELDS) + "\n"


@FORMS
@pytest.mark.parametrize(
    "foreign", [b"hello\n", b"{}\n", b"\x89PNG\n", b"[1]\n", b"a,b,c\n", b"no newline", b"{'a'"]
)
def test_other_peoples_files_are_left_as_they_are(tmp_path, name, foreign):
    path = tmp_path / name
    path.write_bytes(foreign)
    with pytest.raises(BadData, match="line 1: expected a log of visiontune watch"):
        Journal(path, ())
    assert path.read_bytes() == foreign


def test_two_do_not_write_one_log(tmp_path):
    journal = Journal(tmp_path / "log.csv", ())
    with pytest.raises(BadData, match="another process"):
        Journal(tmp_path / "log.csv", ())
    journal.close()
    Journal(tmp_path / "log.csv", ()).close()


def test_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(BadData, match="expected a log that can be written"):
        Journal(tmp_path, ())


@given(name=st.text(min_size=1), kind=st.text(), form=st.sampled_from(["log.csv", "log.jsonl"]))
def test_any_name_comes_back(tmp_path_factory, name, kind, form):
    path = tmp_path_factory.mktemp("any") / form
    journal = Journal(path, ())
    journal.append(record(name, kind=kind or None))
    journal.close()
    again = Journal(path, {name})
    file = Landed(type("Named", (), {"name": name})(), 7, 1_700_000_000_123_456_789)
    assert again.recall(file)["path"] == printable(name)
    again.close()

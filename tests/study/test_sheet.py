"""Sheets: written blank, filled in by people and spreadsheets, read back with every mistake named."""

import pytest

from tests.study.appraisers import RIGHT, a_study, fill
from visiontune.runtime.errors import BadData
from visiontune.study import key, sheet

ORDERS = [[[3, 2, 1, 0], [0, 1, 2, 3]], [[1, 0, 3, 2], [2, 3, 0, 1]]]


@pytest.fixture
def study(tmp_path):
    made = a_study()
    sheet.write(tmp_path, made, ORDERS)
    return made


def one(tmp_path, name="anna", trial=1):
    return tmp_path / sheet.path_of(name, trial)


def test_a_blank_sheet(tmp_path, study):
    assert one(tmp_path).read_text("utf-8").splitlines() == [
        "order,picture,verdict,kind",
        "1,P04.png,,",
        "2,P03.png,,",
        "3,P02.png,,",
        "4,P01.png,,",
    ]
    assert len(list((tmp_path / sheet.FOLDER).iterdir())) == 4


def test_one_kind_of_defect_is_not_asked_for(tmp_path):
    study = a_study(classes=("good", "crack"))
    assert sheet.columns(study) == ["order", "picture", "verdict"]


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"mark": ";"},
        {"mark": "\t"},
        {"encoding": "utf-8-sig"},
        {"end": "\r\n"},
        {"mark": ";", "encoding": "utf-8-sig"},
    ],
)
def test_what_a_spreadsheet_saves_is_read(tmp_path, study, form):
    fill(tmp_path, study, **form)
    found = sheet.read(tmp_path, study)
    assert list(found) == ["anna", "ben"]
    assert found["anna"].held.tolist() == [[0, 0], [1, 1], [1, 1], [0, 0]]
    assert found["ben"].kinds.tolist() == [["", ""], ["crack"] * 2, ["scratch"] * 2, ["", ""]]


def test_case_and_blanks_do_not_count(tmp_path, study):
    fill(tmp_path, study, {**RIGHT, "P01.png": (" PASS ", ""), "P02.png": ("Reject", " Crack ")})
    found = sheet.read(tmp_path, study)["anna"]
    assert (found.held[:2, 0].tolist(), found.kinds[1, 0]) == ([0, 1], "crack")


@pytest.mark.parametrize(
    ("answers", "complaint"),
    [
        ({"P01.png": ("passs", "")}, r"line 5: expected pass or reject, found passs, perhaps pass"),
        ({"P01.png": ("review", "")}, r"line 5: expected pass or reject, found review"),
        ({"P01.png": ("", "")}, "expected a verdict for every picture, found none for P01.png"),
        ({"P02.png": ("reject", "crak")}, "expected a kind of crack, scratch, found crak, perhaps crack"),
        ({"P01.png": ("pass", "crack")}, "expected no kind for a part that passes, found crack"),
    ],
)
def test_a_wrong_answer_is_named_with_sheet_and_line(tmp_path, study, answers, complaint):
    fill(tmp_path, study)
    good = {sheet.path_of(n, t): one(tmp_path, n, t).read_text() for n in study.appraisers for t in (1, 2)}
    fill(tmp_path, study, {**RIGHT, **answers})
    for name, text in good.items():
        if name != sheet.path_of("anna", 1):
            (tmp_path / name).write_text(text)
    with pytest.raises(BadData, match=complaint) as raised:
        sheet.read(tmp_path, study)
    assert "anna-trial-1.csv" in str(raised.value) and "ben" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            lambda text: text.replace("P02.png", "P09.png"),
            "line 4: expected a picture of the study, found P09.png",
        ),
        (lambda text: text.replace("P02.png", "P01.png"), "expected each picture once, found P01.png again"),
        (
            lambda text: "\n".join(text.splitlines()[:-1]),
            "expected a row for every picture, found none for P01.png",
        ),
        (
            lambda text: text.replace("verdict", "result"),
            "expected the columns order, picture, verdict, kind, found no verdict",
        ),
        (lambda text: "", "expected the columns"),
    ],
)
def test_a_damaged_sheet(tmp_path, study, change, complaint):
    fill(tmp_path, study)
    path = one(tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(BadData, match=complaint):
        sheet.read(tmp_path, study)


def test_blank_and_missing_sheets(tmp_path, study):
    with pytest.raises(BadData, match="expected verdicts, found a blank sheet"):
        sheet.read(tmp_path, study)
    fill(tmp_path, study)
    one(tmp_path, "ben", 2).unlink()
    with pytest.raises(BadData, match=r"ben-trial-2.csv: expected a filled-in sheet, found no file"):
        sheet.read(tmp_path, study)


def test_bytes_that_are_no_text(tmp_path, study):
    fill(tmp_path, study)
    one(tmp_path).write_bytes(b"order,picture,verdict,kind\n1,P01.png,pa\xdfs,\n")
    with pytest.raises(BadData, match="expected CSV in UTF-8"):
        sheet.read(tmp_path, study)


def test_many_mistakes_are_counted(tmp_path, study):
    fill(tmp_path, study, dict.fromkeys(RIGHT, ("maybe", "")))
    with pytest.raises(BadData, match="and 11 more"):
        sheet.read(tmp_path, study)


def test_the_key_comes_back_as_it_was(tmp_path, study):
    key.write(tmp_path, study)
    assert key.read(tmp_path) == study


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "expected the key that"),
        ("{", "expected a study's key as JSON"),
        ("[]", "of format 1, found 'list'"),
        ('{"format": 2}', "of format 1, found 2"),
        ('{"format": 1}', "wrong or missing field"),
    ],
)
def test_a_key_that_is_none(tmp_path, content, complaint):
    if content is not None:
        (tmp_path / key.FILE).write_text(content)
    with pytest.raises(BadData, match=complaint):
        key.read(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"trials": 0},
        {"appraisers": ()},
        {"parts": ()},
        {"classes": ("good",)},
        {"reimaged": (("a", "perhaps"),)},
        {"appraisers": ("Model",)},
        {"good": "crack", "parts": a_study().parts[1:2]},
    ],
)
def test_a_key_with_a_wrong_field(tmp_path, wrong):
    key.write(tmp_path, a_study(**wrong))
    with pytest.raises(BadData, match="wrong or missing field"):
        key.read(tmp_path)


def test_names_in_a_key_lead_nowhere_else(tmp_path):
    key.write(tmp_path, a_study(appraisers=("../../etc",)))
    with pytest.raises(BadData, match="wrong or missing field"):
        key.read(tmp_path)

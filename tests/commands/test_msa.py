"""`visiontune msa`: a study planned, filled in and analysed from the command line."""

import json

import pytest
from PIL import Image

from tests.line_models import level
from tests.study.appraisers import answer, fill
from visiontune.study import key


@pytest.fixture
def parts(tmp_path):
    """30 good and 30 cracked parts that overlap round the bands of the model."""
    for label, first in (("good", 20), ("crack", 70)):
        (tmp_path / "parts" / label).mkdir(parents=True)
        for part in range(30):
            Image.fromarray(level(first + 5 * part)).save(tmp_path / "parts" / label / f"{part:02}.png")
    return tmp_path / "parts"


def test_from_plan_to_page(visiontune, model, parts, tmp_path):
    out = tmp_path / "study"
    done = visiontune(
        *("msa", "plan", model, parts, "--split", "all", "--out", out),
        *("--parts", 20, "--appraisers", "anna,ben", "--trials", 2),
    )
    assert (done.status, done.err) == (0, "")
    assert done.lines[0].startswith(f"{out}: 20 parts (")
    assert done.lines[1] == "4 sheets to fill in; keep key.json from the appraisers"
    study = key.read(out)
    assert study.appraisers == ("anna", "ben") and len(study.sha256) == 64

    unfilled = visiontune("msa", "analyse", out)
    assert (unfilled.status, unfilled.out) == (2, "")
    assert "found a blank sheet" in unfilled.err and unfilled.err.count("\n") == 1

    fill(out, study, answer(study))
    page = tmp_path / "study.html"
    told = visiontune("msa", "analyse", out, "--html", page)
    assert told.status == 0
    assert any(line.startswith("anna") and line.endswith("acceptable") for line in told.lines)
    assert any(line.startswith("model") for line in told.lines)
    text = page.read_text()
    assert (
        "2 of 2 appraisers acceptable" in text
        and "<script" not in text
        and "http" not in text.split("</style>")[1]
    )

    said = json.loads(visiontune("msa", "analyse", out, "--json").out)
    assert said["model_name"] == "tiny" and said["sha256"] == study.sha256
    assert said["appraisers"][0]["effectiveness"] == {
        **said["appraisers"][1]["effectiveness"],
        "hits": 20,
        "of": 20,
    }


def test_the_test_share_is_too_small_and_the_way_out_is_told(visiontune, model, parts, tmp_path):
    done = visiontune("msa", "plan", model, parts, "--out", tmp_path / "study")
    assert (done.status, done.out) == (2, "")
    assert "--split all" in done.err and not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["msa"], "VERB"),
        (["msa", "plan", "m", "d", "--out", "o", "--appraisers", "a,a"], "different names"),
        (["msa", "plan", "m", "d", "--out", "o", "--appraisers", "../a"], "different names"),
        (["msa", "plan", "m", "d", "--out", "o", "--appraisers", "anna,Model"], "not model"),
        (["msa", "plan", "m", "d", "--out", "o", "--appraisers", "0"], "1 to 99"),
        (["msa", "plan", "m", "d", "--out", "o", "--trials", "-1"], "1 to 99"),
        (["msa", "plan", "m", "d", "--out", "o", "--seed", "x"], "from 0"),
        (["msa", "analyse", "nowhere"], "expected the key"),
    ],
)
def test_wrong_use_is_one_line(visiontune, arguments, complaint):
    done = visiontune(*arguments)
    assert (done.status, done.out) == (2, "")
    assert complaint in done.err and done.err.count("\n") == 1


@pytest.mark.parametrize("verb", ["plan", "analyse"])
def test_every_verb_shows_examples(visiontune, verb):
    assert f"\n  visiontune msa {verb} " in visiontune("msa", verb, "--help").out

"""The pages of both studies: what they say, that they need nothing else, that names cannot harm them."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from tests.study.example import JASP, TRUTH, ruling
from visiontune.report import msa_page, pod_page
from visiontune.runtime.measurement import Rate
from visiontune.study.agreement import Ruling, analyse
from visiontune.study.pod import curve
from visiontune.study.reimaged import flips
from visiontune.study.series import Find, Series, Survey

EVIL = "<script>alert(1)</script>\u202e"


class Seen(HTMLParser):
    """The page's text, its tags, and every address in it."""

    def __init__(self, page):
        super().__init__()
        self.text, self.tags, self.addresses = "", [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def seen(module, found, tmp_path):
    return Seen(module.write(tmp_path / "page.html", json.loads(json.dumps(found))).read_text("utf-8"))


@pytest.fixture
def study():
    truth = [mark == "1" for mark in TRUTH.split()]
    people = {name: ruling(text) for name, text in JASP.items()}
    model = Ruling(people["EG"].held[:, :1])
    turned = flips([("a", "pass"), ("a", "reject"), ("b", "pass"), ("b", "pass")])
    found = analyse(truth, people, model=model, reviews=2, flips=turned)
    return {"model_name": "tiles", "sha256": "0", "made_by": "visiontune", "seed": 0, **found.as_dict()}


def survey(hits, *, sizes=None, calls=0):
    sizes = np.geomspace(2, 32, len(hits)) if sizes is None else sizes
    finds = tuple(
        Find(f"{i}.png", f"{i}", float(size), (0, 0, 1, 1), 0.5, "reject" if hit else "pass")
        for i, (size, hit) in enumerate(zip(sizes, hits, strict=True))
    )
    made = curve(sizes, hits)
    rate = Rate(calls, 80, calls / 80, 0.0, 0.5, 0.5)
    return Survey("tiles", 80, 80, rate, (Series("spot", -25.0, made, finds, 3),), None)


def test_the_study_is_told(study, tmp_path):
    page = seen(msa_page, study, tmp_path)
    for text in (
        "0 of 3 appraisers acceptable",
        "80.0\xa0%",
        "(51.9\xa0% to 95.7\xa0%)",
        "EG with BL",
        "0.91",
        "2 parts",
    ):
        assert text in page.text, text
    assert "\\x" not in page.text
    assert "4 pictures of 2 parts seen more than once" in page.text


def test_a_study_of_one_without_model_or_flips(study, tmp_path):
    alone = {
        **study,
        "appraisers": study["appraisers"][:1],
        "model": None,
        "flips": None,
        "pairs": [],
        "between": None,
    }
    page = seen(msa_page, alone, tmp_path)
    assert "0 of 1 appraisers" in page.text and "seen more than once" not in page.text


def test_a_survey_is_told(tmp_path):
    hits = np.geomspace(2, 32, 80) > 8
    found = survey(hits)
    page = seen(pod_page, found.as_dict(), tmp_path)
    promised = found.series[0].curve.a90_95
    assert f"Found reliably (a90/95) from spot -25 grey levels: {promised:.3g} px" in page.text
    assert "not your real ones" in page.text
    assert "completely separated" in page.text and "3 defects found no place" in page.text
    assert len(page.addresses) == 1 and page.addresses[0].startswith("data:image/")


def test_nothing_found_promises_nothing(tmp_path):
    page = seen(pod_page, survey(np.zeros(80, bool)).as_dict(), tmp_path)
    assert "No size can be promised" in page.text


def test_millimetres(tmp_path):
    found = {**survey(np.geomspace(2, 32, 80) > 8).as_dict(), "pixel_mm": 0.05}
    promised = found["series"][0]["curve"]["a90_95"]
    assert f"{promised * 0.05:.3g} mm ({promised:.3g} px)" in seen(pod_page, found, tmp_path).text


def test_many_false_calls_are_told(tmp_path):
    found = survey(np.geomspace(2, 32, 80) > 8, calls=40)
    assert "40 of 80 good pictures are not passed" in seen(pod_page, found.as_dict(), tmp_path).text


@pytest.mark.parametrize("name", [EVIL, "a\nb", "\udc80"])
def test_names_cannot_harm_the_page(study, name, tmp_path):
    for module, found in (
        (msa_page, {**study, "model_name": name, "appraisers": [{**study["appraisers"][0], "name": name}]}),
        (pod_page, {**survey(np.geomspace(2, 32, 80) > 8).as_dict(), "model": name}),
    ):
        page = seen(module, found, tmp_path)
        assert "script" not in page.tags and "\u202e" not in page.text
        assert all(address.startswith("data:image/") for address in page.addresses)


def test_the_same_survey_gives_the_same_page(tmp_path):
    found = survey(np.geomspace(2, 32, 80) > 8).as_dict()
    pages = [pod_page.write(tmp_path / name, found).read_bytes() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]

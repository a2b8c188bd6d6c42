"""The page: well-formed, complete, shut off from the world, escaped, whole or not there."""

import base64
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from markupsafe import Markup
from PIL import Image

from visiontune.data.samples import Box
from visiontune.report import page, where
from visiontune.report.embed import SIDE, thumbnail
from visiontune.report.findings import Places, Section, Table
from visiontune.runtime.errors import BadData
from visiontune.runtime.verdict import Region

VOID = {"meta", "img", "br", "wbr", "hr", "input", "link"}
HEADINGS = (
    "Rates on val",
    "Severity",
    "Recall by class",
    "Confusion",
    "Training",
    "Pictures judged worst",
    "Reliability of severity",
    "Data",
    "Recipe",
    "Stages",
    "Proof of the model file",
    "Versions",
)


class Reader(HTMLParser):
    """Reads a page strictly: every tag closed in order, ids once. Collects what the tests ask for."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.headings, self.words = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open, f"never closed: {self.open}"
        self.text = " ".join(" ".join(self.words).replace("\N{NO-BREAK SPACE}", " ").split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "h2":
            self.headings.append("")

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-3:]}"
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.words.append(data)
        if "h2" in self.open:
            self.headings[-1] += data

    def values(self, *names):
        return [value for _, name, value in self.attributes if name in names]


def read(findings):
    return Reader(page.render(findings))


@pytest.fixture(scope="module")
def usual(made):
    return read(made())


def check(reader):
    """What must hold of every page."""
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    links = reader.values("href", "src", "action", "data", "srcset")
    assert links and all(link.startswith(("#", "data:image/")) for link in links)
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert set(reader.values("aria-labelledby")) <= set(ids)
    assert not {"script", "link", "iframe", "object", "embed", "form"} & set(reader.tags)
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    places = [reader.headings.index(heading) for heading in HEADINGS]
    assert places == sorted(places) and places[0] == 1  # the verdict comes first
    assert all(value for tag, name, value in reader.attributes if (tag, name) == ("img", "alt"))
    return reader


def test_the_usual_page_is_whole_and_shut_off(usual):
    check(usual)
    policy = [value for value in usual.values("content") if "default-src" in value]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_the_style_loads_nothing(made):
    text = page.render(made())
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style and "@import" not in style and "<" not in style[7:]


def test_the_verdict_and_where_its_figures_come_from(usual):
    assert (
        "cannot promise that at most 1 % of defective parts pass. 259 defective parts are missing"
        in usual.text
    )
    assert "All figures on this page are from val; test is read once, by visiontune measure ." in usual.text


def test_what_an_auditor_looks_for_is_there(usual):
    for said in (
        "2026-03-01 09:30 UTC",
        "ab" * 32,
        "two pictures are alike",
        "split_seed 5",
        "unfreeze.at [3, 6]",
        "policy.steps[0] Flip(p=0.5, axes=[0, 1])",
        "stem 1\N{NARROW NO-BREAK SPACE}234".replace("\N{NARROW NO-BREAK SPACE}", " "),
        "head 77 0.002 from epoch 0",
        "judged 150 val pictures",
        "0 decisions flipped",
        "torch 2.9",
        "Review: severity from 0.3. Reject: severity from 0.8.",
    ):
        assert said in usual.text, said


@pytest.mark.parametrize(
    "changes",
    [
        {"bands": None, "proof": None},
        {"inspects": False},
        {"inspects": False, "bands": None},
        {"size": 43, "n": 430},
        {"history": (), "best": None, "stages": (), "versions": {}},
        {"data": {}, "recipe": {}},
        {"n": 1},
        {"labels": np.zeros(150, np.int64)},
        {"groups": ["one"] * 150},
    ],
    ids=lambda changes: ",".join(changes),
)
def test_every_page_has_every_heading(made, changes):
    check(read(made(**changes)))


def test_without_bands_nothing_is_promised_and_nothing_was_decided(made):
    reader = read(made(bands=None, proof=None))
    assert "promises nothing yet" in reader.text and "No thresholds were set" in reader.text
    assert "certified" not in reader.text.lower()
    assert "nothing was proved" in reader.text


EVIL = "<script>alert('x')</script>\"><img src=http://evil.example onerror=alert(1)>"


def test_foreign_names_are_text(made, tmp_path):
    classes = (EVIL, "a & b", "{{ 7 * 7 }}", "odd \udc80\u202e\n name")
    reader = check(
        read(
            made(
                classes=classes,
                good=EVIL,
                title=EVIL,
                made_by=EVIL,
                created=EVIL,
                recipe={"backbone": EVIL, EVIL: EVIL},
                data={
                    "layout": EVIL,
                    "digest": EVIL,
                    "notes": [EVIL],
                    "counts": {EVIL: {EVIL: 3}},
                    EVIL: EVIL,
                },
                versions={EVIL: EVIL},
                stages=({"name": EVIL, "parameters": 1, "lr": 0.1},),
                paths=[tmp_path / EVIL.replace("/", "_")] * 150,
                sections=(Section(EVIL, EVIL), Section("more", Table((EVIL,), ((EVIL,),)))),
            )
        )
    )
    assert reader.text.count("<script>alert('x')</script>") > 10
    assert "{{ 7 * 7 }}" in reader.text and "\\udc80\\u202e\\n name" in reader.text


def test_further_sections_stand_before_the_data(made):
    sections = (
        Section("Corruptions", Table(("kind", "accuracy"), (("blur", "0.9"),))),
        Section("Remark", Markup("<p>It is <em>fine</em>.</p>")),
        Section("Plain", "1 < 2"),
    )
    reader = check(read(made(sections=sections)))
    assert reader.headings[-8:-5] == ["Corruptions", "Remark", "Plain"] and reader.headings[-5] == "Data"
    assert "em" in reader.tags and "1 < 2" in reader.text and "blur 0.9" in reader.text


def test_classes_are_listed_with_the_worst_first_and_the_absent_last(made):
    findings = made(n=200)
    kinds = findings.kinds.copy()
    kinds[findings.labels == 3] = [1, 0, 0, 0]  # no scratch is named rightly
    labels = np.where(findings.labels == 1, 0, findings.labels)  # and there is no crack
    reader = read(replace(findings, kinds=kinds, labels=labels))
    table = reader.text[reader.text.index("Recall by class Of") : reader.text.index("Commonest mistakes")]
    places = [table.index(name) for name in ("scratch 50", "crack 0 0")]
    assert places == sorted(places) and "none in val" in table


def test_the_worst_pictures_are_those_whose_true_kind_got_least(made):
    findings = made()
    shown = page.worst(findings)
    given = sorted(findings.kinds[np.arange(150), findings.labels].tolist())
    assert [part.given for part in shown] == given[:12]
    assert {part.mishap for part in shown} <= {"", "escape", "overkill"}
    for part in shown:
        assert (part.mishap == "escape") == (part.label != "good" and part.decision == "pass")
        assert (part.mishap == "overkill") == (part.label == "good" and part.decision == "reject")
    assert any(part.mishap for part in shown)


def test_a_picture_that_is_gone_or_broken_leaves_its_name(made, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    paths = [tmp_path / "gone.png", tmp_path / "broken.png"] * 75
    reader = check(read(made(paths=paths)))
    assert "gone.png cannot be read" in reader.text and "broken.png cannot be read" in reader.text


@pytest.mark.parametrize("size", [(1000, 500), (500, 1000), (40, 30), (4000, 3)])
def test_thumbnails_are_small_pictures(tmp_path, size):
    Image.new("L", size, 77).save(tmp_path / "part.png")
    found = thumbnail(tmp_path / "part.png")
    assert max(found.width, found.height) == min(SIDE, max(size))
    assert base64.b64decode(found.address.partition("base64,")[2]).startswith(b"\xff\xd8")


def test_the_page_shows_what_the_recipes_window_shows(made, tmp_path):
    """A camera of 12 bits fills a sixteenth of 16 bits: without its window the page would be black."""
    Image.fromarray(np.full((20, 20), 4095, np.uint16)).save(tmp_path / "part.png")
    paths, means = [tmp_path / "part.png"] * 150, []
    for window in (None, (0, 4095)):
        shown = page.worst(made(paths=paths, window=window))[0].picture
        with Image.open(io.BytesIO(base64.b64decode(shown.address.partition("base64,")[2]))) as image:
            means.append(np.asarray(image).mean())
    assert means[0] < 20 and means[1] > 250


def test_a_sixteen_bit_picture_has_a_thumbnail(tmp_path):
    Image.fromarray(np.full((20, 30), 40000, np.uint16)).save(tmp_path / "deep.png")
    assert (thumbnail(tmp_path / "deep.png").width, thumbnail(tmp_path / "deep.png").height) == (30, 20)


def test_the_same_findings_give_the_same_bytes(made, tmp_path):
    first = page.write(tmp_path / "a.html", made()).read_bytes()
    assert page.write(tmp_path / "deeper" / "b.html", made()).read_bytes() == first


def test_a_full_page_stays_small(made, tmp_path):
    stream = np.random.default_rng(0)
    noisy = tmp_path / "noise.png"
    Image.fromarray(stream.integers(0, 256, (480, 480, 3), np.uint8)).save(noisy)
    findings = made(size=43, n=700, right=0.1, paths=[noisy] * 700)
    assert page.write(tmp_path / "report.html", findings).stat().st_size < 1_500_000


@pytest.mark.parametrize("broken", ["render", "replace"])
def test_a_failure_leaves_the_old_page_and_no_litter(made, tmp_path, monkeypatch, broken):
    target = tmp_path / "report.html"
    target.write_text("old")

    def fail(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(page if broken == "render" else Path, broken, fail)
    with pytest.raises(OSError, match="disk full"):
        page.write(target, made())
    monkeypatch.undo()
    assert target.read_text() == "old" and [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_boxes_are_drawn_on_the_worst_pictures(made, pictures):
    findings = made(n=12, paths=pictures)
    box = Region("crack", 0.87, (30, 60, 200, 150))
    with_boxes = replace(findings, places=[Places((box,), (Box("crack", 30, 60, 210, 160),))] * 12)
    plain, boxed = page.worst(findings), page.worst(with_boxes)
    assert max(plain[0].picture.width, plain[0].picture.height) == SIDE
    assert max(boxed[0].picture.width, boxed[0].picture.height) == where.SIDE
    assert plain[0].picture.address != boxed[0].picture.address
    assert "white dashes" in page.render(with_boxes) and "white dashes" not in page.render(findings)
    with pytest.raises(BadData, match="expected places of 12 pictures, found 1"):
        replace(findings, places=[Places((), ())])

"""Every fault is found where it was planted, by name, and none in the clean twin of the set."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from visiontune.data.audit import audit


@pytest.fixture(scope="module")
def planted(bench):
    """One set with many faults, what was planted where, and its audit."""
    b = bench()
    good, scratch, stain = (b.parts(kind) for kind in ("good", "scratch", "stain"))
    where: dict[str, object] = {}

    whole = (b.root / good[0][0]).read_bytes()
    (b.root / good[0][0]).write_bytes(whole[: len(whole) * 6 // 10])
    where["unreadable"] = {good[0][0], b.add("images/broken.png", b"no picture at all", "good")}

    copy = b.add("images/copy.png", (b.root / good[1][0]).read_bytes(), "good")
    other = b.add("images/other.png", (b.root / good[2][0]).read_bytes(), "stain")
    where["copies"] = [{good[1][0], copy}, {good[2][0], other}]
    where["copies-disagree"] = [{good[2][0], other}]
    again = b.add("images/again.jpg", b.pixels(good[3][0]), "good", quality=90)
    where["near-copies"] = {good[3][0], again}

    b.rows[scratch[0][0]]["label"] = "good"
    b.rows[scratch[0][0]] |= {"mask": "", "boxes": "none"}
    where["labels-differ"] = set(scratch[0])
    for names in good[4:7]:
        b.rows[names[1]]["group"] = f"{b.rows[names[1]]['group']}_again"
    where["parts-across-groups"] = [set(names) for names in good[4:7]]

    blank = np.zeros((96, 96), np.uint8)
    spot = blank.copy()
    spot[40:50, 40:50] = 255
    soft = spot.copy()
    soft[50:60, 40:50] = 128
    where["mask-empty"] = {b.mask(stain[0][0], blank), b.mask(stain[1][1], blank)}
    where["mask-on-good"] = {b.mask(good[7][0], spot)}
    where["mask-size"] = {b.mask(stain[2][0], spot[:90])}
    where["mask-values"] = {b.mask(stain[3][0], soft)}
    where["mask-covers-all"] = {b.mask(stain[4][0], 255 - spot)}
    where["mask-unreadable"] = {b.mask(stain[5][0], b"no mask")}
    b.rows[stain[6][0]]["mask"] = ""
    where["mask-missing"] = {stain[6][0], other}

    b.rows[scratch[1][0]]["boxes"] = "stain 10 10 20 20"
    where["box-kind"] = {scratch[1][0]}
    b.rows[scratch[2][0]]["boxes"] = "scratch 10 10 120 20"
    where["box-outside"] = {scratch[2][0]}
    b.rows[scratch[3][0]]["boxes"] = "scratch 10 10 10 20"
    where["box-empty"] = {scratch[3][0]}
    b.rows[scratch[4][0]]["boxes"] = "scratch 10 10 10.5 20"
    where["box-tiny"] = {scratch[4][0]}
    near = "scratch 10 10 30 30 | scratch 40 10 60 30 | scratch 45 10 65 30"
    b.rows[scratch[5][0]]["boxes"] = f"{near} | scratch 10 10 31 30"
    b.rows[scratch[6][0]]["boxes"] = f"{near} | scratch 10 10 31 30 ignore"
    where["box-twice"] = {scratch[5][0]}

    b.rows[good[8][0]] |= {"label": "", "boxes": ""}
    where["no-label"] = {good[8][0]}
    (b.root / good[9][0]).unlink()
    where["missing-file"] = {good[9][0]}
    return SimpleNamespace(bench=b, where=where, audit=audit(b.write()))


def one(found, code):
    """The only finding with this code."""
    (finding,) = found.by_code[code]
    return finding


def sets(finding):
    return [set(names) for names in finding.sets]


def test_the_clean_set_gives_no_alarm(clean):
    assert {finding.harm for finding in clean.findings} == {"note"}
    assert {finding.code for finding in clean.findings} == {"exposures", "certifiable"}
    assert not clean.serious


def test_the_clean_set_has_two_exposures_of_each_part(clean, painted):
    finding = one(clean, "exposures")
    true = [set(names) for kind in ("good", "scratch", "stain") for names in painted.parts(kind)]
    assert len(true) == 88
    assert all(names in true for names in sets(finding))
    assert finding.count >= 84
    assert finding.numbers["median_exposures"] == 2
    assert finding.numbers["parts"] == 176 - finding.count


@pytest.mark.parametrize(
    ("code", "harm"),
    [
        ("unreadable", "serious"),
        ("near-copies", "check"),
        ("mask-empty", "check"),
        ("mask-on-good", "serious"),
        ("mask-size", "serious"),
        ("mask-values", "check"),
        ("mask-covers-all", "check"),
        ("mask-unreadable", "serious"),
        ("mask-missing", "check"),
        ("box-kind", "check"),
        ("box-outside", "check"),
        ("box-empty", "check"),
        ("box-tiny", "check"),
        ("box-twice", "check"),
    ],
)
def test_the_fault_is_found_where_it_is(planted, clean, code, harm):
    finding = one(planted.audit, code)
    assert set(finding.files) == planted.where[code]
    assert finding.harm == harm
    assert finding.count == len(planted.where[code])
    assert code not in clean.by_code


def test_unreadable_pictures_come_with_the_reason(planted):
    details = one(planted.audit, "unreadable").details
    assert "truncated" in details["images/p000_0.png"]
    assert "expected a picture" in details["images/broken.png"]


def test_copies_are_told_byte_for_byte(planted):
    assert sets(one(planted.audit, "copies")) == planted.where["copies"]
    disagree = one(planted.audit, "copies-disagree")
    assert sets(disagree) == planted.where["copies-disagree"]
    assert disagree.harm == "serious"


def test_a_part_with_two_labels(planted):
    assert planted.where["labels-differ"] in sets(one(planted.audit, "labels-differ"))
    assert (
        one(planted.audit, "labels-differ").numbers["good_and_defective"] == 2
    )  # and the copy that disagrees


def test_groups_that_show_one_part(planted):
    found = sets(one(planted.audit, "parts-across-groups"))
    assert all(names in found for names in planted.where["parts-across-groups"])
    ours = {"images/copy.png", "images/other.png", "images/again.jpg"}
    assert all(names & ours or names in planted.where["parts-across-groups"] for names in found)


def test_problems_of_the_source_are_told_apart(planted):
    found = {f.numbers["kind"]: set(f.files) for f in planted.audit.by_code["source"]}
    assert found == {kind: planted.where[kind] for kind in ("no-label", "missing-file")}


def test_serious_things_come_first(planted):
    harms = [finding.harm for finding in planted.audit.findings]
    assert harms == sorted(harms, key=("serious", "check", "note").index)
    assert planted.audit.findings[0].code == "unreadable"
    assert planted.audit.serious


def test_the_text_names_them_and_stays_short(planted):
    lines = str(planted.audit).splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 110
    for finding in planted.audit.findings:
        assert " ".join(finding.title.split()[:3]) in str(planted.audit)


def test_the_json_is_whole_and_plain(planted):
    import json

    said = json.loads(json.dumps(planted.audit.as_dict(), allow_nan=False))
    assert said["schema"] == 1 and said["serious"] is True
    assert [finding["rank"] for finding in said["findings"]] == list(range(1, len(said["findings"]) + 1))
    assert set(said["findings"][0]) == {
        "rank", "code", "harm", "title", "count", "unit", "numbers", "advice", "files", "sets", "details",
    }  # fmt: skip
    assert all(finding["advice"] and finding["title"] for finding in said["findings"])

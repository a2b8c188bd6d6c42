"""The YOLO layout, and the little YAML that it needs."""

from __future__ import annotations

import pytest

from visiontune.data.layouts.data_yaml import parse
from visiontune.data.read import read
from visiontune.data.samples import Box
from visiontune.runtime.errors import BadData

YAML = "train: images/train\nval: images/val\nnames: [pit, scratch]\n"


@pytest.fixture
def parts(tree):
    tree.text("data.yaml", YAML)
    for name in ("train/a", "train/b", "val/c"):
        tree.picture(f"images/{name}.png", (20, 10))
        tree.text(f"labels/{name}.txt", "1 0.5 0.5 0.5 0.4\n")
    return tree


def test_boxes_and_splits(parts):
    parts.text("labels/train/b.txt", "")
    data = read(parts.root)
    a, b, c = data
    assert a.boxes == (Box("scratch", 5.0, 3.0, 15.0, 7.0),)
    assert (a.label, a.split, b.label, b.boxes, c.split) == ("scratch", "train", "good", (), "val")
    assert data.layout.startswith("data.yaml: 3 pictures of 2 classes with 2 boxes")


def test_folders_above_do_not_matter(tree):
    tree.root = tree.root / "images" / "deep"
    tree.text("data.yaml", "train: train\nnames: {00: pit}\n")
    tree.picture("train/a.png")
    tree.text("train/a.txt", "0 0.5 0.5 0.5 0.4\n", "utf-8-sig")
    assert read(tree.root).samples[0].label == "pit"


def test_outlines_give_their_bounding_box(parts):
    parts.text("labels/train/a.txt", "0 0.1 0.2 0.5 0.2 0.3 0.9\n")
    assert read(parts.root).samples[0].boxes == (Box("pit", 2.0, 2.0, 10.0, 9.0),)


def test_a_label_file_may_be_absent_and_is_noted(parts):
    (parts.root / "labels/train/b.txt").unlink()
    data = read(parts.root)
    assert data.samples[1].label == "good"
    assert data.notes == ("pictures without a label file, taken as holding nothing: 1 (images/train/b.png)",)


def test_a_split_without_any_label_file(parts):
    (parts.root / "labels/val/c.txt").unlink()
    with pytest.raises(
        BadData, match=r"images/val: expected label files such as .*labels/val/c\.txt, found none"
    ):
        read(parts.root)


@pytest.mark.parametrize(
    ("yaml", "note"),
    [
        ("path: .\n" + YAML, 0),
        ("path: /content/datasets/parts # on another machine\n" + YAML, 1),
        ("path: ../parts\n" + YAML, 0),
        (YAML.replace("images/", "../images/"), 0),
        ("train:\n  - images/train\n  - images/val\nnames:\n  0: pit\n  1: 'scratch'\n", 0),
        ("train: [images/train, images/val]\nnames: {0: pit, 1: scratch}\nnc: 2\n", 0),
    ],
)
def test_ways_to_say_where(parts, yaml, note):
    parts.text("data.yaml", yaml)
    data = read(parts.root)
    assert [s.id for s in data] == ["images/train/a.png", "images/train/b.png", "images/val/c.png"]
    assert len(data.notes) == note


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        (YAML.replace("images/val", "images/gone"), r"expected the folder 'images/gone' of val"),
        (YAML.replace("images/val", "/etc"), r"expected the folder '/etc' of val inside"),
        (YAML.replace("images/val", "../.."), r"expected the folder '\.\./\.\.' of val inside"),
        (YAML.replace("images/val", "val.txt"), r"lists are not understood"),
        (YAML.replace("names: [pit, scratch]", ""), r"expected names as a list"),
        (YAML.replace("[pit, scratch]", "[]"), r"expected names as a list"),
        (YAML.replace("[pit, scratch]", "{a: pit}"), r"expected names as a list"),
        (YAML.replace("[pit, scratch]", "[pit, [x]]"), r"data\.yaml line 3: .*nested brackets"),
        (YAML.replace("[pit, scratch]", "*anchor"), r"data\.yaml line 3: .*'\*anchor'"),
        (YAML + "names: [a]\n", r"data\.yaml line 4: expected 'names' once"),
        (YAML + "kpt_shape: [17, 3]\n", r"keypoints"),
        ("names: [pit]\n", r"expected pictures under train, val or test"),
        ("train: {a: b}\nnames: [pit]\n", r"expected folders under train, found a map"),
    ],
)
def test_yaml_that_does_not_do(parts, yaml, said):
    parts.text("data.yaml", yaml)
    with pytest.raises(BadData, match=said):
        read(parts.root)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("5 0.5 0.5 0.1 0.1", "annotation"),
        ("x 0.5 0.5 0.1 0.1", "annotation"),
        ("0 0.5 0.5 0.1", "annotation"),
        ("0 0.5 0.5 0.1 0.1 0.9", "annotation"),
        ("0 0.5 0.5 0.1 wide", "annotation"),
        ("0 nan 0.5 0.1 0.1", "annotation"),
        ("0 0.5 0.5 0 0.1", "box-empty"),
        ("0 0.9 0.5 0.8 0.1", "box-outside"),
        ("0 100 50 20 20", "box-outside"),
    ],
)
def test_lines_that_cannot_be_used(parts, line, kind):
    parts.text("labels/train/a.txt", f"{line}\n0 0.5 0.5 0.1 0.1\n")
    with pytest.raises(BadData, match=r"images/train/a\.png"):
        read(parts.root)
    data = read(parts.root, strict=False)
    assert [problem.kind for problem in data.problems] == [kind]
    assert len(data.samples[0].boxes) == 1


def test_a_picture_in_two_splits_and_one_that_is_none(parts):
    parts.text("data.yaml", YAML.replace("images/val", "images/train"))
    with pytest.raises(BadData, match=r"listed twice: images/train/a\.png \(again in val\)"):
        read(parts.root)
    parts.text("data.yaml", YAML)
    parts.text("images/train/a.png", "no picture")
    with pytest.raises(BadData, match=r"not a readable picture: images/train/a\.png"):
        read(parts.root)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("names: plain text # comment", "plain text"),
        ("names: 'it''s'", "it's"),
        ('names: "a # b"', "a # b"),
        ("names:", ""),
        ("names: []", []),
        ("names: [a, 'b, c', \"d\", ]", ["a", "b, c", "d"]),
        ("names: [don't, won't]", ["don't", "won't"]),
        ("names: [\n  a, b,\n  c\n]", ["a", "b", "c"]),
        ("names: {0: a, 1: 'b, c'}", {"0": "a", "1": "b, c"}),
        ("names:\n- a\n- b c", ["a", "b c"]),
        ("names:\n  0: a\n\n  # why\n  1: 'b' # x", {"0": "a", "1": "b"}),
        ("other:\n  names: inner\nnames: outer", "outer"),
        ("%YAML 1.2\n---\nweird: &a [*b, {c: !!d e}]\nnames: [a]", ["a"]),
        ("\ufeffnames: [ä]", ["ä"]),
    ],
)
def test_yaml_that_is_understood(tree, text, value):
    assert parse(tree.text("data.yaml", text), ("names",)) == {"names": value}


@pytest.mark.parametrize(
    "value",
    ["&a b", "|\n  text", ">\n  text", "!!set {a}", "{0: a, 0: b}", "[a", '"a', "'a", "a: b", "\n  0: a\n    1: b",
     "\n  - a\n  b: c", "\n  - a\n  - b: c", '"\\u0041"', "[a, {b: c}]", "a\n  b", "{a, b}"],
)  # fmt: skip
def test_yaml_that_is_refused(tree, value):
    path = tree.text("data.yaml", f"names: {value}\n")
    with pytest.raises(BadData, match=r"data\.yaml line 1: expected a text, a list or a map for 'names'"):
        parse(path, ("names",))


def test_yaml_agrees_with_a_real_parser(tree):
    yaml = pytest.importorskip("yaml")
    text = "path: data\ntrain: [a/b, 'c d', \"e\"]\nval:\n  - x\n  - 'y z'\nnames: {0: a b, 1: 'c'}\ntest: e # f\n"
    expected = yaml.safe_load(text)
    expected["names"] = {str(key): value for key, value in expected["names"].items()}
    assert parse(tree.text("data.yaml", text), ("path", "train", "val", "test", "names")) == expected

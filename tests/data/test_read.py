"""Recognising a layout, and settling good class and groups."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visiontune.data.read import LAYOUTS, read
from visiontune.data.samples import Box
from visiontune.runtime.errors import BadData

FORMS = {
    "manifest": lambda tree: tree.manifest("path,label", "a.png,x"),
    "coco": lambda tree: tree.text(
        "instances.json",
        json.dumps({"images": [{"id": 1, "file_name": "a.png"}], "annotations": [], "categories": []}),
    ),
    "yolo": lambda tree: (
        tree.text("data.yaml", "train: images/t\nnames: [x]\n"),
        tree.picture("images/t/1.png"),
        tree.text("labels/t/1.txt", ""),
    ),
    "voc": lambda tree: (
        tree.picture("JPEGImages/1.jpg"),
        tree.text("Annotations/1.xml", "<annotation/>"),
    ),
    "mvtec": lambda tree: (
        tree.picture("train/good/1.png"),
        tree.picture("test/good/1.png"),
        tree.mask("ground_truth/x/1.png"),
    ),
    "masks": lambda tree: (tree.picture("images/1.png"), tree.mask("masks/1.png")),
    "class_folders": lambda tree: (tree.picture("x/1.png"), tree.picture("y/1.png")),
}


def test_the_order_of_precedence_is_the_documented_one():
    assert [layout.NAME for layout in LAYOUTS] == list(FORMS)


@pytest.mark.parametrize("name", FORMS)
def test_each_layout_is_recognised(tree, name):
    tree.picture("a.png")
    if name == "class_folders":
        (tree.root / "a.png").unlink()
    FORMS[name](tree)
    assert read(tree.root).provenance["reader"] == name
    assert read(str(tree.root), layout=name).provenance["reader"] == name


@pytest.mark.parametrize("first", range(len(FORMS) - 1))
def test_the_earlier_layout_wins(tree, first):
    tree.picture("a.png")
    names = list(FORMS)[first:]
    for name in names:
        FORMS[name](tree)
    if names[0] == "mvtec":
        (tree.root / "a.png").unlink()
    assert read(tree.root, strict=False).provenance["reader"] == names[0]


def test_nothing_recognised(tree):
    tree.text("readme.txt", "")
    for i in range(7):
        tree.text(f"f{i}/x.txt", "")
    with pytest.raises(BadData) as caught:
        read(tree.root)
    said = str(caught.value)
    assert all(layout.EXPECTS in said for layout in LAYOUTS)
    assert "Found f0/, f1/, f2/, f3/, f4/ and 3 more" in said


def test_an_empty_folder_a_missing_one_and_a_file(tree, tmp_path):
    tree.root.mkdir()
    with pytest.raises(BadData, match="Found an empty folder"):
        read(tree.root)
    with pytest.raises(BadData, match=r"gone: expected a folder of pictures, found nothing there"):
        read(tmp_path / "gone")
    with pytest.raises(BadData, match=r"a\.txt: expected a folder of pictures, found a file"):
        read(tree.text("a.txt", ""))
    with pytest.raises(BadData):
        read(tmp_path / "a\0b")


def test_a_layout_asked_for_by_name(tree):
    tree.picture("x/1.png")
    with pytest.raises(BadData, match=r"expected annotations/train\.json.*; found x/"):
        read(tree.root, layout="coco")
    with pytest.raises(BadData, match="expected a layout of manifest, coco,"):
        read(tree.root, layout="imagenet")


def test_a_manifest_without_rows(tree):
    tree.manifest("path,label")
    with pytest.raises(BadData, match=r"expected pictures, found none in what looks like manifest\.csv"):
        read(tree.root)


@pytest.mark.parametrize("name", ["good", "OK", "Normal", "free", "PASS"])
def test_good_names(tree, name):
    tree.picture(f"{name}/1.png")
    tree.picture("a/1.png")
    data = read(tree.root)
    assert (data.good, data.classes) == (name, (name, "a"))
    assert read(tree.root, good=None).classes == tuple(sorted((name, "a")))
    assert read(tree.root, good="a").classes == ("a", name)


def test_no_good_class(tree):
    tree.picture("b/1.png")
    tree.picture("a/1.png")
    data = read(tree.root)
    assert (data.good, data.classes) == (None, ("a", "b"))


def test_several_good_classes_and_an_unknown_one(tree):
    tree.picture("good/1.png")
    tree.picture("OK/1.png")
    with pytest.raises(BadData, match=r"expected one good class, found OK, good; say which with good=NAME"):
        read(tree.root)
    assert read(tree.root, good="OK").good == "OK"
    with pytest.raises(
        BadData, match=r"expected the good class 'Goood', found OK, good; did you mean 'good'\?"
    ):
        read(tree.root, good="Goood")


def test_parts_for_a_model_that_knows_their_classes_need_no_good_one(tree):
    tree.picture("crack/1.png")
    with pytest.raises(BadData, match="expected the good class 'good', found crack"):
        read(tree.root, good="good")
    data = read(tree.root, good="good", known=("good", "crack", "dent"))
    assert (data.good, data.classes) == ("good", ("crack",))
    with pytest.raises(BadData, match="expected the good class 'good', found crack"):
        read(tree.root, good="good", known=("good", "dent"))


def test_what_a_model_ignored_need_not_be_there(tree):
    tree.picture("a.png")
    tree.manifest("path,label", "a.png,good")
    with pytest.raises(BadData, match="expected ignore to name one of"):
        read(tree.root, ignore=("camera",))
    assert len(read(tree.root, good="good", ignore=("camera",), known=("good", "crack"))) == 1


def test_group_by_pattern(tree):
    for name in ("good/t1_0.png", "good/t1_1.png", "crack/t2_0.png"):
        tree.picture(name)
    data = read(tree.root, group=r"/(t\d+)_")
    assert [s.group for s in data] == ["t2", "t1", "t1"]
    assert data.layout == "class folders: 3 pictures of 2 classes in 2 groups, no splits given"
    assert data.provenance["group_pattern"] == r"/(t\d+)_"
    with pytest.raises(
        BadData, match=r"expected '/\(t1\)_' to find the group .* found none in crack/t2_0\.png"
    ):
        read(tree.root, group="/(t1)_")
    with pytest.raises(BadData, match="expected a capturing group"):
        read(tree.root, group=r"t\d+")
    with pytest.raises(BadData, match="expected a regular expression"):
        read(tree.root, group="(")


def test_the_manifests_groups_go_before_the_pattern(tree):
    tree.picture("t1.png")
    tree.manifest("path,label,group", "t1.png,x,column")
    data = read(tree.root, group="(t1)")
    assert data.samples[0].group == "column"
    assert "pattern '(t1)' is not used" in data.notes[0]
    assert data.provenance["group_pattern"] is None
    assert read(tree.root, group="(t1)", ignore=("group",)).samples[0].group == "t1"


def test_an_unknown_name_to_ignore(tree):
    tree.picture("a.png")
    tree.manifest("path,label,camera", "a.png,x,left")
    with pytest.raises(BadData, match=r"found 'camra'; did you mean 'camera'\?"):
        read(tree.root, ignore=("camra",))
    tree.picture("x/1.png")
    with pytest.raises(BadData, match=r"split, group, mask, boxes; found 'camera'"):
        read(tree.root, ignore=("camera",), layout="class_folders")


@pytest.fixture
def boxed(tree):
    """A manifest with a COCO file beside it."""
    for name in "ab":
        tree.picture(f"{name}.png")
    images = [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate("ab")]
    content = {
        "images": images,
        "annotations": [{"image_id": 0, "category_id": 1, "bbox": [0, 0, 5, 5]}],
        "categories": [{"id": 1, "name": "pit"}],
    }
    tree.text("annotations/train.json", json.dumps(content))
    tree.manifest("path,label,split", "a.png,odd,train", "b.png,free,train")
    return tree


def test_a_manifest_borrows_boxes(boxed):
    a, b = data = read(boxed.root)
    assert (a.label, a.boxes, b.label, b.boxes) == ("odd", (Box("pit", 0, 0, 5, 5),), "free", ())
    assert data.layout.startswith(
        "manifest.csv with boxes of annotations/train.json: 2 pictures of 2 classes with 1 box"
    )
    assert read(boxed.root, ignore=("boxes",)).samples[0].boxes is None


def test_a_manifest_and_annotations_that_disagree(boxed):
    boxed.manifest("path,label,split", "a.png,odd,test", "b.png,free,train")
    with pytest.raises(
        BadData, match=r"disagree about the split: a\.png \(manifest test, annotations/train\.json train\)"
    ):
        read(boxed.root)
    assert read(boxed.root, ignore=("split",)).samples[0].split is None


def test_the_readers_need_no_training_stack():
    walled = "import sys; sys.modules.update(dict.fromkeys(('torch', 'onnx', 'scipy', 'albumentations', 'yaml', 'cv2')))"
    names = "read, splits, trainable, pin"
    code = f"{walled}; from visiontune.data import {names}"
    subprocess.run([sys.executable, "-c", code], check=True)


PIECES = [
    *("path", "label", "boxes", "split", "a.png", "crack", ",", ";", "\t", '"', "\n", "\r", "|", "1 2 3 4", "nan", "\0"),
    *("names:", "train:", "path:", " .", " images", "[", "]", "{", "}", ":", "- ", "'", "0", "#", "&", "\n  "),
    *("<annotation>", "</annotation>", "<object>", "</object>", "<name>", "</name>", "<bndbox>", "<xmin>", "<!DOCTYPE", "&x;"),
    *('"images"', '"annotations"', '"categories"', '"id"', '"file_name"', '"bbox"', "null", "1e999", "-1", "true"),
]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["manifest.csv", "instances.json", "data.yaml", "Annotations/a.xml", "labels/a.txt"]
)
@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(st.sampled_from(PIECES), max_size=30).map("".join)
    | st.text(max_size=30)
    | st.binary(max_size=30)
)
def test_whatever_a_file_holds_it_is_read_or_refused_on_one_line(name, text):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for at in ("Annotations", "JPEGImages", "images", "labels"):
            (root / at).mkdir()
        for at in ("a.png", "JPEGImages/a.png", "images/a.png"):
            Image.new("L", (20, 10)).save(root / at)
        (root / "labels/a.txt").write_text("")
        if name.startswith("labels"):
            (root / "data.yaml").write_text("train: images\nnames: [pit]\n")
        (root / name).write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        for strict in (True, False):
            try:
                read(root, strict=strict).digest()
            except BadData as error:
                assert "\n" not in str(error)

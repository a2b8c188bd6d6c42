"""The manifest layout."""

from __future__ import annotations

import os

import pytest

from visiontune.data.read import read
from visiontune.data.samples import Box
from visiontune.runtime.errors import BadData


def test_everything_a_manifest_can_say(tree):
    for name in ("a", "b", "c"):
        tree.picture(f"images/{name}.png")
    tree.mask("masks/b.png")
    tree.manifest(
        "path,label,mask,group,split,camera,Lot",
        "images/a.png,free,,tile_1,train,left,7",
        "images/b.png,crack,masks/b.png,tile_2,validation,right,7",
        "",
        "./images//c.png,fray,,,TEST,right,8",
    )
    data = read(tree.root)
    a, b, c = data
    assert [s.id for s in data] == ["images/a.png", "images/b.png", "images/c.png"]
    assert (a.label, a.mask, a.boxes, a.group, a.split) == ("free", None, None, "tile_1", "train")
    assert a.path == tree.root / "images/a.png"
    assert a.attributes == {"camera": "left", "Lot": "7"}
    assert (b.mask, b.split) == (tree.root / "masks/b.png", "val")
    assert (c.group, c.split) == ("images/c.png", "test")
    assert (data.classes, data.good) == (("free", "crack", "fray"), "free")
    assert data.layout == "manifest.csv: 3 pictures of 3 classes, each its own group, split by the manifest"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_encodings_delimiters_newlines(tree, encoding, delimiter, newline):
    tree.picture("ä 1.png")
    tree.picture("b,;.png")
    rows = [["Path", "LABEL", "group"], ["ä 1.png", "good", "p"], ['"b,;.png"', "crack", "p"]]
    tree.text("manifest.csv", newline.join(delimiter.join(row) for row in rows), encoding)
    data = read(tree.root)
    assert [(s.id, s.label, s.group) for s in data] == [("ä 1.png", "good", "p"), ("b,;.png", "crack", "p")]
    assert data.layout == "manifest.csv: 2 pictures of 2 classes in 1 group, no splits given"


def test_paths_written_on_windows(tree):
    tree.picture("images/a.png")
    tree.manifest("path,label", "images\\a.png,good")
    assert read(tree.root).samples[0].id == "images/a.png"


def test_boxes(tree):
    for name in "abcd":
        tree.picture(f"{name}.png", (20, 10))
    tree.manifest(
        "path,label,boxes",
        "a.png,,deep scratch 1 2 3.5 4 ignore | pit 0 0 20.6 10 | pit 1 1 2 2",
        "b.png,odd,pit 1 1 2 2",
        "c.png,,none",
        "d.png,odd,",
    )
    a, b, c, d = read(tree.root)
    assert a.boxes == (
        Box("deep scratch", 1, 2, 3.5, 4, ignore=True),
        Box("pit", 0, 0, 20, 10),
        Box("pit", 1, 1, 2, 2),
    )
    assert (a.label, b.label, c.label, d.label) == ("pit", "odd", "good", "odd")
    assert (c.boxes, d.boxes) == ((), None)


def test_ignored_columns(tree):
    tree.picture("a.png")
    tree.manifest("path,label,mask,group,split,camera", "a.png,x,gone.png,g,nonsense,left")
    (sample,) = read(tree.root, ignore=("mask", "group", "split", "camera"))
    assert (sample.mask, sample.group, sample.split, sample.attributes) == (None, "a.png", None, {})


def test_unnamed_columns_are_no_attributes(tree):
    tree.picture("a.png")
    tree.manifest("path,label,,", "a.png,x,,")
    assert read(tree.root).samples[0].attributes == {}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("file,label,camera", r"found file, label, camera; add path$"),
        ("path;klasse", r"found path, klasse; add label$"),
        ("", r"found an empty file; add path and label$"),
        ("path,label,split,Split", r"found twice: split; rename one$"),
    ],
)
def test_columns_that_are_missing_or_twice(tree, header, said):
    tree.text("manifest.csv", header)
    with pytest.raises(BadData, match=said):
        read(tree.root)


def test_a_file_that_is_no_table(tree):
    tree.text("manifest.csv", "x" * 200_000)
    with pytest.raises(
        BadData, match=r"manifest\.csv: expected CSV in UTF-8, found near line 1: field larger"
    ):
        read(tree.root)
    tree.manifest("path,label", '"' + "x" * 200_000)
    with pytest.raises(BadData, match="found near line 2: field larger"):
        read(tree.root)


def test_other_encodings_are_named(tree):
    tree.text("manifest.csv", "path,label\nä.png,good\n", "latin-1")
    with pytest.raises(BadData, match=r"manifest\.csv: expected CSV in UTF-8.*save it as CSV UTF-8"):
        read(tree.root)
    tree.text("manifest.csv", "path,label\na.png,good\n", "utf-16")
    with pytest.raises(BadData, match="UTF-8"):
        read(tree.root)


@pytest.mark.parametrize(
    ("row", "kind", "said"),
    [
        (
            "a.png,x,holdout",
            "unknown-split",
            r"unknown split: a\.png \(line 3: holdout\); write train, val or test",
        ),
        ("ok.png,x,train", "duplicate", r"listed twice: ok\.png \(line 3: as in line 2\)"),
        ("./ok.png,x,train", "duplicate", r"listed twice"),
        ("gone.png,x,train", "missing-file", r"picture is missing: gone\.png \(line 3\)"),
        ("a.png/b.png,x,train", "missing-file", r"picture is missing"),
        ("a.png,,train", "no-label", r"no label: a\.png \(line 3\)"),
        ("a.png,x", "bad-row", r"2 cells instead of 3"),
        ("/etc/passwd,x,train", "outside", r"leaves the folder: /etc/passwd \(line 3: absolute path\)"),
        ("C:\\a.png,x,train", "outside", r"absolute path"),
        ("sub/../a.png,x,train", "outside", r"'\.\.' in the path"),
        ("..\\a.png,x,train", "outside", r"'\.\.' in the path"),
        ("a\0.png,x,train", "bad-name", r"a\\x00\.png \(line 3: NUL in the name\)"),
        (",x,train", "bad-name", r"empty"),
        ("sub,x,train", "bad-name", r"not a file"),
        (".,x,train", "bad-name", r"names a folder"),
        (f"{'n' * 300}.png,x,train", "bad-name", r"name too long"),
    ],
)
def test_rows_that_cannot_be_used(tree, row, kind, said):
    tree.picture("ok.png")
    tree.picture("a.png")
    tree.picture("sub/deep.png")
    tree.manifest("path,label,split", "ok.png,x,train", row)
    with pytest.raises(BadData, match=said) as caught:
        read(tree.root)
    assert str(caught.value).startswith(f"{tree.root}: ")
    assert "\n" not in str(caught.value)
    data = read(tree.root, strict=False)
    assert [sample.id for sample in data] == ["ok.png"]
    assert [problem.kind for problem in data.problems] == [kind]


def test_links_that_leave_the_folder(tree, tmp_path):
    outside = tree.picture("../outside/x.png")
    tree.picture("inner/a.png")
    (tree.root / "file.png").symlink_to(outside)
    (tree.root / "folder").symlink_to(outside.parent, target_is_directory=True)
    (tree.root / "fine.png").symlink_to("inner/a.png")
    (tree.root / "gone.png").symlink_to("inner/gone.png")
    (tree.root / "ring.png").symlink_to("ring.png")
    names = ("file.png", "folder/x.png", "fine.png", "gone.png", "ring.png")
    tree.manifest("path,label", *(f"{name},x" for name in names))
    data = read(tree.root, strict=False)
    assert [sample.id for sample in data] == ["fine.png"]
    found = [(problem.path, problem.kind) for problem in data.problems]
    assert found[:3] == [("file.png", "outside"), ("folder/x.png", "outside"), ("gone.png", "missing-file")]
    assert found[3][0] == "ring.png"
    with pytest.raises(BadData, match=r"a link leads to .*outside"):
        read(tree.root)


def test_a_folder_that_is_itself_a_link(tree, tmp_path):
    tree.picture("a.png")
    tree.manifest("path,label", "a.png,x")
    (tmp_path / "link").symlink_to(tree.root, target_is_directory=True)
    assert read(tmp_path / "link").samples[0].path == tmp_path / "link" / "a.png"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_no_picture(tree):
    tree.picture("a.png")
    os.mkfifo(tree.root / "pipe.png")
    tree.manifest("path,label", "a.png,x", "pipe.png,x")
    with pytest.raises(BadData, match="not a file"):
        read(tree.root)


@pytest.mark.parametrize(
    ("mask", "kind"),
    [
        ("gone.png", "mask-missing"),
        ("small.png", "mask-size"),
        ("broken.png", "unreadable"),
        ("../x.png", "outside"),
    ],
)
def test_masks_that_cannot_be_used(tree, mask, kind):
    tree.picture("a.png")
    tree.mask("small.png", (19, 10))
    tree.text("broken.png", "no picture")
    tree.manifest("path,label,mask", f"a.png,x,{mask}")
    with pytest.raises(BadData):
        read(tree.root)
    assert [problem.kind for problem in read(tree.root, strict=False).problems] == [kind]


@pytest.mark.parametrize(
    ("boxes", "kind"),
    [
        ("pit 1 1 30 5", "box-outside"),
        ("pit -3 1 5 5", "box-outside"),
        ("pit 5 5 5 9", "box-empty"),
        ("pit 5 5 4 9", "box-empty"),
        ("pit 20.5 1 20.9 5", "box-empty"),
        ("pit 5 5 9 5.5", "box-tiny"),
        ("pit 1 1 5 5 ignored", "box-unclear"),
        ("1 1 5 5 ignore", "box-unclear"),
        ("ignore", "box-unclear"),
        ("pit nan 1 5 5", "box-unclear"),
        ("pit 1 1 5", "box-unclear"),
        ("1 1 5 5", "box-unclear"),
        ("pit 1 1 five 5", "box-unclear"),
    ],
)
def test_boxes_that_cannot_be_used(tree, boxes, kind):
    tree.picture("a.png", (20, 10))
    tree.manifest("path,label,boxes", f"a.png,x,{boxes} | pit 1 1 2 2")
    with pytest.raises(BadData, match=r"a\.png"):
        read(tree.root)
    data = read(tree.root, strict=False)
    assert [problem.kind for problem in data.problems] == [kind]
    assert data.samples[0].boxes == (Box("pit", 1, 1, 2, 2),)

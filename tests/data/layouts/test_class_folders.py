"""The class-folder layout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from visiontune.data.read import read
from visiontune.runtime.errors import BadData


def test_one_folder_a_class(tree):
    for name in (
        "ok/1.png",
        "ok/2.JPG",
        "crack/1.bmp",
        "Thumbs/.hidden.png",
        ".cache/x.png",
        "__MACOSX/ok/._1.png",
    ):
        tree.picture(name)
    (tree.root / "Thumbs/.hidden.png").unlink()
    (tree.root / "Thumbs").rmdir()
    tree.text("ok/notes.txt", "not a picture")
    data = read(tree.root)
    assert [(s.id, s.label, s.split) for s in data] == [
        ("crack/1.bmp", "crack", None),
        ("ok/1.png", "ok", None),
        ("ok/2.JPG", "ok", None),
    ]
    assert (data.classes, data.good) == (("ok", "crack"), "ok")
    assert data.layout == "class folders: 3 pictures of 2 classes, each its own group, no splits given"


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val", "test"), ("test", "train", "val")),
        (("Training", "valid", "testing"), ("train", "test", "val")),
        (("train", "validation"), ("train", "val")),
    ],
)
def test_split_folders_above(tree, names, splits):
    for name in names:
        tree.picture(f"{name}/good/1.png")
        tree.picture(f"{name}/bad/1.png")
    data = read(tree.root)
    assert tuple(s.split for s in data if s.label == "good") == splits
    assert data.layout.endswith("split by the folders")
    unsplit = read(tree.root, ignore="split")
    assert {s.split for s in unsplit} == {None}
    assert unsplit.layout.endswith("no splits given")


def test_a_class_may_be_called_train(tree):
    tree.picture("train/1.png")
    tree.picture("ship/1.png")
    assert [(s.label, s.split) for s in read(tree.root)] == [("ship", None), ("train", None)]


@pytest.mark.parametrize(
    ("make", "kind", "said"),
    [
        (
            lambda tree: (tree.root / "fray").mkdir(),
            "empty-class",
            r"holds no picture: fray; add pictures or remove",
        ),
        (
            lambda tree: tree.picture("crack/lot_1/9.png"),
            "stray-folder",
            r"crack/lot_1 \(inside a class folder\)",
        ),
        (
            lambda tree: tree.picture("overview.png"),
            "no-label",
            r"overview\.png \(beside the class folders\)",
        ),
    ],
)
def test_folders_that_are_not_clear(tree, make, kind, said):
    tree.picture("good/1.png")
    tree.picture("crack/1.png")
    make(tree)
    with pytest.raises(BadData, match=said):
        read(tree.root)
    data = read(tree.root, strict=False)
    assert [problem.kind for problem in data.problems] == [kind]
    assert len(data) == 2


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda tree: (tree.root / "val").mkdir(), "empty-class"),
        (lambda tree: (tree.root / "train/fray").mkdir(), "empty-class"),
        (lambda tree: tree.picture("more/crack/9.png"), "stray-folder"),
        (lambda tree: tree.picture("test/good/new/9.png"), "stray-folder"),
        (lambda tree: tree.picture("train/9.png"), "no-label"),
    ],
)
def test_split_folders_that_are_not_clear(tree, make, kind):
    for split in ("train", "test"):
        tree.picture(f"{split}/good/1.png")
        tree.picture(f"{split}/crack/1.png")
    make(tree)
    with pytest.raises(BadData):
        read(tree.root)
    assert [problem.kind for problem in read(tree.root, strict=False).problems] == [kind]


def test_links_out_of_the_folder(tree):
    tree.picture("good/1.png")
    outside = tree.picture("../outside/2.png")
    (tree.root / "good/2.png").symlink_to(outside)
    with pytest.raises(BadData, match=r"leaves the folder: good/2\.png"):
        read(tree.root)


@pytest.mark.parametrize("at", ["ok/disk", "disk", "train"])
def test_the_disk_behind_a_link_is_not_searched(tree, at, tmp_path, monkeypatch):
    tree.picture("ok/1.png")
    for name in ("big/sub/deep/1.png", "big/sub/2.png"):
        tree.picture(f"../{name}")
    (tree.root / at).symlink_to(tmp_path, target_is_directory=True)
    seen = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (seen.append(Path(path).name), scandir(path))[1])
    data = read(tree.root, strict=False)
    assert "ok/1.png" in [sample.id for sample in data]
    assert "deep" not in seen


def test_a_linked_folder_in_a_class_folder_is_found_and_not_entered(tree):
    tree.picture("ok/1.png")
    tree.picture("crack/1.png")
    (tree.root / "ok/round").symlink_to(".", target_is_directory=True)
    with pytest.raises(BadData, match=r"folder does not belong here: ok/round \(inside a class folder\)"):
        read(tree.root)


def test_many_folders_deep_is_no_trouble(tree):
    tree.picture("ok/1.png")
    deep = tree.root / "ok"
    for _ in range(700):
        deep /= "d"
        deep.mkdir()
    assert len(read(tree.root)) == 1

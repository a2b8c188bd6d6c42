"""The images-and-masks layout."""

from __future__ import annotations

import numpy as np
import pytest

from visiontune.data.read import read
from visiontune.runtime.errors import BadData


def test_masks_alone_say_the_label(tree):
    for name in ("a", "b", "c"):
        tree.picture(f"images/{name}.jpg")
    tree.mask("masks/a.png")
    tree.mask("masks/b.png", marked=False)
    tree.mask("masks/c_mask.png")
    data = read(tree.root)
    assert [(s.id, s.label) for s in data] == [
        ("images/a.jpg", "defect"),
        ("images/b.jpg", "good"),
        ("images/c.jpg", "defect"),
    ]
    assert [s.mask.name for s in data] == ["a.png", "b.png", "c_mask.png"]
    assert data.classes == ("good", "defect")
    assert [s.label for s in read(tree.root, good="flawless")] == ["defect", "flawless", "defect"]
    assert [s.label for s in read(tree.root, good=None)] == ["defect", None, "defect"]


def test_an_opaque_black_mask_marks_nothing(tree):
    tree.picture("images/a.png")
    black = np.zeros((10, 20, 4), np.uint8)
    black[..., 3] = 255
    tree.save("masks/a.png", black)
    assert read(tree.root).samples[0].label == "good"


def test_class_folders_with_masks_for_some(tree):
    tree.picture("images/free/1.png")
    tree.picture("images/fray/1.png")
    tree.picture("images/crack/1.png")
    tree.mask("masks/crack/1.png")
    data = read(tree.root)
    assert [(s.label, s.mask is not None) for s in data] == [
        ("crack", True),
        ("fray", False),
        ("free", False),
    ]
    assert data.good == "free"


def test_split_folders(tree):
    for split in ("train", "valid"):
        tree.picture(f"images/{split}/1.png")
        tree.mask(f"masks/{split}/1.png")
        tree.picture(f"images/test/good/{split}.png")
    data = read(tree.root)
    assert [(s.id, s.split, s.label) for s in data] == [
        ("images/test/good/train.png", "test", "good"),
        ("images/test/good/valid.png", "test", "good"),
        ("images/train/1.png", "train", "defect"),
        ("images/valid/1.png", "val", "defect"),
    ]
    assert {s.split for s in read(tree.root, ignore=("split",))} == {None}


@pytest.mark.parametrize("folder", ["", "crack/"])
def test_a_missing_mask(tree, folder):
    tree.picture(f"images/{folder}1.png")
    tree.picture(f"images/{folder}2.png")
    tree.mask(f"masks/{folder}1.png")
    with pytest.raises(BadData, match=rf"mask is missing: images/{folder}2\.png; add the mask \(all black"):
        read(tree.root)


def test_sizes_and_broken_masks(tree):
    tree.picture("images/1.png", (20, 10))
    tree.mask("masks/1.png", (10, 20))
    with pytest.raises(BadData, match=r"images/1\.png \(20 x 10, mask 10 x 20\)"):
        read(tree.root)
    tree.text("masks/1.png", "no picture")
    with pytest.raises(BadData, match=r"not a readable picture: masks/1\.png"):
        read(tree.root)


def test_a_turned_picture_is_as_large_as_it_is_decoded(tree):
    tree.picture(
        "images/1.jpg",
        (20, 10),
        exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
    )
    tree.mask("masks/1.png", (10, 20))
    assert len(read(tree.root)) == 1

"""The MVTec layout."""

from __future__ import annotations

import pytest

from visiontune.data.read import read
from visiontune.data.splits import split
from visiontune.data.trainable import check_trainable
from visiontune.runtime.errors import BadData


@pytest.fixture
def bottle(tree):
    for i in range(30):
        tree.picture(f"train/good/{i:03}.png")
    for i in range(20):
        tree.picture(f"test/good/{i:03}.png")
        tree.picture(f"test/crack/{i:03}.png")
        tree.mask(f"ground_truth/crack/{i:03}_mask.png")
    return tree


def test_samples(bottle):
    data = read(bottle.root)
    assert data.counts() == {"train": {"good": 30, "crack": 0}, "test": {"good": 20, "crack": 20}}
    assert data.good == "good"
    cracked = next(s for s in data if s.id == "test/crack/007.png")
    assert cracked.mask == bottle.root / "ground_truth/crack/007_mask.png"
    assert all(s.mask is None for s in data if s.label == "good")
    assert data.layout == "MVTec layout: 70 pictures of 2 classes, each its own group, split by the folders"


def test_the_three_ways_to_split(bottle):
    carved = split(read(bottle.root)).counts()
    assert carved["test"] == {"good": 20, "crack": 20}
    assert carved["train"]["good"] + carved["val"]["good"] == 30
    assert carved["val"]["crack"] == 0

    divided = split(read(bottle.root), val_from="test").counts()
    assert divided["train"] == {"good": 30, "crack": 0}
    assert divided["val"]["crack"] > 0 < divided["test"]["crack"]
    check_trainable(split(read(bottle.root), val_from="test"), one_class=True)

    anew = split(read(bottle.root, ignore=("split",)))
    check_trainable(anew)
    assert anew.counts()["train"]["crack"] > 0


def test_a_missing_mask(bottle):
    (bottle.root / "ground_truth/crack/003_mask.png").unlink()
    with pytest.raises(
        BadData, match=r"mask is missing: test/crack/003\.png \(ground_truth/crack/003_mask\.png\)"
    ):
        read(bottle.root)
    data = read(bottle.root, strict=False)
    assert len(data) == 70
    assert {s.mask for s in read(bottle.root, ignore=("mask",))} == {None}


def test_an_empty_kind(bottle):
    (bottle.root / "test/scratch").mkdir()
    with pytest.raises(BadData, match="class folder holds no picture: test/scratch"):
        read(bottle.root)


def test_a_folder_of_products_points_inside(bottle):
    with pytest.raises(BadData, match=r"name a folder inside it: parts"):
        read(bottle.root.parent)

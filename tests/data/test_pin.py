"""Writing a data set down as a manifest."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from visiontune.data.pin import pin
from visiontune.data.read import read
from visiontune.data.samples import Box
from visiontune.data.splits import split
from visiontune.runtime.errors import BadData


def test_what_is_pinned_is_read_back(tree):
    for i in range(12):
        tree.picture(f"images/good/ä,{i}.png")
        tree.picture(f"images/crack/{i}.png")
        tree.mask(f"masks/crack/{i}.png")
    data = split(read(tree.root, group=r"(\d+)\.png"), seed=3)
    boxes = (Box("deep pit", 0.1, 1, 2, 2 + 1 / 3), Box("pit", 0, 0, 20, 10, ignore=True))
    first, second, *others = data.samples
    data = replace(
        data,
        samples=(
            replace(first, boxes=boxes, attributes={"camera": "left"}),
            replace(second, boxes=()),
            *others,
        ),
    )
    assert pin(data) == tree.root / "manifest.csv"
    again = read(tree.root)
    assert again.digest() == data.digest()
    assert [replace(s, attributes={}) for s in again] == [replace(s, attributes={}) for s in data]
    assert again.samples[0].attributes == {"camera": "left"}
    assert not list(tree.root.glob(".manifest*"))

    tree.picture("images/good/new.png")
    with (tree.root / "manifest.csv").open("a") as file:
        file.write("images/good/new.png,good,,,,,\n")
    later = split(read(tree.root), seed=3)
    assert [s.split for s in later][:-1] == [s.split for s in data]


def test_an_old_manifest_is_not_overwritten_unasked(tree):
    tree.picture("a.png")
    path = tree.manifest("path,label", "a.png,x")
    data = read(tree.root)
    with pytest.raises(BadData, match="found one; pass overwrite=True"):
        pin(data)
    assert path.read_text() == "path,label\na.png,x\n"
    pin(data, overwrite=True)
    assert read(tree.root).digest() == data.digest()


def test_names_that_a_manifest_cannot_hold(tree):
    tree.picture("x /1.png")
    tree.picture("y/1.png")
    with pytest.raises(BadData, match=r"cannot hold 'x ' of x /1\.png"):
        pin(read(tree.root))
    assert not (tree.root / "manifest.csv").exists()
    good = read(tree.root).samples[1]
    with pytest.raises(BadData, match=r"cannot hold the kind 'a\|b'"):
        pin(replace(read(tree.root), samples=(replace(good, boxes=(Box("a|b", 0, 0, 1, 1),)),)))


@pytest.mark.skipif(os.name != "posix", reason="names are bytes only there")
def test_a_file_whose_name_is_no_text(tree):
    path = tree.picture("x/1.png")
    try:
        path.rename(os.fsdecode(os.fsencode(path.parent) + b"/\xff.png"))
    except OSError:
        pytest.skip("this file system refuses such names")
    data = split(read(tree.root))
    assert len(data.digest()) == 64
    with pytest.raises(BadData, match=r"cannot hold 'x/\\udcff\.png'"):
        pin(data)

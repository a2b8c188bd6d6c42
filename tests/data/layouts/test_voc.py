"""The Pascal VOC layout."""

from __future__ import annotations

import pytest

from visiontune.data.read import read
from visiontune.data.samples import Box
from visiontune.runtime.errors import BadData


def xml(*objects: str, size: str = "<size><width>20</width><height>10</height></size>") -> str:
    return f"<annotation>{size}{''.join(objects)}</annotation>"


def thing(name: str, x0: object, y0: object, x1: object, y1: object, difficult: int = 0) -> str:
    corners = f"<xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{corners}</bndbox></object>"


@pytest.fixture
def parts(tree):
    for name in "abc":
        tree.picture(f"JPEGImages/{name}.jpg", (20, 10))
    tree.text("Annotations/a.xml", xml(thing("pit", 1, 1, 20, 10), thing("scratch", 3, 3, 5, 5, difficult=1)))
    tree.text("Annotations/b.xml", xml())
    tree.text("Annotations/c.xml", xml(thing("pit", 0, 2, 3, 3), size=""))
    return tree


def test_boxes_count_from_one(parts):
    data = read(parts.root)
    a, b, c = data
    assert a.boxes == (Box("pit", 0, 0, 20, 10), Box("scratch", 2, 2, 5, 5, ignore=True))
    assert (a.id, a.label) == ("JPEGImages/a.jpg", "pit")
    assert (b.label, b.boxes) == ("good", ())
    assert c.boxes == (Box("pit", 0, 1, 3, 3),)
    assert data.layout == (
        "Annotations/*.xml: 3 pictures of 2 classes with 3 boxes, each its own group, no splits given"
    )


def test_lists_give_the_splits(parts):
    parts.text("ImageSets/Main/train.txt", "a\n")
    parts.text("ImageSets/Main/test.txt", "c 1\n")
    parts.text("ImageSets/Main/trainval.txt", "a\nb\n")
    data = read(parts.root)
    assert [s.split for s in data] == ["train", None, "test"]
    assert data.layout.endswith("2 of them split by ImageSets/Main")
    assert {s.split for s in read(parts.root, ignore=("split",))} == {None}
    (parts.root / "ImageSets/Main/train.txt").unlink()
    assert [s.split for s in read(parts.root)] == ["train", "train", "test"]


def test_a_picture_in_two_lists(parts):
    parts.text("ImageSets/Main/train.txt", "a\nb\n")
    parts.text("ImageSets/Main/test.txt", "b\n")
    with pytest.raises(BadData, match=r"sources disagree about the split: b \(train and test\)"):
        read(parts.root)


BOMB = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]>'


@pytest.mark.parametrize(
    ("content", "kind", "said"),
    [
        (BOMB + xml(), "annotation", "a DOCTYPE or ENTITY"),
        ('<!doctype a SYSTEM "file:///etc/passwd">' + xml(), "annotation", "a DOCTYPE or ENTITY"),
        (
            ('<?xml version="1.0" encoding="utf-16"?>' + BOMB + xml()).encode("utf-16"),
            "annotation",
            "expected UTF-8",
        ),
        ('<?xml version="1.0" encoding="cp037"?>' + xml(), "annotation", ""),
        ('<?xml version="1.0" encoding="utf-7"?>' + xml(), "annotation", ""),
        ('<?xml version="1.0" encoding="no-such"?>' + xml(), "annotation", ""),
        ("", "annotation", "no element found"),
        ("<annotation>", "annotation", "no element found"),
        ("<html/>", "annotation", "expected <annotation>, found <html>"),
        (xml(thing("pit", 1, 1, 30, 5)), "box-outside", "in 20 x 10"),
        (xml(thing("pit", 5, 5, 4, 5)), "box-empty", ""),
        (xml(thing("pit", 5, 5, "wide", 9)), "box-unclear", ""),
        (xml(thing("pit", 5, 5, "nan", 9)), "box-unclear", ""),
        (xml(thing("", 5, 5, 6, 9)), "box-unclear", ""),
        (xml("<object><name>pit</name></object>"), "box-unclear", ""),
        (
            xml(size="<size><width>40</width><height>20</height></size>"),
            "size-differs",
            "40 x 20, file 20 x 10",
        ),
        (xml(size=f"<size><width>{'9' * 9999}</width><height>20</height></size>"), "size-differs", ""),
    ],
)
def test_xml_that_cannot_be_used(parts, content, kind, said):
    (parts.root / "Annotations/a.xml").write_bytes(
        content if isinstance(content, bytes) else content.encode()
    )
    with pytest.raises(BadData) as caught:
        read(parts.root)
    assert "a." in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [problem.kind for problem in read(parts.root, strict=False).problems] == [kind]


def test_pictures_and_annotations_without_each_other(parts):
    (parts.root / "Annotations/a.xml").unlink()
    (parts.root / "JPEGImages/b.jpg").unlink()
    data = read(parts.root, strict=False)
    assert [(p.kind, p.path) for p in data.problems] == [
        ("not-annotated", "JPEGImages/a.jpg"),
        ("missing-file", "Annotations/b.xml"),
    ]
    assert [s.id for s in data] == ["JPEGImages/c.jpg"]

"""The COCO layout."""

from __future__ import annotations

import json

import pytest

from visiontune.data.read import read
from visiontune.data.samples import Box
from visiontune.runtime.errors import BadData

CATEGORIES = [{"id": 1, "name": "scratch"}, {"id": 7, "name": "pit"}]


def coco(images, annotations):
    """COCO content from (id, file_name) and (image_id, category_id, bbox)."""
    return {
        "images": [{"id": id, "file_name": name, "width": 20, "height": 10} for id, name in images],
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0}
            for i, (image, category, bbox) in enumerate(annotations)
        ],
        "categories": CATEGORIES,
    }


def write(tree, name, content):
    tree.text(name, json.dumps(content))


def test_one_file_a_split(tree):
    for name in ("images/a.png", "images/b.png", "images/c.png"):
        tree.picture(name)
    train = coco([(1, "a.png"), (2, "images/b.png")], [(1, 7, [1, 2, 3.5, 4]), (1, 1, [0, 0, 20, 10])])
    write(tree, "annotations/train.json", train)
    write(tree, "annotations/val.json", coco([(1, "c.png")], [(1, 1, [0, 0, 5, 5])]))
    data = read(tree.root)
    a, b, c = data
    assert (a.id, a.split, a.label) == ("images/a.png", "train", "pit")
    assert a.boxes == (Box("pit", 1, 2, 4.5, 6), Box("scratch", 0, 0, 20, 10))
    assert (b.boxes, b.label) == ((), "good")
    assert (c.split, c.label) == ("val", "scratch")
    assert (data.classes, data.good, data.kinds) == (("good", "pit", "scratch"), "good", ("pit", "scratch"))
    assert data.layout == (
        "annotations/train.json, annotations/val.json: 3 pictures of 3 classes with 3 boxes, each its own group, "
        "split by the annotation files"
    )


@pytest.mark.parametrize(
    ("file", "picture", "split"),
    [
        ("annotations/instances_train2017.json", "train2017/a.png", "train"),
        ("annotations/instances_val2017.json", "images/val2017/a.png", "val"),
        ("annotations/instances.json", "images/a.png", None),
        ("instances.json", "images/a.png", None),
        ("valid/_annotations.coco.json", "valid/a.png", "val"),
    ],
)
def test_names_that_are_in_use(tree, file, picture, split):
    tree.picture(picture)
    write(tree, file, coco([(1, "a.png")], [(1, 1, [0, 0, 5, 5])]))
    (sample,) = read(tree.root)
    assert (sample.id, sample.split) == (picture, split)
    assert read(tree.root, ignore=("split",)).samples[0].split is None


def test_most_frequent_kind_then_first_by_name(tree):
    tree.picture("a.png")
    tree.picture("b.png")
    box = [0, 0, 5, 5]
    pairs = [(1, 1, box), (1, 7, box), (1, 1, box), (2, 1, box), (2, 7, box)]
    write(tree, "instances.json", coco([(1, "a.png"), (2, "b.png")], pairs))
    assert [s.label for s in read(tree.root)] == ["scratch", "pit"]


def test_crowds_are_boxes_to_ignore(tree):
    tree.picture("a.png")
    content = coco([(1, "a.png")], [(1, 1, [0, 0, 5, 5]), (1, 7, [0, 0, 9, 9])])
    content["annotations"][1]["iscrowd"] = 1
    write(tree, "instances.json", content)
    data = read(tree.root)
    assert data.samples[0].boxes == (Box("scratch", 0, 0, 5, 5), Box("pit", 0, 0, 9, 9, ignore=True))
    assert data.kinds == ("scratch",)


def test_rounding_over_the_edge_is_cut(tree):
    tree.picture("a.png")
    write(tree, "instances.json", coco([(1, "a.png")], [(1, 1, [-0.4, 0, 20.9, 10.01])]))
    assert read(tree.root).samples[0].boxes == (Box("scratch", 0, 0, 20, 10),)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda c: c["annotations"][0].update(bbox=[0, 0, 50, 5]), "box-outside"),
        (lambda c: c["annotations"][0].update(bbox=[3, 3, 0, 5]), "box-empty"),
        (lambda c: c["annotations"][0].update(bbox=[3, 3, 0.9, 5]), "box-tiny"),
        (lambda c: c["annotations"][0].update(bbox=[19.8, 3, 1, 5]), "box-tiny"),
        (lambda c: c["annotations"][0].update(bbox=[3, 3, float("nan"), 5]), "annotation"),
        (lambda c: c["annotations"][0].update(bbox=[3, 3, 10**400, 5]), "annotation"),
        (lambda c: c["annotations"][0].update(bbox=[3, 3, 5]), "annotation"),
        (lambda c: c["annotations"][0].update(bbox=None), "annotation"),
        (lambda c: c["annotations"][0].update(category_id=3), "annotation"),
        (lambda c: c["annotations"][0].update(category_id=[]), "annotation"),
        (lambda c: c["annotations"][0].update(image_id=9), "annotation"),
        (lambda c: c["annotations"][0].update(image_id={}), "annotation"),
        (lambda c: c["images"][0].update(width=40), "size-differs"),
        (lambda c: c["images"][0].update(file_name="gone.png"), "missing-file"),
        (lambda c: c["images"][0].update(file_name="../a.png"), "outside"),
        (lambda c: c["images"][0].update(file_name="/a.png"), "outside"),
        (lambda c: c["images"][0].update(file_name="a\0.png"), "bad-name"),
        (lambda c: c["images"][0].update(file_name="\ud800.png"), "bad-name"),
        (lambda c: c["images"][0].update(file_name=5), "annotation"),
        (lambda c: c["images"][1].update(file_name="a.png"), "duplicate"),
        (lambda c: c["images"][1].update(id=1), "annotation"),
    ],
)
def test_entries_that_cannot_be_used(tree, change, kind):
    tree.picture("a.png")
    tree.picture("b.png")
    content = coco([(1, "a.png"), (2, "b.png")], [(1, 1, [0, 0, 5, 5])])
    change(content)
    write(tree, "instances.json", content)
    with pytest.raises(BadData) as caught:
        read(tree.root)
    assert "\n" not in str(caught.value)
    data = read(tree.root, strict=False)
    assert kind in [problem.kind for problem in data.problems]


@pytest.mark.parametrize(
    ("category", "bbox", "label", "boxes"),
    [(1, [0, 0, 50, 5], "scratch", ()), (3, [0, 0, 5, 5], None, None), (1, "wide", None, None)],
)
def test_a_picture_whose_boxes_are_all_unusable_is_not_good(tree, category, bbox, label, boxes):
    tree.picture("a.png")
    write(tree, "instances.json", coco([(1, "a.png")], [(1, category, bbox)]))
    (sample,) = read(tree.root, strict=False)
    assert (sample.label, sample.boxes) == (label, boxes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1, 2]",
        "{}",
        '{"images": {}}',
        "[" * 100_000,
        '{"images": [], "annotations": [3], "categories": []}',
    ],
)
def test_what_is_no_coco_json(tree, text):
    tree.text("annotations/train.json", text)
    with pytest.raises(BadData, match=r"train\.json: expected .*COCO|train\.json: expected a list"):
        read(tree.root)


def test_categories_without_names(tree):
    content = coco([], [])
    content["categories"] = [{"id": 1}]
    write(tree, "instances.json", content)
    with pytest.raises(BadData, match="expected categories with id and name"):
        read(tree.root)

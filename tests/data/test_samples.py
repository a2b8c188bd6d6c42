"""The data set: shares, counts, and a digest of its content."""

from __future__ import annotations

import hashlib
import json
import pickle
import random
from dataclasses import replace

import pytest

from visiontune.data.read import read
from visiontune.data.samples import Box, Dataset
from visiontune.runtime.errors import BadData


def parts(tree) -> Dataset:
    for name in ("good/a.png", "good/b.png", "crack/c.png"):
        tree.picture(name)
    return read(tree.root)


def test_length_order_and_kinds(tree):
    data = parts(tree)
    assert len(data) == 3
    assert [sample.id for sample in data] == ["crack/c.png", "good/a.png", "good/b.png"]
    assert data.kinds == ()
    boxed = replace(data.samples[0], boxes=(Box("z", 0, 0, 1, 1), Box("a", 0, 0, 1, 1)))
    assert replace(data, samples=(boxed,)).kinds == ("a", "z")
    ignored = replace(boxed, boxes=(Box("z", 0, 0, 1, 1), Box("a", 0, 0, 1, 1, ignore=True)))
    assert replace(data, samples=(ignored,)).kinds == ("z",)
    assert replace(data, samples=(ignored,)).digest() != replace(data, samples=(boxed,)).digest()


def test_share_keeps_classes_and_refuses_other_names(dataset_of):
    data = dataset_of([("a", "x", "a", "train"), ("b", "y", "b", "test")])
    share = data.share("test")
    assert [sample.id for sample in share] == ["b"]
    assert share.classes == ("x", "y")
    assert len(data.share("val")) == 0
    with pytest.raises(BadData, match="train, val, test; found 'holdout'"):
        data.share("holdout")


def test_counts_hold_zeros_and_the_unknown(dataset_of):
    data = dataset_of(
        [("a", "x", "a", "train"), ("b", "x", "b", "train"), ("c", "y", "c", None), ("d", None, "d", None)]
    )
    assert data.counts() == {
        "train": {"x": 2, "y": 0},
        "unsplit": {"x": 0, "y": 1, "unlabelled": 1},
    }


def test_digest_is_sha256_of_sorted_lines(tree):
    data = parts(tree)
    lines = []
    for sample in data:
        content = hashlib.sha256(sample.path.read_bytes()).hexdigest()
        lines.append(json.dumps([sample.id, sample.label, sample.split, sample.group, content]))
    slow = hashlib.sha256("".join(line + "\n" for line in sorted(lines)).encode()).hexdigest()
    assert data.digest() == slow


def test_digest_ignores_place_and_order_and_sees_everything_else(tree, tmp_path):
    data = parts(tree)
    digest = data.digest()
    moved = tree.root.rename(tmp_path / "elsewhere")
    again = read(moved)
    shuffled = list(again.samples)
    random.Random(1).shuffle(shuffled)
    assert replace(again, samples=tuple(shuffled)).digest() == digest

    first, *others = again.samples
    changes = [
        {"label": "other"},
        {"split": "test"},
        {"group": "g"},
        {"id": "x.png"},
        {"boxes": ()},
        {"mask": first.path},
    ]
    seen = {replace(again, samples=(replace(first, **change), *others)).digest() for change in changes}
    assert len(seen | {digest}) == len(changes) + 1

    first.path.write_bytes(first.path.read_bytes() + b" ")
    assert again.digest() != digest


def test_digest_of_boxes_does_not_depend_on_their_order(tree):
    sample = parts(tree).samples[0]
    boxes = (Box("b", 0, 0, 2, 2), Box("a", 1, 1, 2, 2))
    one, two = (
        replace(parts(tree), samples=(replace(sample, boxes=order),)) for order in (boxes, boxes[::-1])
    )
    assert one.digest() == two.digest()


def test_digest_of_a_missing_file_names_it(tree):
    data = parts(tree)
    data.samples[0].path.unlink()
    with pytest.raises(BadData, match=r"crack/c\.png.*No such file"):
        data.digest()


def test_samples_travel_to_other_processes_and_into_sets(tree):
    data = parts(tree)
    assert pickle.loads(pickle.dumps(data)) == data
    assert len(set(data.samples)) == 3

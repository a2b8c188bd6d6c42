"""What must hold before training."""

from __future__ import annotations

from dataclasses import replace

import pytest

from visiontune.data.trainable import check_trainable
from visiontune.runtime.errors import BadData

FULL = [
    (f"{label}{split}", label, f"{label}{split}", split)
    for label in ("good", "crack")
    for split in ("train", "val", "test")
]


def test_a_data_set_that_can_be_learned_from(dataset_of):
    check_trainable(dataset_of(FULL))
    check_trainable(dataset_of(FULL, classes=("good", "crack"), good="good"), one_class=True)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "expected pictures, found none; add some"),
        ([*FULL, ("new", "good", "new", None)], "expected a split for every picture, found none for new"),
        (
            [*FULL, ("new", None, "new", "val")],
            "expected a label for every picture, found none for new; label",
        ),
        (
            [row for row in FULL if row[1] == "good"],
            "expected at least two classes, found good; add pictures",
        ),
        ([row for row in FULL if row[3] != "val"], "expected pictures in val, found 2 in train, 2 in test"),
        (FULL[1:], "expected training pictures of every class, found none of good"),
    ],
)
def test_one_line_for_each_fault(dataset_of, rows, said):
    data = dataset_of(rows)
    with pytest.raises(BadData, match=said) as caught:
        check_trainable(data)
    assert str(caught.value).startswith(f"{data.root}: ")


def test_an_empty_class_and_a_missing_folder(dataset_of):
    data = dataset_of(FULL, classes=("good", "crack", "fray"))
    with pytest.raises(BadData, match="expected pictures of every class, found none of fray"):
        check_trainable(data)
    with pytest.raises(BadData, match="expected the folder of the pictures, found none"):
        check_trainable(replace(data, root=data.root / "gone"))


def test_heads_that_learn_from_good_parts_alone(dataset_of):
    rows = [row for row in FULL if row[:2] != ("cracktrain", "crack")]
    with pytest.raises(BadData, match="found none of crack"):
        check_trainable(dataset_of(rows))
    check_trainable(dataset_of(rows, classes=("good", "crack"), good="good"), one_class=True)
    with pytest.raises(BadData, match="expected a good class, found crack, good; name it with good=NAME"):
        check_trainable(dataset_of(rows), one_class=True)
    with pytest.raises(BadData, match="found none of good"):
        check_trainable(dataset_of(FULL[1:], classes=("good", "crack"), good="good"), one_class=True)

"""Says before any training whether a split data set can be learned from."""

from __future__ import annotations

from visiontune.data.problems import few, shown
from visiontune.data.samples import SPLITS, Dataset
from visiontune.runtime.errors import BadData


def check_trainable(dataset: Dataset, *, one_class: bool = False) -> None:
    """Raises BadData, with what was expected, what was found and what to do, unless the data set can be learned from.

    Expected: the folder is there; every picture has a split and a label; at least two classes, each with a training picture;
    pictures in train, val and test. With `one_class`, for heads that learn from good parts alone, only the good class needs
    training pictures, and there must be one.
    """
    root = dataset.root
    if not root.is_dir():
        raise BadData(f"{root}: expected the folder of the pictures, found none; mount or restore it")
    if not dataset.samples:
        raise BadData(f"{root}: expected pictures, found none; add some")
    unsplit = [sample.id for sample in dataset if sample.split is None]
    if unsplit:
        raise BadData(
            f"{root}: expected a split for every picture, found none for {few(map(shown, unsplit))}; use visiontune.data.splits"
        )
    unlabelled = [sample.id for sample in dataset if sample.label is None]
    if unlabelled:
        raise BadData(
            f"{root}: expected a label for every picture, found none for {few(map(shown, unlabelled))}; label them, "
            "or name the good class (good=NAME) if they hold nothing"
        )
    _check_classes(dataset, one_class)
    counts = dataset.counts()
    for share in SPLITS:
        if share not in counts:
            found = ", ".join(f"{sum(row.values())} in {name}" for name, row in counts.items())
            raise BadData(
                f"{root}: expected pictures in {share}, found {found}; add groups or set the splits in a manifest"
            )
    needed = (dataset.good,) if one_class else dataset.classes
    unlearned = [shown(name) for name in needed if name is not None and not counts["train"][name]]
    if unlearned:
        raise BadData(
            f"{root}: expected training pictures of every class, found none of {few(unlearned)}; "
            "add groups of them or set the splits in a manifest"
        )


def _check_classes(dataset: Dataset, one_class: bool) -> None:
    if one_class and dataset.good is None:
        found = few(map(shown, dataset.classes)) or "none"
        raise BadData(f"{dataset.root}: expected a good class, found {found}; name it with good=NAME")
    present = {sample.label for sample in dataset}
    needed = dataset.classes[:1] if one_class else dataset.classes  # the good class is the first
    empty = [shown(name) for name in needed if name not in present]
    if empty:
        raise BadData(
            f"{dataset.root}: expected pictures of every class, found none of {few(empty)}; add some"
        )
    if not one_class and len(dataset.classes) < 2:
        found = few(map(shown, dataset.classes)) or "none"
        raise BadData(
            f"{dataset.root}: expected at least two classes, found {found}; add pictures of another"
        )

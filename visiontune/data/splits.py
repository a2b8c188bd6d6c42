"""Divides a data set into train, val and test by whole groups, so that the same picture always lands in the same share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

from visiontune.data.line import Fractions, Line
from visiontune.data.problems import few, shown
from visiontune.data.samples import SPLITS, Dataset
from visiontune.data.thin import fill_thin_classes
from visiontune.runtime.errors import BadData

TRAIN, VAL, TEST = 1, 2, 4  # bits, in the order of SPLITS


def split(
    dataset: Dataset,
    *,
    seed: int = 0,
    fractions: Fractions = (0.7, 0.15, 0.15),
    val_from: Literal["train", "test"] = "train",
) -> Dataset:
    """The data set with a split for every picture; `notes` say what a person should know of it.

    Whole groups go to one share. A group's place is blake2b of (seed, group), a number in 0..1, and `fractions` (of train,
    val, test; positive, sum 1) cut that line in three; so pictures that come later move no old one, and neither order nor
    machine matters. The fractions are met on average: n groups miss them by about sqrt(n) groups.

    Splits of the source are kept. Shares that the source names none of are carved out of its train (and of pictures it gave no
    split) by the same hash, with val_from="test" a missing val out of its test. Pictures without a split join their group,
    wherever the source put it. A group that the source itself spreads over several splits stays so, with a note.

    A class with at least three groups and none in some share gets one: of the groups that may be moved the one whose place
    lies nearest, from the share where the class is best filled, and if possible one that holds no other class. Each move is
    a note. A class that is in every share is never the reason of a move. Later pictures of a thin class may make a move
    needless and so undo it: pin the splits in a manifest (`visiontune.data.pin`) once they matter.

    A data set that `split` has divided before is returned as it is, whatever the arguments.

    Raises BadData for fractions or a seed that are none, and for val_from="test" where the source does not name train and test
    for all its pictures and nothing else.
    """
    _check(seed, fractions)
    if "split_seed" in dataset.provenance and all(sample.split for sample in dataset):
        return dataset
    said, held = _groups(dataset)
    pool, shares_open, notes = _pool(dataset, said, val_from)
    line = Line(seed, shares_open, fractions)
    shares = {
        group: line.share(group) if bits in pool else bits.bit_length() - 1
        for group, bits in said.items()
        if bits.bit_count() <= 1
    }
    spread = sorted(said.keys() - shares.keys())
    if spread:
        notes.append(
            f"groups that the source spreads over several splits, which leaks: {len(spread)} ({few(map(shown, spread))}); "
            "its splits stay; read with ignore=('split',) to divide by whole groups"
        )
    pinned = {(s.group, s.label, SPLITS.index(s.split)) for s in dataset if s.split and s.group not in shares}
    movable = {group for group in shares if said[group] in pool}
    notes += fill_thin_classes(shares, held, movable, pinned, dataset.classes, line)
    samples = []
    for sample in dataset:
        share = shares.get(sample.group)
        own = sample.split or SPLITS[_first(said[sample.group])]
        wanted = own if share is None else SPLITS[share]
        samples.append(sample if sample.split == wanted else replace(sample, split=wanted))
    provenance = {
        **dataset.provenance,
        "split_seed": seed,
        "fractions": list(fractions),
        "val_from": val_from,
    }
    return replace(dataset, samples=tuple(samples), notes=(*dataset.notes, *notes), provenance=provenance)


def _check(seed: int, fractions: Sequence[float]) -> None:
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise BadData(f"expected a whole number as the seed of the split, found {seed!r}")
    if len(fractions) != 3 or not all(f > 0 for f in fractions) or abs(sum(fractions) - 1) > 1e-6:
        raise BadData(
            f"expected three positive fractions (train, val, test) that sum to 1, found {tuple(fractions)}"
        )


def _groups(dataset: Dataset) -> tuple[dict[str, int], dict[str, int]]:
    """By group, as bits: the splits that the source gave it, and the classes it holds."""
    split_bits: dict[str | None, int] = {None: 0, "train": TRAIN, "val": VAL, "test": TEST}
    class_bits: dict[str | None, int] = {None: 0, **{name: 1 << i for i, name in enumerate(dataset.classes)}}
    said: dict[str, int] = {}
    held: dict[str, int] = {}
    for sample in dataset:
        said[sample.group] = said.get(sample.group, 0) | split_bits[sample.split]
        held[sample.group] = held.get(sample.group, 0) | class_bits[sample.label]
    return said, held


def _pool(
    dataset: Dataset, said: Mapping[str, int], val_from: str
) -> tuple[set[int], tuple[int, ...], list[str]]:
    """Which groups the hash decides (by what the source said of them), the shares it may give, and what to note."""
    named = 0
    for bits in said.values():
        named |= bits
    missing = [share for share in range(3) if not named >> share & 1]
    if val_from == "test":
        if named != TRAIN | TEST or any(sample.split is None for sample in dataset):
            raise BadData(
                f"{dataset.root}: expected a source that names train and test for every picture and no val, found "
                f"{dataset.layout!r}; leave val_from='train'"
            )
        return {TEST}, (1, 2), ["the source names no val: carved out of its test"]
    if val_from != "train":
        raise BadData(f"expected val_from 'train' or 'test', found {val_from!r}")
    if named == 0 or not missing:
        return {0}, (0, 1, 2), []
    carved = " and ".join(SPLITS[share] for share in missing)
    note = f"the source names no {carved}: carved out of its train and what it gave no split"
    return {0, TRAIN}, tuple(sorted({0, *missing})), [note]


def _first(bits: int) -> int:
    """The lowest bit's position; 0 where there is none."""
    return max(0, (bits & -bits).bit_length() - 1)

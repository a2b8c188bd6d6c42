"""Labelled parts for a model: read and split by the rule in its card, with a word on whether it knows them already."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visiontune.runtime.card import ModelCard
from visiontune.runtime.errors import BadData
from visiontune.runtime.proof import fingerprint

if TYPE_CHECKING:
    from visiontune.data.samples import Dataset

SHARES = ("test", "val", "train", "all")
FLATTERS = {
    "test": "the model has learnt nothing from its test share",
    "val": "warning: the thresholds were set on its val share, so these figures flatter",
    "train": "warning: the model learnt from its train share, so these figures flatter",
    "all": "warning: the model learnt from most of them, so these figures flatter; --split test is the honest share",
}


@dataclass(frozen=True)
class Share:
    """The parts of a share, and whether the data are those that the model was made from.

    same          the digest of the data is the card's
    val_pictures  where it is not: how many of the pictures are nevertheless, byte by byte, of the val share that set the
                  thresholds
    """

    parts: Dataset
    name: str
    same: bool
    val_pictures: int

    @property
    def says(self) -> str:
        """That in words, on one line."""
        if self.same:
            return f"data: those of fine-tuning (the digest in the card); {FLATTERS[self.name]}"
        said = "data: not those of fine-tuning, or changed since (another digest than the card's)"
        if self.val_pictures:
            said += f"; warning: {self.val_pictures} of these pictures are of the val share on which the thresholds were set"
        elif self.name != "all":
            said += f"; these are what the card's rule calls {self.name}, --split all takes a whole new lot"
        return said

    def as_dict(self) -> dict[str, Any]:
        """JSON-able, without the parts."""
        return {"share": self.name, "same": self.same, "val_pictures": self.val_pictures, "says": self.says}


@dataclass(frozen=True)
class Learnt:
    """How many of the judged pictures a model was made from (its train and val share); `sure` if the data have its digest."""

    pictures: int
    sure: bool

    @property
    def says(self) -> list[str]:
        """That in words: one line, or none."""
        if not self.pictures or self.sure:  # what is sure becomes a reason
            return []
        return [
            f"warning: by the rule in its card NEW may have been made from {self.pictures} of these pictures; fine-tune it with "
            "the split_seed and the groups of OLD"
        ]

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {"pictures": self.pictures, "sure": self.sure}


def add_data(added: argparse.ArgumentParser) -> None:
    """The argument DATA and the option --split."""
    added.add_argument(
        "data", metavar="DATA", type=Path, help="labelled pictures, in any layout that visiontune reads"
    )
    added.add_argument(
        "--split", choices=SHARES, default="test", help="the share to judge (default: %(default)s)"
    )


def add_confidence(added: argparse.ArgumentParser) -> None:
    """The option --confidence."""
    added.add_argument(
        "--confidence",
        metavar="SHARE",
        type=between,
        default=0.95,
        help="of all bounds (default: %(default)s)",
    )


def between(text: str) -> float:
    """A number between 0 and 1, both excluded."""
    number = float(text)
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, found {text}")
    return number


def share(card: ModelCard, root: Path, name: str) -> Share:
    """The named share of the data under `root`, read and split by the card's rule.

    Raises BadData as the readers do, and for an empty share, with the shares that there are.
    """
    found, divided = _read(card, root), None
    try:
        divided = by_rule(card, found)
    except BadData:  # a new lot need not have the splits that the rule speaks of
        if name != "all":
            raise
    same = divided is not None and _same(card, divided)
    if name == "all" or divided is None:
        from visiontune.data.one_defect import ruled

        found = ruled(found, card.data)
        return Share(found, name, same, 0 if same else _of_val(card, found))
    chosen = divided.share(name)
    if not len(chosen):
        counts = {other: sum(row.values()) for other, row in divided.counts().items()}
        there = ", ".join(f"{other} {n}" for other, n in counts.items() if n) or "none"
        raise BadData(f"{root}: expected parts in the share {name!r}, found {there}; choose with --split")
    return Share(chosen, name, same, 0 if same or name == "val" else _of_val(card, chosen))


def learnt(card: ModelCard, root: Path, judged: Share) -> Learnt:
    """How many of the judged pictures, read from `root`, the model of this card was made from.

    Sure is what its digest, or the hashes of its val pictures, tell. Where the data have changed since, its rule tells which
    pictures it would have taken; of a new lot, which it has not seen, nothing is said.
    """
    try:
        divided = by_rule(card, _read(card, root))
        same = _same(card, divided)
    except BadData:  # the rule speaks of groups or splits that are not there
        divided, same = None, False
    of_val = 0 if same else _of_val(card, judged.parts)
    if divided is None or of_val or (judged.name == "all" and not (same or judged.same)):
        return Learnt(of_val, sure=of_val > 0)
    taken = {part.id for part in divided if part.split in ("train", "val")}
    return Learnt(sum(part.id in taken for part in judged.parts), sure=same)


def by_rule(card: ModelCard, found: Dataset) -> Dataset:
    """The data as the card's rule splits them. Raises BadData where the rule asks for splits that the source does not name."""
    from visiontune.data.one_defect import ruled
    from visiontune.data.splits import split

    rule = card.data
    train, val, test = rule["fractions"]
    divided = split(
        found,
        seed=rule["split_seed"],
        fractions=(train, val, test),
        val_from=rule.get("val_from", "train"),
    )
    return ruled(divided, rule)


def _read(card: ModelCard, root: Path) -> Dataset:
    from visiontune.data.read import read

    rule = card.data
    ignored = tuple(rule.get("ignored", ()))
    return read(root, good=card.good, group=rule["group_pattern"], ignore=ignored, known=card.classes)


def _same(card: ModelCard, divided: Dataset) -> bool:
    """Whether the digest is the card's; the files are only read where at least the counts agree."""
    return bool(divided.counts() == card.data["counts"] and divided.digest() == card.data["digest"])


def _of_val(card: ModelCard, parts: Dataset) -> int:
    known = set(card.proof.sha256) if card.proof is not None else set()
    return sum(fingerprint(part.path) in known for part in parts) if known else 0


def progress(total: int) -> Callable[[int], None] | None:
    """A counter on stderr, where a person looks on."""
    if not sys.stderr.isatty():
        return None
    done = 0

    def show(more: int) -> None:
        nonlocal done
        done += more
        print(f"\rjudged {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show

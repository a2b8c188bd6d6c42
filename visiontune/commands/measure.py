"""`visiontune measure`: measures a model on labelled parts."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from visiontune.commands.parser import OK, Commands, Given, add_model, command
from visiontune.runtime.card import ModelCard
from visiontune.runtime.errors import BadData
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.measure import measure

if TYPE_CHECKING:
    from visiontune.data.samples import Dataset

SHARES = ("test", "val", "train", "all")
MORE = """\
DATA is read and split as it was for fine-tuning, by the rule in the card, and by default only the test share is
judged, which the model has never seen. An escape is a defective part passed, overkill a good part rejected.

examples:
  visiontune measure model.onnx data/tiles
  visiontune measure model.onnx new_lot/ --split all    parts that took no part in fine-tuning
  visiontune measure model.onnx data/tiles --json > measured.json
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "measure a model on labelled parts: escapes, overkill, review load, accuracy, milliseconds"
    added = command(commands, "measure", run, summary, MORE)
    add_model(added)
    added.add_argument(
        "data", metavar="DATA", type=Path, help="labelled pictures, in any layout that visiontune reads"
    )
    added.add_argument(
        "--split", choices=SHARES, default="test", help="the share to judge (default: %(default)s)"
    )
    added.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def run(given: Given) -> int:
    """Prints the measurement."""
    inspector = Inspector(given.model)
    parts = share(inspector.card, given.data, given.split)
    measured = measure(inspector, parts, progress=progress(len(parts)))
    print(json.dumps(measured.as_dict()) if given.json else measured)
    return OK


def share(card: ModelCard, root: Path, name: str) -> Dataset:
    """The named share of the data under `root`, read and split by the card's rule.

    Raises BadData as the readers do, and for an empty share, with the shares that there are.
    """
    from visiontune.data.read import read
    from visiontune.data.splits import split

    rule = card.data
    found = read(root, good=card.good, group=rule["group_pattern"], ignore=tuple(rule.get("ignored", ())))
    if name == "all":
        return found
    train, val, test = rule["fractions"]
    fractions, val_from = (train, val, test), rule.get("val_from", "train")
    found = split(found, seed=rule["split_seed"], fractions=fractions, val_from=val_from)
    chosen = found.share(name)
    if not len(chosen):
        counts = {other: sum(row.values()) for other, row in found.counts().items()}
        there = ", ".join(f"{other} {n}" for other, n in counts.items() if n) or "none"
        raise BadData(f"{root}: expected parts in the share {name!r}, found {there}; choose with --split")
    return chosen


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

"""`visiontune compare`: whether a new model may replace the old one, from both on the same parts."""

from __future__ import annotations

import json

from visiontune.commands.labelled import add_confidence, add_data, learnt, progress, share
from visiontune.commands.parser import FAILED, OK, Commands, Given, command
from visiontune.runtime.comparison import check_classes, compare
from visiontune.runtime.comparison_table import table
from visiontune.runtime.inspector import Inspector

MORE = """\
Both models judge the same parts: DATA is read and split by the rule in the card of OLD, and by default only its test
share is judged. A part is a group of pictures; a defective part escapes if any of its pictures passes.

The last line is GO (exit status 0) if all of this holds, else NO-GO (1) with the reasons:
- no defective part that OLD stopped is passed by NEW; with --allow RATE: the exact one-sided upper bound on the share
  of such parts among the defective ones is at most RATE
- good parts that do not pass (overkill and review) are not significantly more: one-sided exact McNemar test
- there are defective and good parts to see this on, and NEW did not learn from them

For models without a good class, passing under a wrong kind is the escape, and not passing the overkill. That not one of n
defective parts newly escapes does not yet say much: the bound printed with it says how much.

examples:
  visiontune compare old.onnx new.onnx data/tiles
  visiontune compare old.onnx new.onnx data/tiles --allow 0.01      299 defective parts without a new escape certify 1 %
  visiontune compare old.onnx new.onnx new_lot/ --split all --json > compared.json
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = (
        "compare a new model with the old one on the same parts: flipped decisions, new escapes, go or no-go"
    )
    added = command(commands, "compare", run, summary, MORE)
    added.add_argument("old", metavar="OLD", help="the .onnx file that the line uses now")
    added.add_argument("new", metavar="NEW", help="the .onnx file that may replace it")
    add_data(added)
    added.add_argument(
        "--allow",
        metavar="RATE",
        type=float,
        help="the rate of new escapes that the parts must exclude, such as 0.01 (default: not one new escape)",
    )
    add_confidence(added)
    added.add_argument("--json", action="store_true", help="one JSON object with every flipped picture")


def run(given: Given) -> int:
    """Prints the comparison; FAILED for no-go."""
    old, new = Inspector(given.old), Inspector(given.new)
    check_classes(old.card, new.card)
    found = share(old.card, given.data, given.split)
    seen = learnt(new.card, given.data, found)
    compared = compare(
        old,
        new,
        found.parts,
        allow=given.allow,
        confidence=given.confidence,
        doubts=[f"NEW was made from {seen.pictures} or more of these pictures"]
        if seen.sure and seen.pictures
        else [],
        progress=progress(2 * len(found.parts)),
    )
    if given.json:
        print(
            json.dumps({**compared.as_dict(), "data": {**found.as_dict(), "learnt_by_new": seen.as_dict()}})
        )
    else:
        print(table(compared, root=given.data, notes="\n".join([found.says, *seen.says])))
    return OK if compared.go else FAILED

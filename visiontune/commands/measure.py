"""`visiontune measure`: measures a model on labelled parts."""

from __future__ import annotations

import json

from visiontune.commands.labelled import add_confidence, add_data, progress, share
from visiontune.commands.parser import OK, Commands, Given, add_model, command
from visiontune.runtime.costs import Costs
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.measure import measure

MORE = """\
DATA is read and split as it was for fine-tuning, by the rule in the card, and by default only the test share is
judged, which the model has never seen. An escape is a defective part passed, overkill a good part rejected.

Where a manifest says which camera, lot or line a part is of, these are compared, the worst first. Each p is corrected
(Holm) for how many cameras, say, there are: if they were all alike, at most one such list in twenty would show any p
below 0.05.

Where the model gives a heatmap and parts have masks, it also says whether the right places were hot: defects found against
false regions, overlap, pixel AP, AUPRO and AUPIMO; docs/pixels.md says what each of them is.

--prevalence is the share of defective parts that the line makes, which a set seldom has: the figures are then also given
per million of its parts, and with --costs what these parts cost in all. Bounds are exact, also those of the cost.

examples:
  visiontune measure model.onnx data/tiles
  visiontune measure model.onnx new_lot/ --split all    parts that took no part in fine-tuning
  visiontune measure model.onnx data/tiles --prevalence 0.02 --costs escape=100,overkill=5,review=1
  visiontune measure model.onnx data/tiles --by camera --by lot
  visiontune measure model.onnx data/tiles --json > measured.json
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "measure a model on labelled parts: escapes, overkill, review load, accuracy, milliseconds"
    added = command(commands, "measure", run, summary, MORE)
    add_model(added)
    add_data(added)
    added.add_argument(
        "--prevalence", metavar="SHARE", type=float, help="share of defective parts on the line, such as 0.02"
    )
    added.add_argument(
        "--costs",
        metavar="escape=E,overkill=O,review=R",
        help="what a part costs in each case; needs --prevalence",
    )
    added.add_argument(
        "--by",
        metavar="ATTRIBUTE",
        action="append",
        help="compare the values of this attribute, and of no other unless given again (default: all that divide the parts)",
    )
    add_confidence(added)
    added.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def run(given: Given) -> int:
    """Prints the measurement."""
    costs = None if given.costs is None else Costs.parse(given.costs)
    inspector = Inspector(given.model)
    found = share(inspector.card, given.data, given.split)
    measured = measure(
        inspector,
        found.parts,
        prevalence=given.prevalence,
        costs=costs,
        by=given.by,
        confidence=given.confidence,
        progress=progress(len(found.parts)),
    )
    if given.json:
        print(json.dumps({**measured.as_dict(), "data": found.as_dict()}))
    else:
        heading, _, rest = str(measured).partition("\n")
        print(f"{heading}\n{found.says}\n{rest}")
    return OK

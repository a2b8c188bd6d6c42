"""`visiontune card`: shows a model's papers."""

from __future__ import annotations

import json

from visiontune.commands.parser import OK, Commands, Given, add_model, command
from visiontune.runtime.card import describe
from visiontune.runtime.model import load_card

MORE = """\
examples:
  visiontune card model.onnx
  visiontune card model.onnx --json | jq .bands
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "show a model's papers: classes, thresholds and their evidence, data, versions"
    added = command(commands, "card", run, summary, MORE)
    add_model(added)
    added.add_argument("--json", action="store_true", help="the whole card as one JSON object")


def run(given: Given) -> int:
    """Prints the card."""
    card = load_card(given.model)
    print(json.dumps(card.as_dict()) if given.json else describe(card))
    return OK

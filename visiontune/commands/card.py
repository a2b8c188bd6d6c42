"""`visiontune card`: shows a model's papers, and sets its bands."""

from __future__ import annotations

import argparse
import json
import sys

from visiontune.commands.parser import OK, Commands, Given, add_model, command
from visiontune.runtime.adjust import certified, set_bands
from visiontune.runtime.bands import NEVER
from visiontune.runtime.card import ModelCard
from visiontune.runtime.describe import describe
from visiontune.runtime.errors import BadModel
from visiontune.runtime.model import load_card

MORE = """\
--set-bands changes the file: thresholds in card and graph, noted in the card's history, sealed anew, tested before the
file takes the old one's place. What calibration certified does not hold for other bands: it goes into the history,
and comes back when the certified bands are set again (--restore-bands).

examples:
  visiontune card model.onnx
  visiontune card model.onnx --json | jq .bands
  visiontune card model.onnx --set-bands 0.12 0.8 --note "J. Doe: too many reviews on shift 2"
  visiontune card model.onnx --set-bands 0.12 never
  visiontune card model.onnx --restore-bands
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = (
        "show a model's papers: classes, thresholds and their evidence, data, versions; or set its thresholds"
    )
    added = command(commands, "card", run, summary, MORE)
    add_model(added)
    added.add_argument("--json", action="store_true", help="the whole card as one JSON object")
    change = added.add_mutually_exclusive_group()
    change.add_argument(
        "--set-bands",
        nargs=2,
        type=threshold,
        metavar=("REVIEW", "REJECT"),
        help="severities 0..1 from which a part is reviewed, and rejected; or never",
    )
    change.add_argument(
        "--restore-bands", action="store_true", help="set the bands that calibration certified"
    )
    added.add_argument("--note", metavar="TEXT", help="who changed the bands and why, for the card's history")


def run(given: Given) -> int:
    """Prints the card, after the change if one was asked for."""
    if given.set_bands or given.restore_bands:
        card = changed(given)
    elif given.note:
        raise BadModel("--note: expected a change to note, found none; name it with --set-bands")
    else:
        card = load_card(given.model)
    print(json.dumps(card.as_dict()) if given.json else describe(card))
    return OK


def changed(given: Given) -> ModelCard:
    """The card after the bands were set; says on stderr what that means."""
    before = load_card(given.model)
    review_from, reject_from = given.set_bands or certified_edges(before, given.model)
    card = set_bands(given.model, review_from, reject_from, note=given.note)
    if len(card.history) == len(before.history):
        print(f"{given.model}: the bands are already so; nothing was written", file=sys.stderr)
    else:
        print(f"{given.model}: bands set; {card.history[-1]['evidence']}", file=sys.stderr)
    return card


def certified_edges(card: ModelCard, model: str) -> tuple[float, float]:
    """The certified thresholds. Raises BadModel if there are none."""
    bands = certified(card)
    if bands is None:
        raise BadModel(f"{model}: expected bands with evidence in the card, found none; calibrate the model")
    return bands.review_from, bands.reject_from


def threshold(text: str) -> float:
    """A severity, or the word never."""
    if text == "never":
        return NEVER
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a number 0..1 or never, found {text!r}") from None

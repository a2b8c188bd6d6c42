"""`visiontune card`: shows a model's papers, and sets its bands and how regions are cut from its heatmap."""

from __future__ import annotations

import argparse
import json
import sys

from visiontune.commands.parser import OK, Commands, Given, add_model, command
from visiontune.runtime.adjust import certified, set_bands
from visiontune.runtime.adjust_regions import set_regions
from visiontune.runtime.bands import NEVER
from visiontune.runtime.card import ModelCard
from visiontune.runtime.describe import describe
from visiontune.runtime.errors import BadModel
from visiontune.runtime.model import load_card
from visiontune.runtime.region_bands import DEFAULT, RegionBands

MORE = """\
--set-bands changes the file: thresholds in card and graph, noted in the card's history, sealed anew, tested before the
file takes the old one's place. What calibration certified does not hold for other bands: it goes into the history,
and comes back when the certified bands are set again (--restore-bands).

--set-regions, --min-area and --pixel-mm say how regions are cut from the heatmap of a model that has one; what is not
given stays. No decision depends on them, so nothing certified is lost.

examples:
  visiontune card model.onnx
  visiontune card model.onnx --json | jq .bands
  visiontune card model.onnx --set-bands 0.12 0.8 --note "J. Doe: too many reviews on shift 2"
  visiontune card model.onnx --set-bands 0.12 never
  visiontune card model.onnx --restore-bands
  visiontune card model.onnx --set-regions 0.3 0.6 --min-area 12
  visiontune card model.onnx --pixel-mm 0.05 0.05       a pixel shows 0.05 mm of the part, across and down
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "show a model's papers: classes, thresholds and their evidence, data, versions; or set its thresholds and regions"
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
    change.add_argument(
        "--set-regions",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="heat 0..1 from which cells belong to a region, and which one of them must reach; a box must score HIGH",
    )
    added.add_argument(
        "--min-area", type=float, metavar="PIXELS", help="leave out smaller regions; pixels of the frame"
    )
    added.add_argument(
        "--pixel-mm",
        nargs=2,
        type=float,
        metavar=("ACROSS", "DOWN"),
        help="how much of the part a pixel of the frame shows, in mm; regions are then also told in mm",
    )
    added.add_argument("--note", metavar="TEXT", help="who changed the bands and why, for the card's history")


def run(given: Given) -> int:
    """Prints the card, after the change if one was asked for."""
    if regions_given(given):
        if given.set_bands or given.restore_bands:
            raise BadModel(
                "expected one change at a time, found bands and regions; set the regions afterwards"
            )
        card = changed_regions(given)
    elif given.set_bands or given.restore_bands:
        card = changed(given)
    elif given.note:
        raise BadModel(
            "--note: expected a change to note, found none; name it with --set-bands or --set-regions"
        )
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


def regions_given(given: Given) -> bool:
    """Whether anything was said of regions."""
    return any(value is not None for value in (given.set_regions, given.min_area, given.pixel_mm))


def changed_regions(given: Given) -> ModelCard:
    """The card after the region bands were set; says on stderr whether that changed anything."""
    before = load_card(given.model)
    bands = before.regions or DEFAULT
    low, high = given.set_regions or (bands.low, bands.high)
    bands = RegionBands(
        low=low,
        high=high,
        min_area=bands.min_area if given.min_area is None else given.min_area,
        pixel_mm=given.pixel_mm or bands.pixel_mm,
    )
    card = set_regions(given.model, bands, note=given.note)
    same = len(card.history) == len(before.history)
    said = (
        "the regions are already so; nothing was written"
        if same
        else "regions set; decisions stay as they are"
    )
    print(f"{given.model}: {said}", file=sys.stderr)
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

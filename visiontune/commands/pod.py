"""`visiontune pod`: the smallest defect that a model reliably finds, from defects planted on good pictures."""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from visiontune.commands.inspect import pictures
from visiontune.commands.labelled import SHARES, progress, share
from visiontune.commands.parser import OK, Commands, Given, add_model, command
from visiontune.runtime.card import ModelCard
from visiontune.runtime.errors import BadData
from visiontune.runtime.frame import is_picture
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.whole import whole

if TYPE_CHECKING:
    from visiontune.study.series import Good, Survey

MORE = """\
Plants spots, stains, scratches or cracks of stated sizes and contrasts on your own good pictures, one a picture where
there are enough, and lets the model judge: found means not passed. A curve of the probability of detection over size gives
a90, found in nine of ten cases, and a90/95, its upper 95 % bound: the size to promise. No real defect is needed; but these
are planted defects, not your real ones. Look at planted.png before you believe a figure. Needs the lab.

GOOD is a folder of pictures of good parts, or labelled data, of which the good ones are taken; best are parts that the
model was not trained on (--split test). DIR gets pod.json, planted.csv (every planting), planted.png (some of them) and pod.html.

size: pixels of the picture; diameter of a spot, diameter of the circle of a stain's area, length of a line (20 times its width).
contrast: grey levels of 255 by which the defect differs from what is there: -25 darker, 25 brighter.

examples:
  visiontune pod model.onnx good_parts/ --out pod
  visiontune pod model.onnx data/tiles --out pod --kinds crack,stain --contrasts=-30 --sizes 2,80 --pixel-mm 0.05
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "smallest defect reliably found: planted defects, detection curve, a90/95 (needs the lab)"
    added = command(commands, "pod", run, summary, MORE)
    add_model(added)
    added.add_argument("good", metavar="GOOD", type=Path, help="pictures of good parts, or labelled data")
    added.add_argument("--out", type=Path, required=True, metavar="DIR", help="where to write")
    added.add_argument(
        "--kinds",
        type=words,
        default=("spot", "scratch"),
        metavar="NAMES",
        help="spot,stain,scratch,crack (default: spot,scratch)",
    )
    added.add_argument(
        "--contrasts",
        type=numbers,
        default=(-25.0, -60.0),
        metavar="LEVELS",
        help="default: --contrasts=-25,-60",
    )
    added.add_argument(
        "--sizes",
        type=numbers,
        metavar="LOW,HIGH",
        help="pixels (default: 1 to a quarter of the region's side)",
    )
    added.add_argument(
        "--plantings",
        type=int,
        default=120,
        metavar="N",
        help="for each kind and contrast (default: %(default)s)",
    )
    added.add_argument(
        "--where",
        type=Path,
        metavar="MASK",
        help="picture, white where defects may lie, or a folder with one for each picture (default: the model's region)",
    )
    added.add_argument(
        "--pixel-mm", type=millimetres, metavar="X", help="millimetres of a pixel: sizes are told in both"
    )
    added.add_argument(
        "--group",
        metavar="PATTERN",
        help="plain folder: regular expression whose (...) finds the part in the path",
    )
    added.add_argument(
        "--split",
        choices=SHARES,
        default="all",
        help="labelled data: the share to take (default: %(default)s)",
    )
    added.add_argument("--seed", type=seed, default=0, metavar="N", help="default: %(default)s")
    added.add_argument("--json", action="store_true", help="print pod.json instead of a table")


def run(given: Given) -> int:
    """Plants, judges, writes, prints the table."""
    from visiontune.report.pod_page import write  # a missing extra is told before the work, not after
    from visiontune.study.survey import Asked, survey
    from visiontune.study.survey_table import table

    sizes = span(given.sizes)
    asked = Asked(
        given.kinds, given.contrasts, sizes, given.plantings, given.where, given.pixel_mm, given.seed
    )
    inspector = Inspector(given.model)
    good = goods(given.good, inspector.card, given.group, given.split)
    verdicts = len(good) + len(asked.kinds) * len(asked.contrasts) * asked.plantings
    found = survey(inspector, good, asked, progress=progress(verdicts))
    said = found.as_dict()
    put(given.out, found, json.dumps(said, indent=1) + "\n")
    write(given.out / "pod.html", said)
    print(json.dumps(said) if given.json else table(found))
    return OK


def goods(root: Path, card: ModelCard, group: str | None, split: str) -> Sequence[Good]:
    """The good pictures under a folder: all of them where they lie in it itself, else those of a share that are labelled good.

    In a plain folder the pattern `group` tells the parts apart, without one each picture is a part; labelled data are read by the
    card's rule. Raises BadData where there are none, for a pattern that is none, and as the readers do.
    """
    from visiontune.study.series import Good

    if not root.is_dir():
        raise BadData(f"{root}: expected a folder of good pictures, found none there; check the path")
    plain = not (root / "manifest.csv").is_file() and any(is_picture(path) for path in root.iterdir())
    if plain:
        named = part_pattern(group) if group else None
        return [Good(path, part(path.relative_to(root).as_posix(), named)) for path in pictures([root])]
    found = [
        Good(one.path, one.group)
        for one in share(card, root, split).parts
        if one.label == card.good is not None
    ]
    if not found:
        raise BadData(f"{root}: expected pictures of good parts, found none labelled so; name their folder")
    return found


def part_pattern(text: str) -> re.Pattern[str]:
    """The pattern, which needs one capturing group."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise BadData(f"expected a regular expression for the part, found {text!r}: {error}") from None
    if not pattern.groups:
        raise BadData(f"expected (...) around the part's name in the pattern, found {text!r}")
    return pattern


def part(name: str, pattern: re.Pattern[str] | None) -> str:
    """The part that a picture shows."""
    if pattern is None:
        return name
    match = pattern.search(name)
    if not match or not match[1]:
        raise BadData(
            f"{name}: expected {pattern.pattern!r} to find the part, found none; correct the pattern"
        )
    return match[1]


def put(out: Path, found: Survey, said: str) -> None:
    """Writes the files of a survey, each whole."""
    from visiontune.study.survey_table import COLUMNS, rows, sheet

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows(found)])
    for name, content in (("pod.json", said), ("planted.csv", text.getvalue())):
        with whole(out / name) as draft:
            draft.write_text(content, encoding="utf-8", errors="backslashreplace")
    with whole(out / "planted.png") as draft:
        sheet(found).save(draft, "PNG")


def words(text: str) -> tuple[str, ...]:
    """Names in a list."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def numbers(text: str) -> tuple[float, ...]:
    """Numbers in a list."""
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected numbers such as -25,-60, found {text!r}") from None


def span(found: tuple[float, ...] | None) -> tuple[float, float] | None:
    """Two sizes."""
    if found is None:
        return None
    if len(found) != 2:
        raise BadData(f"expected --sizes LOW,HIGH, found {len(found)} numbers")
    return found[0], found[1]


def millimetres(text: str) -> float:
    """A positive number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected millimetres > 0, found {text!r}")
    return value


def seed(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, found {text!r}")
    return int(text)

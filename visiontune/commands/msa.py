"""`visiontune msa`: plans an attribute agreement study of people and model, and analyses it."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

from visiontune.commands.labelled import SHARES, progress, share
from visiontune.commands.parser import OK, Commands, Given, Parser, add_model, command
from visiontune.runtime.errors import BadModel
from visiontune.runtime.inspector import Inspector

MORE = """\
An attribute study (AIAG MSA) asks how well people and model tell defective parts from good ones. `plan` lets the model
choose parts, a third of them borderline, and writes a folder: pictures under neutral names, a blank sheet for every appraiser and
trial, each in its own order, a README.txt for the appraisers, and key.json, which they must not see. `analyse` reads the
sheets back: effectiveness, misses and false alarms against AIAG's table with bounds, kappa with intervals, the model beside the
people, and how often its verdict flips over pictures of one part. Needs the lab.

examples:
  visiontune msa plan model.onnx data/tiles --out study
  visiontune msa analyse study --html study.html
"""
PLAN = """\
The labels of DATA are the reference: have an expert check them first. One picture of every group is shown; parts the model was
trained on would flatter it, so the test share is taken unless --split says otherwise.

examples:
  visiontune msa plan model.onnx data/tiles --out study
  visiontune msa plan model.onnx new_lot/ --split all --out study --parts 30 --appraisers anna,ben --trials 2
"""
ANALYSE = """\
Sheets may have come through a spreadsheet: comma, semicolon or tab, UTF-8. Every row needs pass or reject.

examples:
  visiontune msa analyse study
  visiontune msa analyse study --json > study.json
"""


def add(commands: Commands) -> None:
    """Describes the subcommand and its two verbs."""
    summary = "attribute agreement study: how well people and model judge, by AIAG's table (needs the lab)"
    added = command(commands, "msa", plan, summary, MORE)
    verbs = added.add_subparsers(title="verbs", metavar="VERB", required=True, parser_class=Parser)
    planned = command(verbs, "plan", plan, "choose parts and write sheets to fill in", PLAN)
    add_model(planned)
    planned.add_argument(
        "data", metavar="DATA", type=Path, help="labelled pictures, in any layout that visiontune reads"
    )
    planned.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the study's folder; made anew"
    )
    planned.add_argument("--parts", type=int, default=50, metavar="N", help="default: %(default)s")
    planned.add_argument(
        "--appraisers",
        type=names,
        default=("1", "2", "3"),
        metavar="N",
        help="how many, or their names: anna,ben (default: 3)",
    )
    planned.add_argument("--trials", type=count, default=3, metavar="N", help="default: %(default)s")
    planned.add_argument(
        "--seed", type=count_from_0, default=0, metavar="N", help="of the choice and the orders (default: 0)"
    )
    planned.add_argument(
        "--split", choices=SHARES, default="test", help="the share to choose from (default: %(default)s)"
    )
    analysed = command(verbs, "analyse", analyse, "read the filled-in sheets and tell the result", ANALYSE)
    analysed.add_argument("folder", metavar="DIR", type=Path, help="the folder that `plan` wrote")
    analysed.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    analysed.add_argument(
        "--html", type=Path, metavar="FILE", help="also write a page that needs nothing else"
    )


def plan(given: Given) -> int:
    """Writes the study's folder."""
    from visiontune.study.folder import Wanted, prepare, to_judge

    wanted = Wanted(parts=given.parts, appraisers=given.appraisers, trials=given.trials, seed=given.seed)
    inspector = Inspector(given.model)
    data = share(inspector.card, given.data, given.split).parts
    shown = progress(len(to_judge(data, given.seed)))
    study = prepare(inspector, data, given.out, wanted, sha256=digest(Path(given.model)), progress=shown)
    why = [part.why for part in study.parts]
    mix = ", ".join(f"{why.count(name)} {name}" for name in sorted(set(why)))
    bad = sum(part.label != study.good for part in study.parts)
    print(f"{given.out}: {len(study.parts)} parts ({mix}); {len(why) - bad} good, {bad} defective")
    print(f"{len(study.appraisers) * study.trials} sheets to fill in; keep key.json from the appraisers")
    return OK


def analyse(given: Given) -> int:
    """Prints the analysis."""
    from visiontune.study.agreement_table import table
    from visiontune.study.folder import conclude

    if given.html:
        from visiontune.report.msa_page import write  # a missing extra is told before the work, not after
    study, found = conclude(given.folder)
    said = {
        "model_name": study.model,
        "sha256": study.sha256,
        "made_by": study.made_by,
        "seed": study.seed,
        **found.as_dict(),
    }
    if given.html:
        write(given.html, said)
    print(json.dumps(said) if given.json else table(found))
    return OK


def digest(path: Path) -> str:
    """Hex sha256 of a model file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BadModel(
            f"{path}: expected a file to read, found: {error.strerror or error}; restore it"
        ) from None


def names(text: str) -> tuple[str, ...]:
    """Appraisers by number or by name."""
    if text.isdecimal():
        return tuple(str(number) for number in range(1, count(text) + 1))
    return tuple(name.strip() for name in text.split(","))


def count(text: str) -> int:
    """A whole number from 1 to 99."""
    if not text.isdecimal() or not 1 <= int(text) <= 99:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 99, found {text!r}")
    return int(text)


def count_from_0(text: str) -> int:
    """A whole number from 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0, found {text!r}")
    return int(text)

"""`visiontune audit`: what a folder of pictures holds and what in it would ruin a model."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from visiontune.commands.parser import FAILED, OK, Commands, Given, command
from visiontune.runtime.errors import BadRecipe

if TYPE_CHECKING:
    from visiontune.data.policy import Policy

BAR = 30  # characters
MORE = """\
Reads and decodes every picture once and ranks what it finds by harm: leaks between splits, copies, several exposures
of one part, wrong labels and masks, classes that a camera, a file format or a name gives away, classes too thin to
certify. Nothing is changed. Exit status: 0 nothing serious, 1 serious findings, 2 wrong use.

examples:
  visiontune audit data/tiles
  visiontune audit data/tiles --json > audit.json
  visiontune audit data/tiles --ignore group,split    judge by the pixels alone
  visiontune audit data/tiles --fix cleaned.csv       then move it to data/tiles/manifest.csv
  visiontune audit data/tiles --html audit.html --embed mobilenetv2_100.ra_in1k --augment flat_sheet
"""


def add(commands: Commands) -> None:
    """Describes the subcommand."""
    summary = "find what ruins a model in the data: leaks, copies, labels, masks, shortcuts"
    added = command(commands, "audit", run, summary, MORE)
    added.add_argument(
        "data", metavar="DATA", type=Path, help="pictures, in any layout that visiontune reads"
    )
    added.add_argument("--json", action="store_true", help="one JSON object with every file, instead of text")
    added.add_argument(
        "--html", type=Path, metavar="FILE", help="also write a page with pictures (needs the lab)"
    )
    added.add_argument(
        "--fix", type=Path, metavar="FILE", help="also write a cleaned manifest; never overwrites"
    )
    added.add_argument(
        "--ignore",
        type=names,
        default=(),
        metavar="NAMES",
        help="what to disregard: group,split,mask,boxes, a column",
    )
    added.add_argument(
        "--group", metavar="PATTERN", help="regular expression whose (...) finds the part in the path"
    )
    added.add_argument(
        "--good", default="auto", metavar="NAME", help="the class of good parts (default: by its name)"
    )
    added.add_argument(
        "--embed",
        default="auto",
        metavar="MODEL",
        help="timm name, or folder with its weights, to judge labels with (needs the lab); none, auto: plain features",
    )
    added.add_argument(
        "--augment",
        metavar="POLICY",
        help="draw a contact sheet of a policy, audit-POLICY.png, and check its views (needs the lab)",
    )


def run(given: Given) -> int:
    """Prints the audit; FAILED where something serious was found."""
    from visiontune.data.audit import audit

    if given.html:
        from visiontune.report.audit_page import write  # a missing extra is told before the work, not after
    policy = named_policy(given.augment) if given.augment else None
    refuse_existing(given.fix)
    found = audit(
        given.data,
        good=given.good,
        group=given.group,
        ignore=given.ignore,
        embed=given.embed,
        augment=policy,
        progress=progress_bar(),
    )
    if given.fix:
        counts = found.fix(given.fix)
        said = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in counts.items())
        print(f"{given.fix}: {said}", file=sys.stderr)
    if given.html:
        write(given.html, found)
    if policy is not None:
        sheet = draw_sheet(policy, given.data, given.html)
        print(f"{sheet}: views of one picture under {policy.name}", file=sys.stderr)
    print(json.dumps(found.as_dict()) if given.json else found)
    return FAILED if found.serious else OK


def draw_sheet(policy: Policy, data: str | Path, html: Path | None) -> Path:
    """Draws the contact sheet of a policy on a picture from the middle of the data, beside the page or here."""
    from visiontune.data.read import read

    samples = read(data, good=None, strict=False).samples
    page = html or Path("audit.html")
    target = page.with_name(f"{page.stem}-{policy.name}.png")
    policy.sheet(samples[len(samples) // 2]).save(target)
    return target


def names(text: str) -> tuple[str, ...]:
    """The names in a list like `group,split`."""
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise argparse.ArgumentTypeError("expected names, such as group,split")
    return found


def refuse_existing(path: Path | None) -> None:
    """Says before the work that the file to write is already there."""
    from visiontune.runtime.errors import BadData

    if path is not None and path.exists():
        raise BadData(f"{path}: expected no file there yet, found one; name another")


def named_policy(name: str) -> Policy:
    """The policy of this name, or the one in a JSON file. Raises BadRecipe where there is none."""
    from visiontune.data import policies

    known = [n for n in policies.__all__ if n.islower() and n not in ("contact_sheet", "view_seed")]
    if name in known:
        made: Policy = getattr(policies, name)()
        return made
    path = Path(name)
    if path.suffix == ".json" and path.is_file():
        try:
            return policies.Policy.from_json(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise BadRecipe(f"{path}: expected a policy as JSON, found: {error}") from None
    raise BadRecipe(f"--augment: expected one of {', '.join(known)}, or a .json file; found {name!r}")


def progress_bar() -> Callable[[str, int, int], None] | None:
    """A bar on stderr, where a person looks on."""
    if not sys.stderr.isatty():
        return None

    def show(what: str, done: int, of: int) -> None:
        filled = BAR * done // max(1, of)
        end = "\n" if done == of else ""
        text = f"\r{what:<10} [{'#' * filled}{'.' * (BAR - filled)}] {done} of {of}"
        print(text, end=end, file=sys.stderr, flush=True)

    return show

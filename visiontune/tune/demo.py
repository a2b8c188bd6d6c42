"""The whole path on generated parts, offline: paint, fine-tune, calibrate, export, judge with the file that ships."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from visiontune.data.painter import paint_folder
from visiontune.data.policies import flat_sheet, none
from visiontune.data.read import read
from visiontune.data.samples import Dataset, Sample
from visiontune.data.splits import split
from visiontune.heads import Anomaly, Classify
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.measure import measure
from visiontune.runtime.verdict import Verdict
from visiontune.tune.backbone import STARTER
from visiontune.tune.finetune import finetune
from visiontune.tune.progress import counted
from visiontune.tune.recipe import Recipe
from visiontune.tune.unfreeze import Unfreeze

RECIPE = Recipe(
    backbone=STARTER,
    head=Classify(adjust="never"),
    policy=flat_sheet(),
    unfreeze=Unfreeze(brief=12, full=12),  # painted pictures are far from any part: there is much to learn
    size=(112, 112),
    roi=(0.14, 0.14, 0.86, 0.86),  # the fixture shows the part in the middle
    weight_decay=0.05,
)
GOOD_ONLY = replace(RECIPE, head=Anomaly(memory=500), policy=none(), unfreeze=Unfreeze.never())
PARTS, EXPOSURES, PIXELS = 1600, 1, 160
SHIPPED = (
    "The starter backbone comes with visiontune and has seen painted pictures only; "
    "where there is a network, name one that has seen more"
)


def demo(out: Path, *, good_only: bool = False, console: Console | None = None) -> Path:
    """Runs the demo in the folder `out` and gives the path of the exported model. Says each step as it goes.

    `good_only` is the first day of a line: the same parts, but no defect in train and val. Both may share a folder. A demo
    that was cut off goes on where it was, one that was done makes its model anew from the weights it has. Raises BadData where
    `out` holds other parts.
    """
    console = console or Console()
    console.print(f"[bold]1 Paint[/] {PARTS} machined parts, each under its own light")
    with counted(console, "painting", PARTS) as step:
        folder = paint_folder(
            out / "parts",
            parts=PARTS,
            exposures=EXPOSURES,
            size=(PIXELS, PIXELS),
            difficulty=0.0,
            seed=0,
            progress=step,
        )
    data = read(folder)
    console.print(f"  {data.layout}", highlight=False)
    recipe = GOOD_ONLY if good_only else RECIPE
    network = f"the {recipe.backbone} backbone at {recipe.size[0]} x {recipe.size[1]} px"
    if good_only:
        data = first_day(data)
        console.print(
            "  defective parts of train and val are left aside; those of test stay, to be judged at the end"
        )
        console.print(
            f"[bold]2 Remember[/] what good parts look like to {network}; nothing is trained. {SHIPPED}"
        )
    else:
        console.print(f"[bold]2 Fine-tune[/] {network}. {SHIPPED}")
    run = finetune(
        recipe, data, out=out / ("run_good_only" if good_only else "run"), resume=True, console=console
    )
    console.print(
        "[bold]3 Calibrate[/] on the val share: what may be promised, and what the data cannot certify"
    )
    run.calibrate(escapes=0.05, overkill=0.1, confidence=0.9)
    console.print("[bold]4 Export[/] one ONNX file, proved on every val picture")
    model = run.export()
    report = run.report()
    proof = run.metrics["proof"]
    console.print(
        f"  {proof['frames']} frames, {proof['flips']} flipped verdicts, "
        f"largest severity difference {proof['max_severity_difference']:.1e}",
        highlight=False,
    )
    console.print("[bold]5 Judge[/] the test share, never seen until now, with the exported file alone")
    inspector = Inspector(model)
    test = run.data.share("test")
    with counted(console, "judging", len(test)) as step:
        found = measure(inspector, test, progress=step)
    console.print(verdicts(inspector, list(test)[:: max(1, len(test) // 12)][:12]))
    console.print(str(found), highlight=False, markup=False, soft_wrap=True)
    copied = "good_parts_only" if good_only else "surface_defects"
    console.print(ending(model, report, copied), highlight=False, soft_wrap=True)
    return model


def first_day(data: Dataset) -> Dataset:
    """The data of a line that has seen no defect yet: those of train and val are left out."""
    known = split(data)
    kept = tuple(sample for sample in known if sample.split == "test" or sample.label == known.good)
    return replace(known, samples=kept)


def verdicts(inspector: Inspector, samples: Sequence[Sample]) -> Table:
    """A row a part: what it is, what the file says."""
    table = Table(title="Verdicts on parts of the test share")
    for heading in ("part", "truly", "decision", "severity", "named"):
        table.add_column(heading, justify="right" if heading == "severity" else "left")
    colours = {"pass": "green", "review": "yellow", "reject": "red"}
    for sample in samples:
        verdict: Verdict = inspector(sample.path)
        colour = colours[verdict.decision]
        table.add_row(
            sample.id,
            sample.label,
            f"[{colour}]{verdict.decision}[/]",
            f"{verdict.severity:.3f}",
            verdict.kind,
        )
    return table


def ending(model: Path, report: Path, recipe: str) -> str:
    """Where things are, and how to go on with a copy of `recipe`."""
    shown = shlex.quote(os.fspath(model))
    return (
        f"\nmodel   {model}\nreport  {report}\nrun     {model.parent / 'run.json'}\n\n"
        "Embed it (needs numpy, pillow and onnxruntime only):\n\n"
        "    from visiontune import Inspector\n"
        f"    inspector = Inspector({os.fspath(model)!r})\n"
        '    verdict = inspector("frame.png")      # or RGB uint8 (H, W, 3)\n'
        "    print(verdict.decision, verdict.severity, verdict.kind)\n\n"
        f"or in the terminal: visiontune inspect {shown} FRAMES...; visiontune card {shown}\n"
        f"Your own pictures: visiontune copy {recipe} my_recipe.py; python my_recipe.py DATA --out DIR"
    )

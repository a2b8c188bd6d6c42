"""The folder of a study: pictures under neutral names, blank sheets, what the appraisers must know, and the key."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from visiontune.data.problems import shown
from visiontune.data.samples import Dataset, Sample
from visiontune.runtime.errors import BadData
from visiontune.runtime.frame import decode
from visiontune.runtime.inspector import Inspector
from visiontune.study import key, plan, sheet
from visiontune.study.agreement import HELD, MODEL, PASSED, Agreement, Ruling, analyse
from visiontune.study.key import Part, Study
from visiontune.study.reimaged import PASS, flips
from visiontune.version import __version__

PICTURES = "pictures"
LEAFLET = "README.txt"
TEXT = """\
For the appraisers
==================
You judge {parts} parts, {trials} times each. Nobody is graded by this sheet: it finds out how well the way of looking works.

1. Take the sheet with your name and the number of the trial from the folder `{sheets}`. Work through it from the top: every sheet
   has its own order.
2. Look at the picture named in the row (folder `{pictures}`), or at the part with that number, as long and in the light
   in which you would on the line.
3. Write `pass` or `reject` into the column `verdict`. There is no third word: decide as you would if nobody could be asked.
{kinds}4. Leave no row blank, and look at nobody's sheet, nor at your own of an earlier trial.
5. Let at least a few hours pass between two trials; a day is better.

For whoever runs the study
==========================
- `{key}` holds the answers. Take it away before the folder is handed out, and put it back for the analysis.
- `visiontune msa analyse THIS_FOLDER` tells the result once all sheets are filled in.
- About a third of the parts were chosen because they are hard. The rates hold for such a mix, not for the line.
"""
KINDS = "   Where you reject, write which defect it is into the column `kind`: {names}.\n"


@dataclass(frozen=True)
class Wanted:
    """What a study should be: `appraisers` are their names, used in file names. Raises BadData for what cannot be one."""

    parts: int = 50
    appraisers: tuple[str, ...] = ("1", "2", "3")
    trials: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        different = len({name.lower() for name in self.appraisers}) == len(self.appraisers)
        if not self.appraisers or not different or not all(map(key.usable, self.appraisers)):
            raise BadData(
                f"expected appraisers with different names of letters, digits, - and _ (not {MODEL}), "
                f"found {', '.join(map(shown, self.appraisers)) or 'none'}"
            )
        if self.trials < 1 or self.seed < 0:
            raise BadData(f"expected trials >= 1 and seed >= 0, found {self.trials} and {self.seed}")


def prepare(
    inspector: Inspector,
    data: Dataset,
    out: Path,
    wanted: Wanted,
    *,
    sha256: str,
    progress: Callable[[int], None] | None = None,
) -> Study:
    """Plans a study on labelled parts and writes its folder, whole or not at all.

    The model judges one picture of every part to choose from, and every picture of the parts that the data show more than
    once. Pictures are written anew as PNG, so that neither name nor format nor metadata tells the label; 16-bit grey as the
    model sees it. `progress` is called with 1 for each picture judged.

    Raises BadData where `out` is there already, the model has no good class, a label is unknown to it, or the parts do not do
    for a study (see `plan.choose`); BadFrame, with the path, for a picture that cannot be read.
    """
    card = inspector.card
    if out.exists():
        raise BadData(f"{out}: expected no such folder yet, found one; name another, or remove it")
    if card.good is None:
        raise BadData(
            "expected a model with a good class, found a sorter; pass or reject cannot be asked of it"
        )
    if unknown := sorted({sample.label for sample in data if sample.label} - set(card.classes)):
        raise BadData(
            f"{data.root}: expected labels out of {', '.join(card.classes)}, found {', '.join(unknown)}; relabel them"
        )
    singles = plan.one_a_part(data.samples, seed=wanted.seed)
    several = _several(data)
    judged = {}
    for sample in to_judge(data, wanted.seed):
        judged[sample.id] = plan.Judged(sample, inspector(sample.path))
        if progress is not None:
            progress(1)
    chosen = plan.choose(
        [judged[sample.id] for sample in singles],
        card.bands,
        card.good,
        parts=wanted.parts,
        seed=wanted.seed,
    )
    study = Study(
        model=card.name,
        sha256=sha256,
        made_by=f"visiontune {__version__}",
        seed=wanted.seed,
        good=card.good,
        classes=card.classes,
        appraisers=wanted.appraisers,
        trials=wanted.trials,
        parts=tuple(_part(place, len(chosen), choice) for place, choice in enumerate(chosen, 1)),
        reimaged=tuple(
            (one.sample.group, one.verdict.decision) for one in judged.values() if one.sample.id in several
        ),
    )
    with whole_folder(out) as draft:
        _write(draft, study, [choice.judged.sample for choice in chosen], card.input.window)
    return study


def conclude(folder: Path, *, confidence: float = 0.95) -> tuple[Study, Agreement]:
    """Reads the filled-in sheets of a study and analyses them. Raises BadData as `key.read` and `sheet.read` do."""
    study = key.read(folder)
    people = sheet.read(folder, study)
    decisions = [part.decision for part in study.parts]
    held = np.array([[PASSED if decision == PASS else HELD] for decision in decisions])
    named = np.array([[part.kind if part.decision != PASS else ""] for part in study.parts], dtype="<U256")
    named[named == study.good] = ""
    several = len(study.kinds) > 1
    found = analyse(
        [part.label != study.good for part in study.parts],
        people,
        model=Ruling(held, named if several else None),
        reviews=decisions.count("review"),
        kinds=[part.label for part in study.parts] if several else None,
        flips=flips(study.reimaged, confidence=confidence),
        confidence=confidence,
    )
    return study, found


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Gives a folder to fill; it becomes `target` when the block ends well, and goes when it does not."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def to_judge(data: Dataset, seed: int) -> list[Sample]:
    """The pictures that `prepare` judges: one of every part, and all of the parts that are shown more than once."""
    wanted = {sample.id for sample in plan.one_a_part(data.samples, seed=seed)} | _several(data)
    return [sample for sample in data if sample.id in wanted]


def _several(data: Dataset) -> set[str]:
    """The pictures of parts that the data show, with one label, more than once."""
    seen = Counter((sample.group, sample.label) for sample in data)
    return {sample.id for sample in data if sample.label and seen[sample.group, sample.label] > 1}


def _part(place: int, of: int, choice: plan.Choice) -> Part:
    sample, verdict = choice.judged.sample, choice.judged.verdict
    return Part(
        picture=f"P{place:0{max(2, len(str(of)))}d}.png",
        id=sample.id,
        group=sample.group,
        label=str(sample.label),
        why=choice.why,
        severity=verdict.as_dict()["severity"],
        decision=verdict.decision,
        kind=verdict.kind,
    )


def _write(draft: Path, study: Study, samples: Sequence[Sample], window: tuple[int, int] | None) -> None:
    (draft / PICTURES).mkdir()
    for part, sample in zip(study.parts, samples, strict=True):
        Image.fromarray(decode(sample.path, window=window)).save(draft / PICTURES / part.picture)
    orders = plan.orders(len(study.parts), len(study.appraisers), study.trials, seed=study.seed)
    sheet.write(draft, study, orders)
    key.write(draft, study)
    kinds = KINDS.format(names=", ".join(study.kinds)) if len(study.kinds) > 1 else ""
    text = TEXT.format(
        parts=len(study.parts),
        trials=study.trials,
        sheets=sheet.FOLDER,
        pictures=PICTURES,
        key=key.FILE,
        kinds=kinds,
    )
    (draft / LEAFLET).write_text(text, encoding="utf-8")

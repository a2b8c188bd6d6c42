"""The key of a study: what each neutral picture is, and what the model said of it. Not for the appraisers' eyes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.errors import BadData, one_line
from visiontune.runtime.whole import whole
from visiontune.study.agreement import MODEL

FILE = "key.json"
FORMAT = 1


@dataclass(frozen=True)
class Part:
    """One part of a study.

    picture   its neutral name, `P01.png`
    id        the picture's path inside the data
    group     the part
    label     the reference: one of the classes
    why       clearly good, clearly defective or borderline
    severity  0..1 by the model, None where it gave no usable one; decision and kind likewise its verdict
    """

    picture: str
    id: str
    group: str
    label: str
    why: str
    severity: float | None
    decision: str
    kind: str


@dataclass(frozen=True)
class Study:
    """A planned study: appraisers by name, trials each, the parts in the order of their pictures.

    reimaged  (part, decision) of every picture of the parts that the data show more than once, for the model's flips
    """

    model: str
    sha256: str
    made_by: str
    seed: int
    good: str
    classes: tuple[str, ...]
    appraisers: tuple[str, ...]
    trials: int
    parts: tuple[Part, ...]
    reimaged: tuple[tuple[str, str], ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The defect classes; appraisers are asked which one where there are several."""
        return tuple(name for name in self.classes if name != self.good)


def usable(name: str) -> bool:
    """Whether an appraiser may be called so: names go into paths, and must not be taken for the model's."""
    return re.fullmatch(r"[\w-]+", name) is not None and name.lower() != MODEL


def write(folder: Path, study: Study) -> None:
    """Writes the key into a study's folder."""
    with whole(folder / FILE) as draft:
        draft.write_text(json.dumps({"format": FORMAT, **asdict(study)}, indent=1) + "\n", encoding="utf-8")


def read(folder: Path) -> Study:
    """Reads the key of a study's folder. Raises BadData where there is none or it is not one."""
    path = folder / FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadData(
            f"{path}: expected the key that `visiontune msa plan` wrote, found: {error.strerror or error}; name its folder"
        ) from None
    except ValueError as error:
        raise BadData(
            f"{path}: expected a study's key as JSON, found: {one_line(error)}; restore the file"
        ) from None
    if not isinstance(found, Mapping) or found.get("format") != FORMAT:
        shown = found.get("format") if isinstance(found, Mapping) else type(found).__name__
        raise BadData(
            f"{path}: expected a study's key of format {FORMAT}, found {shown!r}; plan it with this version"
        )
    try:
        study = _study(found)
    except (KeyError, TypeError, ValueError) as error:
        raise BadData(
            f"{path}: expected a whole key, found a wrong or missing field ({one_line(error)}); restore the file"
        ) from None
    return study


def _study(found: Mapping[str, Any]) -> Study:
    parts = tuple(Part(**part) for part in found["parts"])
    study = Study(
        model=str(found["model"]),
        sha256=str(found["sha256"]),
        made_by=str(found["made_by"]),
        seed=int(found["seed"]),
        good=str(found["good"]),
        classes=tuple(map(str, found["classes"])),
        appraisers=tuple(map(str, found["appraisers"])),
        trials=int(found["trials"]),
        parts=parts,
        reimaged=tuple((str(part), str(decision)) for part, decision in found["reimaged"]),
    )
    said = [part.decision for part in parts] + [decision for _, decision in study.reimaged]
    if not parts or not study.appraisers or study.trials < 1 or not set(said) <= set(DECISIONS):
        raise ValueError("parts, appraisers, trials or decisions")
    if not all(map(usable, study.appraisers)):
        raise ValueError("appraisers")
    labels = {part.label for part in parts}
    if not labels <= set(study.classes) or study.good not in labels or len(labels) < 2:
        raise ValueError("labels")
    return study

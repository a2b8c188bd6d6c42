"""The audit: reads, looks at every picture once, and gathers the findings."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from visiontune.data.audit import (
    boxes,
    classes,
    copies,
    files,
    leaks,
    masks,
    parts,
    shortcuts,
    suspects,
)
from visiontune.data.audit.embedding import embed as embedded
from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import SCHEMA, Finding, LeftOut, ranked
from visiontune.data.audit.fix import write_fixed
from visiontune.data.audit.look import look
from visiontune.data.audit.twins import link
from visiontune.data.read import read
from visiontune.data.samples import Dataset
from visiontune.runtime.errors import BadData
from visiontune.version import __version__

if TYPE_CHECKING:
    from visiontune.data.policy import Policy

Progress = Callable[[str, int, int], object]


@dataclass(frozen=True)
class Audit:
    """What was found in a data set. `str(audit)` is the report in text, `as_dict` the one for machines.

    findings  the most harmful first.
    left_out  what could not be looked into, and why.
    """

    evidence: Evidence
    findings: tuple[Finding, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def dataset(self) -> Dataset:
        """The data set that was audited, as it was read."""
        return self.evidence.dataset

    @property
    def serious(self) -> bool:
        """Whether a finding spoils training or the figures of a run."""
        return any(finding.harm == "serious" for finding in self.findings)

    @cached_property
    def by_code(self) -> dict[str, tuple[Finding, ...]]:
        """The findings of each code, in order."""
        found: dict[str, tuple[Finding, ...]] = {}
        for finding in self.findings:
            found[finding.code] = (*found.get(finding.code, ()), finding)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON of schema 1: keys are only ever added."""
        data = self.dataset
        return {
            "schema": SCHEMA,
            "made_by": f"visiontune {__version__}",
            "data": {
                "root": str(data.root),
                "layout": data.layout,
                "pictures": len(data),
                "classes": list(data.classes),
                "good": data.good,
                "counts": data.counts(),
                "groups": len({sample.group for sample in data}) if self.evidence.grouped else None,
                "notes": list(data.notes),
                **{key: data.provenance.get(key) for key in ("reader", "group_pattern", "ignored")},
            },
            "serious": self.serious,
            "findings": [finding.as_dict(rank) for rank, finding in enumerate(self.findings, 1)],
            "left_out": [{"what": left.what, "why": left.why} for left in self.left_out],
        }

    def __str__(self) -> str:
        from visiontune.data.audit.text import report

        return report(self)

    def fix(self, path: str | Path) -> dict[str, int]:
        """Writes a cleaned manifest; see `visiontune.data.audit.fix.write_fixed`."""
        return write_fixed(self.evidence, self.findings, path)


def audit(
    data: Dataset | str | Path,
    *,
    good: str | None = "auto",
    group: str | None = None,
    ignore: Collection[str] = (),
    embed: str = "auto",
    augment: Policy | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Finds what ruins inspection models in the data, before training. Changes nothing.

    data      a folder in any layout that `read` knows, or a data set that was read (with strict=False to hear of all its
              problems). `good`, `group`, `ignore` are those of `read`, and only for a folder.
    embed     the network whose embedding finds label suspects: a timm name or a folder with its weights; "auto" and "none"
              go without one, by plain features.
    augment   a policy whose views are looked at too.
    progress  called as progress(what, done, of) while it works.

    Every file is read and decoded once, streamed; what is kept of a picture is a row of some kilobytes. Label suspects need
    scikit-learn, an embedding and a policy need the lab; what cannot be looked into stands in `left_out`. Raises BadData as
    `read` does, and for an empty data set; MissingExtra and BadModel for an embedding that cannot be had.
    """
    if isinstance(data, Dataset):
        if good != "auto" or group is not None or ignore:
            raise BadData("good, group and ignore are for a folder; read the data set with them")
        dataset = data
    else:
        dataset = read(data, good=good, group=group, ignore=ignore, strict=False)
    if not len(dataset) and not dataset.problems:
        raise BadData(f"{dataset.root}: expected pictures, found none in what looks like {dataset.layout}")
    evidence = _evidence(dataset, embed, progress)
    findings: list[Finding] = []
    left_out: list[LeftOut] = []
    for found in _all(evidence, augment, progress):
        if isinstance(found, Finding):
            findings.append(found)
        else:
            left_out.append(found)
    return Audit(evidence, ranked(findings), tuple(left_out))


def _evidence(dataset: Dataset, embed: str, progress: Progress | None) -> Evidence:
    paths = [sample.path for sample in dataset]
    embedding = None
    if embed not in ("auto", "none"):
        embedding = embedded(paths, embed, progress=_step(progress, "embedding", len(paths)))
    describing = embedding is None and _has_sklearn() and len(dataset.classes) > 1
    looks = look(paths, describing=describing, progress=_step(progress, "looking", len(paths)))
    if progress:
        progress("comparing", 0, len(paths))
    links = link(looks, embedding)
    looks.prints = np.zeros((0, 0, 0), np.int8)  # spent, and the largest part of the index
    if progress:
        progress("comparing", len(paths), len(paths))
    return Evidence(dataset, looks, links, embedding)


def _all(
    evidence: Evidence, augment: Policy | None, progress: Progress | None
) -> Iterator[Finding | LeftOut]:
    masked = sum(sample.mask is not None for sample in evidence.samples)
    yield from files.findings(evidence)
    yield from copies.findings(evidence)
    yield from leaks.findings(evidence)
    yield from parts.findings(evidence)
    yield from classes.findings(evidence)
    yield from masks.findings(evidence, _step(progress, "masks", masked))
    yield from boxes.findings(evidence)
    yield from shortcuts.findings(evidence)
    yield from suspects.findings(evidence)
    yield from _blind_spots(evidence)
    if augment is not None:
        from visiontune.data.audit import views

        yield from views.findings(evidence, augment)


def _blind_spots(evidence: Evidence) -> Iterator[LeftOut]:
    if evidence.links.blind is not None:
        cure = "name the parts with --group or a column `group`"
        yield LeftOut("exposures of one part", f"{evidence.links.blind}: {cure}")


def _step(progress: Progress | None, what: str, of: int) -> Callable[[int], None] | None:
    """A counter for one stretch of the work."""
    if progress is None:
        return None
    done = 0

    def step(more: int) -> None:
        nonlocal done
        done += more
        progress(what, done, of)

    return step


def _has_sklearn() -> bool:
    try:
        import sklearn  # noqa: F401
    except ImportError:
        return False
    return True

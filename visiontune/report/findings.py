"""Findings: everything the page shows, as plain data, so that whoever trains need not know the page nor it them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from visiontune.runtime.annotation import Annotation
from visiontune.runtime.bands import Bands
from visiontune.runtime.errors import BadData
from visiontune.runtime.region_bands import RegionBands
from visiontune.runtime.verdict import Region

WORST = 12  # pictures that are shown


@dataclass(frozen=True)
class Table:
    """A table of a further section: texts, escaped by the page. A column of numbers is aligned by the page itself."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise BadData(f"a table row must have {len(self.header)} cells, as the header has: {self.header}")


@dataclass(frozen=True)
class Section:
    """A further section of the page: text is escaped, Markup stands as it is, a Table becomes a table."""

    heading: str
    body: str | Markup | Table


@dataclass(frozen=True)
class Places:
    """Where on a picture: the regions that the model shows, strongest first, and the boxes that people drew."""

    regions: Sequence[Region]
    people: Sequence[Annotation]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What a report shows. Every figure comes from the val share; raises BadData when the parts do not fit together.

    title, created, made_by  name of the model; ISO 8601 UTC; "visiontune X.Y.Z"
    classes, good   in the order of `kinds`; where there is a good class it is the first
    recipe          as Recipe.as_dict gives it
    data            layout, digest, counts {split: {class: n}}, groups {split: n}, notes [text]; other entries are listed too
    severity        (n,) float32 0..1, of each val picture
    kinds           (n, C) float32, probabilities
    labels          (n,) int64, true class
    groups, paths   (n,) part of each picture, file of each picture
    masks           mask files of the pictures judged worst, by their place, of those that have one
    heatmaps        float32 (h, w) over `roi` of the pictures judged worst, by their place; none where the model has none
    regions         bands by which a heatmap shows regions; None for the usual ones
    roi             region of interest as fractions of the frame, x0, y0, x1, y1
    window          grey values (low, high) of 16-bit pictures that become black and white; None for all of them
    history, best   an entry per epoch with the fields of learner.Epoch; the epoch that was kept, counted from 0
    stages          rows with name, parameters, lr, and `opened` (first epoch that trained it, None if it stayed frozen)
    bands           None if no thresholds were set
    temperature     by which the logits were divided
    proof           frames, max_severity_difference, flips; None if no model file was written
    versions        of the packages that made it
    places          of each val picture, in pixels of it; empty for a model without boxes
    sections        further ones, shown after the figures from val
    """

    title: str
    created: str
    made_by: str
    classes: tuple[str, ...]
    good: str | None
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    severity: NDArray[np.float32]
    kinds: NDArray[np.float32]
    labels: NDArray[np.int64]
    groups: Sequence[str]
    paths: Sequence[Path]
    masks: Mapping[int, Path] = field(default_factory=dict)
    heatmaps: Mapping[int, NDArray[np.float32]] = field(default_factory=dict)
    regions: RegionBands | None = None
    roi: tuple[float, float, float, float] | None = None
    window: tuple[int, int] | None = None
    history: Sequence[Mapping[str, Any]] = ()
    best: int | None = None
    stages: Sequence[Mapping[str, Any]] = ()
    bands: Bands | None = None
    temperature: float = 1.0
    proof: Mapping[str, Any] | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    places: Sequence[Places] = ()
    sections: Sequence[Section] = ()

    def __post_init__(self) -> None:
        n, expected = len(self.severity), (len(self.severity), len(self.classes))
        if not n:
            raise BadData("a report needs at least one val picture, found none; split the data anew")
        if self.kinds.shape != expected or not len(self.labels) == len(self.groups) == len(self.paths) == n:
            raise BadData(
                f"expected kinds of shape {expected} and {n} labels, groups and paths, found {self.kinds.shape}, "
                f"{len(self.labels)}, {len(self.groups)}, {len(self.paths)}"
            )
        if self.places and len(self.places) != n:
            raise BadData(f"expected places of {n} pictures, found {len(self.places)}")
        if not (np.isfinite(self.severity).all() and np.isfinite(self.kinds).all()):
            raise BadData(
                "the network says NaN for a val picture; do not use it, lower Recipe.lr and train again"
            )
        if self.labels.min() < 0 or self.labels.max() >= len(self.classes):
            raise BadData(f"expected labels from 0 to {len(self.classes) - 1}, found {self.labels.max()}")
        if self.good is not None and self.good != self.classes[0]:
            raise BadData(f"expected the good class {self.good!r} first, found {self.classes[0]!r} there")

    @property
    def named(self) -> NDArray[np.int64]:
        """The most probable kind of each picture, int64 (n,)."""
        return np.asarray(self.kinds.argmax(axis=1), np.int64)

    @property
    def at_risk(self) -> NDArray[np.bool_]:
        """Pictures that must not simply pass: defective, or without a good class those whose kind is named wrongly."""
        return np.asarray(self.labels != 0 if self.good is not None else self.named != self.labels)


def worst(kinds: NDArray[np.float32], labels: NDArray[np.int64], n: int = WORST) -> list[int]:
    """The places of the n pictures whose true kind (labels, (n,)) got the least probability (kinds, (n, C)), worst first."""
    return np.argsort(kinds[np.arange(len(labels)), labels], kind="stable")[:n].tolist()  # type: ignore[no-any-return]

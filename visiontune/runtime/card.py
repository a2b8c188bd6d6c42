"""The model card: what a model is, how it was made and what was proved of it, as JSON inside the ONNX file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from visiontune.runtime import fields as check
from visiontune.runtime.bands import Bands
from visiontune.runtime.errors import BadModel, one_line
from visiontune.runtime.golden import TOLERANCE, Golden
from visiontune.runtime.reference import Reference
from visiontune.runtime.region_bands import RegionBands

KEY = "visiontune.card"  # the ONNX metadata key that holds the JSON
SCHEMA = 1
PRECISIONS = ("float32", "fp16", "int8")
WINDOW = "card.input.window"


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What happens to a frame before the network, all but the window inside the file.

    size       (h, w) in pixels to which the region of interest is resized
    roi        x0, y0, x1, y1 as fractions 0..1 of the frame; None is the whole frame
    mean, std  per channel R, G, B, of values scaled to 0..1
    window     (low, high): the grey values of a 16-bit frame that become 0 and 255; None is (0, 65535). The only
               entry that is not in the graph, whose input has 8 bits: the Inspector applies it where it decodes.
    """

    size: tuple[int, int]
    roi: tuple[float, float, float, float] | None = None
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    window: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _set(self, "size", check.size(self.size, "card.input.size"))
        _set(self, "mean", check.reals(self.mean, "card.input.mean", count=3))
        _set(self, "std", check.reals(self.std, "card.input.std", count=3, above=0))
        if self.roi is not None:
            roi = check.reals(self.roi, "card.input.roi", count=4)
            if not (0 <= roi[0] < roi[2] <= 1 and 0 <= roi[1] < roi[3] <= 1):
                check.refuse("card.input.roi", "0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1", self.roi)
            _set(self, "roi", roi)
        if self.window is not None:
            low, high = (check.whole(edge, WINDOW) for edge in check.items(self.window, WINDOW, count=2))
            if not 0 <= low < high <= 65535:
                check.refuse(WINDOW, "0 <= low < high <= 65535", self.window)
            _set(self, "window", (low, high))


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What the export compared on real pictures: network against file, or float32 file against one of narrower numbers.

    frames                   how many pictures
    max_severity_difference  the largest
    flips                    how many decisions differed; of narrower numbers, how many passed or rejected what the
                             float32 file did not
    reviewed                 how many the file reviews that the float32 file passes or rejects
    tolerance                by how much a severity may differ from that below where the proof is repeated
    worst                    the picture of the largest difference, as in sha256; None in older cards
    sha256, severity         of each picture: the first 16 hex digits of its file's sha256, and what the file answered
                             at export; so the proof can be repeated wherever the pictures are. Empty in older cards
    """

    frames: int
    max_severity_difference: float
    flips: int
    worst: str | None = None
    sha256: tuple[str, ...] = ()
    severity: tuple[float, ...] = ()
    reviewed: int = 0
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        for name in ("frames", "flips", "reviewed"):
            _set(self, name, check.whole(getattr(self, name), f"card.proof.{name}", least=0))
        difference = check.real(self.max_severity_difference, "card.proof.max_severity_difference")
        _set(self, "max_severity_difference", difference)
        _set(self, "tolerance", check.real(self.tolerance, "card.proof.tolerance", above=0))
        found = check.items(self.sha256, "card.proof.sha256")
        _set(self, "sha256", tuple(check.text(one, "card.proof.sha256") for one in found))
        _set(self, "severity", check.reals(self.severity, "card.proof.severity", count=len(found)))
        if found and (len(found) != self.frames or self.worst not in self.sha256):
            check.refuse(
                "card.proof.sha256", f"one for each of {self.frames} frames, worst among them", found
            )
        if not found and self.worst is not None:
            check.refuse("card.proof.worst", "null, for no frame has a hash", self.worst)

    def summary(self) -> dict[str, float]:
        """Without the frames one by one."""
        names = ("frames", "max_severity_difference", "flips", *(("reviewed",) if self.reviewed else ()))
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """A model's papers. Checked when made: a missing, unknown or mistyped field raises BadModel naming it.

    name         of the model; task, such as "classify"
    created      ISO 8601, UTC; made_by "visiontune X.Y.Z"
    classes      in the order of `kinds`; where there is a `good` class it is the first
    input        what happens to a frame before the network
    temperature  by which the logits were divided
    bands        the thresholds and their evidence
    recipe       as the lab wrote it
    data         digest, layout, counts {split: {class: n}}, group_pattern, split_seed, fractions, and what
                 else the lab notes
    versions     of the packages that made it
    proof        None if the export compared nothing
    golden       painted frames that every opening replays; None if the model cannot test itself
    probes       more of them, of odd sizes, that `visiontune verify` replays
    reference    what validation looked like, for a Monitor; None in older cards
    history      what was changed in the file since it was exported, an entry a change; see runtime.adjust
    precision    of the network's weights: float32; fp16 (computes in float32); int8 (computes in integers)
    regions      how regions are cut from a heatmap, or from which score boxes are; None is RegionBands(), or any box
    schema       version of this layout
    """

    name: str
    created: str
    made_by: str
    task: str
    classes: tuple[str, ...]
    good: str | None
    input: InputSpec
    temperature: float
    bands: Bands
    recipe: Mapping[str, Any]
    data: Mapping[str, Any]
    versions: Mapping[str, Any]
    proof: Proof | None = None
    golden: Golden | None = None
    probes: tuple[Golden, ...] = field(default=())
    reference: Reference | None = None
    history: tuple[Any, ...] = field(default=())
    precision: str = PRECISIONS[0]
    regions: RegionBands | None = None
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        if self.schema != SCHEMA or isinstance(self.schema, bool):
            raise BadModel(
                f"card.schema: expected {SCHEMA}, found {self.schema!r}; use a visiontune that knows it"
            )
        for name in ("name", "created", "made_by", "task"):
            check.text(getattr(self, name), f"card.{name}")
        _check_time(self.created)
        _set(
            self,
            "classes",
            tuple(check.text(name, "card.classes") for name in check.items(self.classes, "card.classes")),
        )
        if not self.classes or len(set(self.classes)) != len(self.classes):
            check.refuse("card.classes", "at least one class, each named once", self.classes)
        if self.good is not None and self.good != self.classes[0]:
            check.refuse("card.good", f"the first class ({self.classes[0]!r}) or null", self.good)
        for name, kind in (
            ("input", InputSpec),
            ("bands", Bands),
            ("proof", Proof | None),
            ("golden", Golden | None),
            ("reference", Reference | None),
            ("regions", RegionBands | None),
        ):
            if not isinstance(getattr(self, name), kind):
                check.refuse(f"card.{name}", "its own type", getattr(self, name))
        if self.precision not in PRECISIONS:
            check.refuse("card.precision", f"one of {', '.join(PRECISIONS)}", self.precision)
        _set(self, "temperature", check.real(self.temperature, "card.temperature", above=0))
        for name in ("recipe", "data", "versions"):
            _set(self, name, check.plain_object(getattr(self, name), f"card.{name}"))
        _check_data(self.data)
        _set(self, "history", tuple(check.plain(check.items(self.history, "card.history"), "card.history")))
        for entry in self.history:
            _check_change(entry)
        _set(self, "probes", tuple(check.items(self.probes, "card.probes")))
        for probe in self.probes:
            if not isinstance(probe, Golden):
                check.refuse("card.probes", "their own type", probe)
        for golden in (*([self.golden] if self.golden else []), *self.probes):
            if any(len(row) != len(self.classes) for row in golden.kinds):
                raise BadModel(
                    f"card.golden.kinds: expected {len(self.classes)} values a frame; export the model again"
                )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, the fields in their order with `schema` first."""
        found: dict[str, Any] = check.plain(asdict(self), "card")
        return {"schema": found.pop("schema"), **found}

    def to_json(self) -> str:
        """The JSON text that stands in the file; `from_json` gives an equal card."""
        return json.dumps(self.as_dict(), allow_nan=False)

    @classmethod
    def from_dict(cls, found: object) -> ModelCard:
        """The card that `as_dict` gave. Raises BadModel for another schema, a missing, unknown or mistyped field."""
        if isinstance(found, Mapping) and found.get("schema", SCHEMA) != SCHEMA:
            raise BadModel(
                f"card.schema: expected {SCHEMA}, found {found['schema']!r}; use a visiontune that knows it"
            )
        given = _since(found, probes=[], reference=None, precision=PRECISIONS[0], regions=None)
        values = dict(check.keys(given, _names(cls), "card"))
        given = _since(values["input"], window=None)
        values["input"] = InputSpec(**check.keys(given, _names(InputSpec), "card.input"))
        values["bands"] = Bands(**check.keys(values["bands"], _names(Bands), "card.bands"))
        if values["proof"] is not None:
            given = _since(
                values["proof"], worst=None, sha256=[], severity=[], reviewed=0, tolerance=TOLERANCE
            )
            values["proof"] = Proof(**check.keys(given, _names(Proof), "card.proof"))
        if values["golden"] is not None:
            values["golden"] = _golden(values["golden"], "card.golden")
        values["probes"] = tuple(
            _golden(probe, "card.probes") for probe in check.items(values["probes"], "card.probes")
        )
        if values["reference"] is not None:
            given = check.keys(values["reference"], _names(Reference), "card.reference")
            values["reference"] = Reference(**given)
        if values["regions"] is not None:
            given = check.keys(values["regions"], _names(RegionBands), "card.regions")
            values["regions"] = RegionBands(**given)
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """The card from its JSON text. Raises BadModel if it is not JSON, and as `from_dict` does."""
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadModel(f"card: expected JSON, found {one_line(error)}; export the model again") from error
        return cls.from_dict(found)


def _check_time(created: str) -> None:
    try:
        utc = datetime.fromisoformat(created).utcoffset() == timedelta(0)
    except ValueError:
        utc = False
    if not utc:
        check.refuse("card.created", "a time in ISO 8601, UTC, such as 2026-01-31T12:00:00Z", created)


def _check_data(data: Mapping[str, Any]) -> None:
    """The entries of `data` that the line itself reads, to find the test share again."""
    expected = ("digest", "layout", "counts", "group_pattern", "split_seed", "fractions")
    if missing := [name for name in expected if name not in data]:
        raise BadModel(f"card.data: {', '.join(missing)} missing; export the model again")
    check.text(data["digest"], "card.data.digest")
    check.text(data["layout"], "card.data.layout")
    check.whole(data["split_seed"], "card.data.split_seed")
    check.reals(data["fractions"], "card.data.fractions", count=3)
    if data["group_pattern"] is not None:
        check.text(data["group_pattern"], "card.data.group_pattern")
    for split, counts in check.plain_object(data["counts"], "card.data.counts").items():
        for name, count in check.plain_object(counts, f"card.data.counts.{split}").items():
            check.whole(count, f"card.data.counts.{split}.{name}", least=0)


def _check_change(entry: object) -> None:
    """A change of the bands has its fields; entries of other kinds may hold anything."""
    if isinstance(entry, Mapping) and entry.get("what") == "bands":
        where = "card.history"
        change = check.keys(entry, ("what", "when", "by", "note", "from", "to", "evidence"), where)
        for name in ("when", "by", "evidence"):
            check.text(change[name], f"{where}.{name}")
        if change["note"] is not None:
            check.text(change["note"], f"{where}.note")
        for side in ("from", "to"):
            Bands(**check.keys(change[side], _names(Bands), f"{where}.{side}"))


def _since(found: object, **defaults: Any) -> object:
    """The object with what cards did not state before visiontune learnt to write it."""
    return {**defaults, **found} if isinstance(found, Mapping) else found


def _golden(found: object, where: str) -> Golden:
    return Golden(**check.keys(_since(found, sha256=[]), _names(Golden), where))


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


def _set(thing: object, name: str, value: object) -> None:
    object.__setattr__(thing, name, value)  # the dataclass is frozen for everybody else

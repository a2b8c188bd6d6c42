"""The card in words: a heading and a text on each line, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from visiontune.runtime.card import ModelCard
from visiontune.runtime.reference import Reference
from visiontune.runtime.region_bands import RegionBands

PRECISION = {
    "fp16": "fp16: weights of 16 bits, computed in float32",
    "int8": "int8: computed in integers of 8 bits",
}


def describe(card: ModelCard) -> str:
    """The card for people: a heading and a text on each line. Long values are cut; the JSON has all."""
    bands, data, (height, width) = card.bands, card.data, card.input.size
    roi = "whole frame" if card.input.roi is None else "region " + _shown(card.input.roi)
    deep = (
        "" if card.input.window is None else "; 16-bit grey {}..{} read as 0..255".format(*card.input.window)
    )
    sure = f"{card.golden.frames} painted frames" if card.golden else "none"
    sure += f"; {len(card.probes)} sizes more for verify" if card.probes else ""
    rows = [
        ("model", f"{card.name} ({card.task})"),
        ("made", f"{card.created} by {card.made_by}"),
        ("classes", ", ".join(card.classes)),
        ("good class", card.good or "none: it sorts"),
        ("input", f"RGB uint8 frames of any size{deep}; {roi}; resized to {height} x {width} (h x w)"),
        *([("precision", PRECISION[card.precision])] if card.precision in PRECISION else []),
        (
            "decision",
            f"{_band('review', bands.review_from)}, {_band('reject', bands.reject_from)}, else pass",
        ),
        *([("regions", _regions(card.regions))] if card.regions else []),
        *_section("evidence", bands.evidence or {"none": "the bands were set by hand"}),
        *(("changed", _change(entry)) for entry in card.history),
        ("temperature", _shown(card.temperature)),
        ("data", f"{data['layout']}; digest {data['digest'][:12]}…; split seed {data['split_seed']}"),
        *((f"  {name}", _shown(counts)) for name, counts in data["counts"].items()),
        *_section("recipe", card.recipe),
        ("versions", _shown(card.versions)),
        ("proof", _proof(card, changed=any(_is_change(entry) for entry in card.history))),
        ("self-test", sure),
        ("reference", _reference(card.reference)),
    ]
    wide = max(len(heading) for heading, _ in rows)
    return "\n".join(f"{heading:<{wide}}  {text}".rstrip() for heading, text in rows)


def _section(heading: str, entries: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(heading, ""), *((f"  {name}", _shown(value)) for name, value in entries.items())]


def _shown(value: Any, limit: int = 100) -> str:
    """One JSON value as people write it."""
    if isinstance(value, float):
        text = f"{value:.4g}"
    elif isinstance(value, Mapping):
        text = ", ".join(f"{name} {_shown(item)}" for name, item in value.items())
    elif isinstance(value, (list, tuple)):
        text = ", ".join(_shown(item) for item in value)
    else:
        text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _band(decision: str, threshold: float) -> str:
    return f"never {decision}" if threshold > 1 else f"{decision} from severity {threshold:.4g}"


def _regions(bands: RegionBands) -> str:
    least = f"; at least {bands.min_area:.4g} px" if bands.min_area else ""
    size = "; a pixel shows {:.4g} x {:.4g} mm".format(*bands.pixel_mm) if bands.pixel_mm else ""
    if bands.low == bands.high:  # of a heatmap or of boxes
        return f"scores from {bands.high:.4g}{least}{size}"
    return f"heatmap from {bands.low:.4g} where it reaches {bands.high:.4g}{least}{size}"


def _is_change(entry: Any) -> bool:
    return isinstance(entry, Mapping) and entry.get("what") == "bands"


def _change(entry: Any) -> str:
    if isinstance(entry, Mapping) and entry.get("what") == "regions":
        return _shown({name: entry[name] for name in ("when", "what", "note", "to") if entry.get(name)}, 160)
    if not _is_change(entry):
        return _shown(entry)
    edges = [
        [f"{entry[side][edge]:.6g}" for edge in ("review_from", "reject_from")] for side in ("from", "to")
    ]
    note = f" ({_shown(entry['note'], 60)})" if entry["note"] else ""
    return f"{entry['when']}: bands {' / '.join(edges[0])} became {' / '.join(edges[1])}{note}; {entry['evidence']}"


def _reference(reference: Reference | None) -> str:
    if reference is None:
        return "none: exported before there was one, so there is nothing to monitor against"
    dark, bright = reference.ranges["brightness"]
    seen = f"{reference.frames} frames, brightness {dark:.3g} to {bright:.3g}"
    return (
        f"scores of {len(reference.good)} good and {len(reference.defective)} defective parts of val; {seen}"
    )


def _proof(card: ModelCard, *, changed: bool) -> str:
    proof = card.proof
    if proof is None:
        return "none: the export compared nothing" + (" with these bands" if changed else "")
    narrow = card.precision in PRECISION
    flips = (
        f"at most {proof.flips} decisions flip with the bands of today"
        if changed
        else f"{proof.flips} decisions flipped outside review, {proof.reviewed} more reviewed"
        if narrow
        else f"{proof.flips} decisions flipped"
    )
    what = f"{proof.frames} frames compared {'with the float32 file ' if narrow else ''}at export"
    return f"{what}: {flips}, severity within {proof.max_severity_difference:.2g}"

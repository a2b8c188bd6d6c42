"""Bands for a file of narrower numbers: certified anew, and so wide that it passes and rejects nothing that float32 does not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bands import Bands
from visiontune.tune.calibrate import Judged, Target, inspection_bands, kinds_that_pass, per_part
from visiontune.tune.clearance import clear_above, clear_below
from visiontune.tune.promise import HELD, KINDS, UNKNOWN
from visiontune.tune.sorting import counted, part_edges, sorting_bands

OF_COSTS = ("costs", "cost_per_million", "cost_interval", "optimism")
PASS, REJECT = DECISIONS.index("pass"), DECISIONS.index("reject")


def rebands(judged: Judged, old: Bands, decided: NDArray[np.int64], *, good: bool) -> Bands:
    """The bands for a file that judges the val share as `judged` says.

    old      the bands of the float32 file; what they asked is asked again, by the same method
    decided  the float32 file's decisions on the same pictures, int64 (n,)
    good     whether there is a class of good parts

    First the bands are certified anew on the severities of this file. Then review is widened on both sides until every val
    picture that float32 held back is held back and every one that it did not reject is not rejected: so each picture that
    passes or is rejected was so by float32 too, and what rounding moved over a threshold goes to a person. Widening
    weakens no promise: an inspector that passes fewer parts lets fewer escape, and a sorter's fixed sequence of tests
    has passed the stricter thresholds before. Old bands without a target (set by hand, or by costs) are only widened; what
    they cost is left out of the evidence, because it is another cost now.
    """
    asked = target(old)
    bands = old if asked is None else (inspection_bands if good else sorting_bands)(judged, asked)
    review_from, reject_from = bands.review_from, bands.reject_from
    if (held := decided != PASS).any():
        review_from = min(review_from, clear_below(judged.severity[held].min(), judged.severity))
    if (spared := decided != REJECT).any() and reject_from <= 1:
        reject_from = max(reject_from, clear_above(judged.severity[spared].max(), judged.severity))
    bands = replace(bands, review_from=review_from, reject_from=max(reject_from, review_from))
    return replace(bands, evidence=recounted(judged, bands)) if bands.evidence else bands


def target(bands: Bands) -> Target | None:
    """What was asked when the bands were set; None if nothing was."""
    evidence = bands.evidence or {}
    asked = {
        name: found["asked"]
        for name, found in evidence.items()
        if isinstance(found, Mapping) and "asked" in found
    }
    if not asked or "costs" in evidence:
        return None
    first = next(iter(asked.values()))
    return Target(
        escapes=asked.get("escapes", first),
        overkill=asked.get("overkill", first),
        confidence=evidence["confidence"],
    )


def recounted(judged: Judged, bands: Bands) -> dict[str, Any]:
    """The evidence of the bands with what their thresholds of now let through."""
    evidence = {name: value for name, value in (bands.evidence or {}).items() if name not in OF_COSTS}
    if evidence.get("escapes") == UNKNOWN:
        highest = per_part(judged, judged.labels == 0, np.max)
        for name, edge in ((HELD, bands.review_from), ("overkill", bands.reject_from)):
            evidence[name] = {**evidence[name], "misses": int((highest >= np.float32(edge)).sum())}
        return evidence
    if "escapes" in evidence:
        defective = judged.labels != 0
        passed = per_part(judged, defective, np.min) < np.float32(bands.review_from)
        rejected = per_part(judged, ~defective, np.max) >= np.float32(bands.reject_from)
        for name, misses in (("escapes", passed), ("overkill", rejected)):
            evidence[name] = {**evidence[name], "misses": int(misses.sum())}
        if KINDS in evidence:
            asked = evidence["escapes"]["asked"]
            evidence |= kinds_that_pass(judged, bands.review_from, asked, evidence["confidence"])
        return evidence
    passing, wrongly = part_edges(judged)
    through, wrong = counted(passing, bands.review_from), counted(wrongly, bands.review_from)
    for name, found in evidence.items():
        if isinstance(found, Mapping):
            evidence[name] = {**found, "parts": through, "allowed": wrong, "misses": wrong}
    return evidence


def worse(new: Bands, old: Bands) -> str | None:
    """Which promise of the old bands the new ones do not keep, in words; None if they keep all.

    A promise is kept if what was asked is certified, or no less than before.
    """
    for name, before in (old.evidence or {}).items():
        if isinstance(before, Mapping) and "certified" in before:
            now = (new.evidence or {})[name]
            if now["certified"] > max(before["asked"], before["certified"]) * (1 + 1e-9):
                return f"{name}: {100 * now['certified']:.3g} % certified, {100 * before['certified']:.3g} % before"
    return None

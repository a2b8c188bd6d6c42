"""Bands from good parts alone: how many of them are held back is certified, how many defective ones pass is not known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visiontune.runtime.bands import Bands
from visiontune.tune.clearance import clear_above
from visiontune.tune.promise import HELD, UNKNOWN, allowed_misses, promise

REVIEWED = 4.0  # good parts that may be reviewed or rejected, for each that may be rejected


def good_bands(
    good: NDArray[np.float32], severities: NDArray[np.float32], *, overkill: float, confidence: float
) -> Bands:
    """Bands from the highest severity of each good part of val (n,), n > 0; `severities` (m,) are those of all val pictures.

    The (k + 1)-th highest of n good parts is a threshold that a new good part like them reaches with a chance whose bound is
    exact: it is that of k misses in n, whatever the scores (Wilks 1941; as a p-value of conformal prediction). Reject lies
    above the one that certifies `overkill`, review above the one that certifies four times as much, at most half.
    """
    highest = np.sort(good)[::-1]
    asked = {"overkill": overkill, HELD: min(REVIEWED * overkill, max(0.5, overkill))}
    allowed = {name: max(0, allowed_misses(len(good), rate, confidence)) for name, rate in asked.items()}
    edges = {
        name: clear_above(highest[k], severities) if k < len(good) else 0.0 for name, k in allowed.items()
    }
    review_from, reject_from = edges[HELD], max(edges["overkill"], edges[HELD])
    over = {"overkill": reject_from, HELD: review_from}
    return Bands(
        review_from=review_from,
        reject_from=reject_from,
        evidence={
            "method": "order statistics of good parts, exact binomial, unit: part",
            "confidence": confidence,
            "escapes": UNKNOWN,
            **{
                name: promise(
                    len(good), k, int((good >= np.float32(over[name])).sum()), asked[name], confidence
                )
                for name, k in allowed.items()
            },
        },
    )

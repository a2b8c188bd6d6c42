"""How many planted defects pass: an estimate where nothing is known of real ones, and never more than that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from visiontune.runtime.bands import Bands
from visiontune.tune.feeds import Share
from visiontune.tune.good_shares import with_planted
from visiontune.tune.net import frame_logits
from visiontune.tune.promise import ESTIMATE, UNKNOWN

if TYPE_CHECKING:
    from visiontune.tune.run import Run

APART = 1_000_003  # from the run's seed: these are not the planted defects by which training was judged


def with_estimate(run: Run, bands: Bands) -> Bands:
    """`bands` whose evidence says beside unknown escapes how many planted defects would pass; others as they are.

    One is drawn on each good picture of val, 256 at most, as the recipe's policy draws them or `policies.planted` does. The
    promises stay what they are: nobody's defects look like these.
    """
    if bands.evidence is None or bands.evidence.get("escapes") != UNKNOWN:
        return bands
    frames, size = run.pictures("val"), run.recipe.size
    val = Share(data=run.data.share("val"), frames=frames, masks=np.zeros((len(frames), *size), np.uint8))
    drawn = with_planted(val, run.recipe.policy, seed=run.recipe.seed + APART).frames[len(frames) :]
    if not len(drawn):
        return bands
    severity = run.net.head.judged(torch.from_numpy(frame_logits(run.net, drawn)))["severity"]
    passed = int((bands.decisions(severity.numpy()) == 0).sum())
    return replace(bands, evidence={**bands.evidence, ESTIMATE: {"pictures": len(drawn), "passed": passed}})

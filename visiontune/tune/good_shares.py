"""What a head of one class trains on and is judged by: few real defects shown often, planted ones in val where it has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.data.batches import label_indices
from visiontune.data.frames import Frames
from visiontune.data.masks import PLANTED
from visiontune.data.policies import none, planted
from visiontune.data.policy import Policy, Step, view_seed
from visiontune.data.transforms import DEFECT
from visiontune.tune.feeds import Share

WANTED = 0.2  # share of the pictures of train that real defects are brought to, by showing each
OFTEN = 8  # times at most
MOST = 256  # good pictures of val on which defects are planted
VIEW = -1  # the view in which they are: training sees those from 0 on


class Chosen:
    """Some pictures of others, by their rows int64 (n,); the same row may come again."""

    def __init__(self, frames: Frames, rows: NDArray[np.int64]) -> None:
        self.frames, self.rows = frames, rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, h, w, 3)."""
        return (len(self.rows), *self.frames.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any, /) -> Any:
        """uint8 (h, w, 3) for a number, uint8 (k, h, w, 3) for a slice or an array of numbers."""
        found = self.rows[at]
        return self.frames[int(found) if np.ndim(found) == 0 else found]


def often(train: Share) -> Share:
    """The share with its defective pictures shown several times in an epoch, each time in a view of its own.

    So often that they are a fifth of it, eight times at most: five defects among a thousand good parts would else hardly be seen.
    """
    bad = np.flatnonzero(label_indices(train.data) != 0)
    if not len(bad):
        return train
    good = len(train.data) - len(bad)
    times = int(np.clip(round(WANTED / (1 - WANTED) * good / len(bad)), 1, OFTEN))
    rows = np.concatenate([np.arange(len(train.data)), np.tile(bad, times - 1)]).astype(np.int64)
    samples = list(train.data.samples)
    for again in range(1, times):
        samples += [
            replace(train.data.samples[row], id=f"{train.data.samples[row].id}#{again}")
            for row in bad.tolist()
        ]
    return Share(
        data=replace(train.data, samples=tuple(samples)),
        frames=Chosen(train.frames, rows),
        masks=None if train.masks is None else train.masks[rows],
    )


def with_planted(val: Share, policy: Policy, *, seed: int) -> Share:
    """Val with its good pictures once more, a defect planted on each, where it holds none: training has to be judged by some.

    They are drawn as `policy` draws them, or as `policies.planted` does where it draws none, on pictures that are not augmented,
    and seeded as views are: the same for the same seed and picture, whatever else val holds. At most 256, at even distances.
    """
    good = np.flatnonzero(label_indices(val.data) == 0)
    if len(good) < len(val.data) or val.masks is None:
        return val
    draws = always(policy if policy.plants else planted(none()))
    chosen = good[np.linspace(0, len(good) - 1, min(MOST, len(good))).astype(int)]
    frames, masks, samples = [], [], []
    for row in chosen.tolist():
        sample = val.data.samples[row]
        seen = draws(
            val.frames[row], seed=view_seed(seed, sample.id, VIEW), mask=np.zeros_like(val.masks[row])
        )
        if seen.mask is not None and (seen.mask == PLANTED).any():
            frames.append(seen.image)
            masks.append(seen.mask)
            samples.append(replace(sample, id=f"{sample.id}#planted", label=val.data.classes[1]))
    if not frames:
        return val
    return Share(
        data=replace(val.data, samples=(*val.data.samples, *samples)),
        frames=np.concatenate([np.asarray(val.frames[:]), np.stack(frames)]),
        masks=np.concatenate([np.asarray(val.masks[:]), np.stack(masks)]),
    )


def always(policy: Policy) -> Policy:
    """The steps of a policy that plant, each of them certain."""
    steps = [dict(step.params) | {"p": 1.0} for step in policy.steps if step.transform == DEFECT]
    return Policy("planted", tuple(Step(DEFECT, **params) for params in steps))

"""The memory of good parts beside the head that was trained on it: which of them ranks val better, and whether that is noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visiontune.data.batches import label_indices
from visiontune.data.frames import Frames
from visiontune.runtime.roc import auroc
from visiontune.tune.feeds import Share
from visiontune.tune.net import Net, together

if TYPE_CHECKING:
    from visiontune.tune.run import Run

Judge = Callable[[tuple[Tensor, ...]], tuple[Tensor, Tensor]]
DRAWS = 1000
CONFIDENCE = 0.84  # of a gain, as of the gates: about one standard error


@dataclass(frozen=True, kw_only=True)
class Beside:
    """AUROC of both on the same pictures, 0..1, and how much the trained one gains, with its lower bound over redrawn parts.

    `on` says which defects they were ranked by; `better` whether the gain is beyond noise.
    """

    on: str
    defective: int
    good: int
    trained: float
    memory: float
    gain: float
    low: float
    better: bool

    def __str__(self) -> str:
        figures = f"AUROC {self.trained:.3f}, of the memory alone {self.memory:.3f}"
        figures += f" (gain {self.gain:+.3f}, at least {self.low:+.3f})"
        said = f"trained head on {self.defective} {self.on} and {self.good} good pictures: {figures}"
        if self.better:
            return said
        return f"{said}; it is not better beyond noise: Anomaly(memory=...) is simpler, and needs no training"

    def as_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def scores(net: Net, judge: Judge, frames: Frames) -> NDArray[np.float64]:
    """What `judge` says of the frames uint8 (n, h, w, 3) by the features of the backbone as it is: (n,), or (n, k)
    where it says k things of each."""
    net.eval()
    found: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for start in range(0, len(frames), some := together((frames.shape[1], frames.shape[2]))):
            features = net.features(net.normalised(torch.from_numpy(frames[start : start + some])))
            assert isinstance(features, tuple)
            found.append(judge(features)[0].numpy())
    return np.concatenate(found).astype(np.float64)


def note_memory(run: Run, val: Share, memory: NDArray[np.float64]) -> None:
    """Tells how the trained head ranks val beside the memory it stands on, scores (n,); kept in run.json as beside_memory."""
    planted = len(val.data) > len(run.data.share("val"))
    trained = scores(run.net, run.net.head, val.frames)
    found = beside(trained, memory, val, planted=planted, seed=run.recipe.seed)
    if found is not None:
        run.metrics["beside_memory"] = found.as_dict()
        run.console.print(f"  {found}", highlight=False, soft_wrap=True)


def beside(
    trained: NDArray[np.float64], memory: NDArray[np.float64], val: Share, *, planted: bool, seed: int
) -> Beside | None:
    """Compares scores (n,) of a share's pictures; None where the share lacks good or defective ones."""
    defective = label_indices(val.data) != 0
    ours, theirs = auroc(trained, defective), auroc(memory, defective)
    if ours is None or theirs is None:
        return None
    low = lowest_gain(trained, memory, defective, [sample.group for sample in val.data], seed=seed)
    return Beside(
        on="planted defects in val" if planted else "defects of val",
        defective=int(defective.sum()),
        good=int((~defective).sum()),
        trained=ours,
        memory=theirs,
        gain=ours - theirs,
        low=low,
        better=low > 0,
    )


def lowest_gain(
    one: NDArray[np.float64],
    other: NDArray[np.float64],
    defective: NDArray[np.bool_],
    groups: list[str],
    *,
    seed: int,
) -> float:
    """Lower bound of the AUROC of `one` less that of `other`, scores (n,), in a paired bootstrap over groups.

    Draws without a good or a defective picture are left out; with none left the bound is -1.
    """
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    rows = [np.flatnonzero(member == group) for group in range(len(names))]
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(DRAWS if len(names) > 1 else 0):
        chosen = np.concatenate([rows[group] for group in draw.integers(len(names), size=len(names))])
        ours, theirs = (auroc(each[chosen], defective[chosen]) for each in (one, other))
        if ours is not None and theirs is not None:
            found.append(ours - theirs)
    return float(np.quantile(found, 1 - CONFIDENCE)) if found else -1.0

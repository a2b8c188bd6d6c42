"""What good looks like: learned from good parts alone, judged by how far a frame is from it, and where."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from visiontune.heads.classify import in_words
from visiontune.heads.head import LABELS, HeadNet, Labels, Pyramid
from visiontune.runtime.errors import BadRecipe

if TYPE_CHECKING:
    from visiontune.heads.memory import MemoryNet

LEAST = 1e-6  # score; keeps the logarithm finite


@dataclass(frozen=True, kw_only=True)
class Anomaly:
    """Anomaly detection by a memory of good parts: heatmap and severity, of parts whose defects nobody has seen.

    memory  vectors of good parts that are kept at most; more make files larger and frames slower. With 2000 of them the graph of
            a small MobileNet at 224 px takes twice as long as that of Classify, with 500 one and a half times.
    width   channels of a vector at most: where the maps have more, a random projection keeps their distances.

    It needs no training: features of good training pictures are whitened at each place of the frame (the covariance of a place
    as in PaDiM, Defard et al. 2020, arXiv 2011.08785), and a cell's score is its distance to the nearest kept one (PatchCore,
    Roth et al. 2022, arXiv 2106.08265), over a power of the frame's median distance. Parts should lie about alike in the frame.
    It tells good from "defective", no kinds; pictures of defects in train are left aside, not even opened; those in val set
    severity and bands.
    """

    task: ClassVar[str] = "anomaly"
    taps: ClassVar[str] = "pyramid"
    learns: ClassVar[str] = LABELS
    one_class: ClassVar[bool] = True
    places: ClassVar[bool] = True
    memory: int = 1000
    width: int = 64

    def __post_init__(self) -> None:
        if type(self.memory) is not int or not 1 <= self.memory <= 20_000:
            raise BadRecipe(f"Anomaly.memory must be a whole number from 1 to 20000, got {self.memory!r}")
        if type(self.width) is not int or not 4 <= self.width <= 1024:
            raise BadRecipe(f"Anomaly.width must be a whole number from 4 to 1024, got {self.width!r}")

    def build(self, features: Pyramid, labels: Labels) -> MemoryNet:
        """An empty memory on the maps of a pyramid."""
        from visiontune.heads.memory import MemoryNet

        return MemoryNet(self, features)


class ScoredNet(HeadNet):
    """A head that gives raw scores above 0, of a frame (N,) and of its cells (N, h, w), which have no upper end.

    Severity is a logistic curve over the logarithm of the score: strictly rising, and never at its ends for scores that occur,
    so that ranks by severity are ranks by score. `slope` and `shift` are set on held-out parts.
    """

    slope: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("slope", torch.ones(()))
        self.register_buffer("shift", torch.zeros(()))

    @abstractmethod
    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Scores of the frames (N,) and of their cells (N, h, w)."""

    def odds(self, scores: Tensor) -> Tensor:
        """Log odds of a severity, of the same shape as the scores."""
        return self.slope * scores.clamp(min=LEAST).log() + self.shift

    def logits(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        """The frame's logits (N, 2): 0 for good, the log odds of its severity for defective."""
        odds = self.odds(raw[0])
        return torch.stack([torch.zeros_like(odds), odds], dim=1)

    def losses(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross entropy (N,), in nats."""
        return functional.cross_entropy(logits, targets["label"], reduction="none")

    def judged(self, logits: Tensor) -> dict[str, Tensor]:
        """severity, and kinds: good and defective."""
        return in_words(logits / self.temperature, good=True)

    def answer(self, raw: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """severity, kinds, and heatmap (N, h, w): the severity of a frame whose score were the cell's."""
        return {**self.judged(self.logits(raw)), "heatmap": self.odds(raw[1]).sigmoid()}

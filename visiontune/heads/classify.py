"""One label for the whole frame: cross entropy, logit adjustment when classes are unbalanced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from visiontune.heads.head import LABELS, HeadNet, Labels
from visiontune.runtime.errors import BadRecipe

UNBALANCED = 5.0  # largest class over smallest, above which "auto" adjusts the logits


@dataclass(frozen=True, kw_only=True)
class Classify:
    """Classification of whole frames.

    smoothing  label smoothing, 0..1. Off for two-class pass/reject work, where calibration is by temperature.
    dropout    share of pooled features dropped in training, 0..1.
    adjust     "auto", "always" or "never": logit adjustment (Menon et al. 2021, arXiv 2007.07314), which makes the loss
               consistent with balanced accuracy. "auto" adjusts when the largest class has over 5 times the smallest.
    heatmap    "auto", "always" or "never": the file also says where. "auto" where the backbone allows it and the map adds at
               most 3 % to its multiplications; see ClassifyNet.heat for what it is. Training and verdicts do not change.
    """

    task: ClassVar[str] = "classify"
    taps: ClassVar[str] = "pooled"
    learns: ClassVar[str] = LABELS
    one_class: ClassVar[bool] = False
    places: ClassVar[bool] = False
    smoothing: float = 0.0
    dropout: float = 0.0
    adjust: str = "auto"
    heatmap: str = "auto"

    def __post_init__(self) -> None:
        for name in ("smoothing", "dropout"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise BadRecipe(f"Classify.{name} must lie in 0..1 (1 excluded), got {value}")
        for name in ("adjust", "heatmap"):
            value = getattr(self, name)
            if value not in ("auto", "always", "never"):
                raise BadRecipe(f'Classify.{name} must be "auto", "always" or "never", got {value!r}')

    def adjusts(self, counts: tuple[int, ...]) -> bool:
        """Whether the loss adjusts its logits for these class counts."""
        present = [count for count in counts if count]
        unbalanced = len(present) > 1 and max(present) > UNBALANCED * min(present)
        return self.adjust == "always" or (self.adjust == "auto" and unbalanced)

    def build(self, features: int, labels: Labels) -> ClassifyNet:
        """A linear classifier on `features` pooled features."""
        return ClassifyNet(self, features, labels)


class ClassifyNet(HeadNet):
    """Linear classifier on standardised pooled features (N, F) -> logits (N, C).

    `outputs` is for heads that make the C logits of fewer.
    """

    prior: Tensor

    def __init__(
        self, options: Classify, features: int, labels: Labels, *, outputs: int | None = None
    ) -> None:
        super().__init__()
        self.options = options
        self.good = labels.good is not None
        # Pooled features differ in scale by orders of magnitude between channels; standardising them lets one learning rate
        # fit any backbone (as in the linear probes of He et al. 2021, arXiv 2111.06377, A.1). It is folded at export.
        self.standardise = nn.BatchNorm1d(features, affine=False)
        self.dropout = nn.Dropout(options.dropout)
        self.linear = nn.Linear(features, outputs or len(labels.classes))
        # Starting at zero makes the first loss ln C. timm's default start on headless weights gives 2-4 times that,
        # and its gradient would shake the stages that open later.
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        prior = torch.zeros(len(labels.classes))
        if options.adjusts(labels.counts):
            counts = torch.tensor(labels.counts, dtype=torch.float32).clamp(min=0.5)
            prior = (counts / counts.sum()).log()
        self.register_buffer("prior", prior)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, C) from pooled features (N, F)."""
        logits: Tensor = self.linear(self.dropout(self.standardise(features)))
        return logits

    @property
    def adjusted(self) -> bool:
        """Whether the loss adjusts its logits by the classes' prior."""
        return bool(self.prior.any())

    def losses(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross entropy (N,) of logits + log prior against `targets["label"]` int64 (N,), in nats."""
        smoothing = self.options.smoothing if self.training else 0.0
        return functional.cross_entropy(
            logits + self.prior, targets["label"], label_smoothing=smoothing, reduction="none"
        )

    def judged(self, logits: Tensor) -> dict[str, Tensor]:
        """kinds and severity of logits / temperature."""
        return in_words(logits / self.temperature, good=self.good)

    @property
    def shows_cells(self) -> str:
        """As the option `heatmap` says."""
        return self.options.heatmap

    def heat(self, cells: Tensor, raw: Tensor) -> Tensor:
        """The severity that the frame would have if it looked everywhere as in this cell: (N, P), 0..1.

        This is class activation mapping (Zhou et al. 2016, arXiv 1512.04150) on a scale that has a meaning: the layer that
        judges pooled features judges those of each cell, through softmax and temperature. Where pooling is the mean and
        nothing follows it, the mean of the cells' logits is the frame's, so the map adds up to the verdict. Without a good
        class it is the probability of the kind that the frame is named.

        It is no segmentation, and no calibrated chance that there is a defect in the cell: the temperature was fitted to
        whole frames, no mask was seen, and a cell is coarse (mostly 32 pixels of the network's input) and sees much around it.
        """
        kinds = (self(cells.flatten(0, 1)) / self.temperature).softmax(dim=1)
        kinds = kinds.reshape(-1, cells.shape[1], kinds.shape[1])
        if not self.good:
            kinds = kinds * (raw == raw.amax(dim=1, keepdim=True))[:, None]
        heat: Tensor = (kinds[:, :, 1:] if self.good else kinds).sum(dim=2).clamp(0, 1)
        return heat


def in_words(logits: Tensor, *, good: bool) -> dict[str, Tensor]:
    """kinds = softmax(logits); severity = the sum over the defects, or 1 - max where there is no `good` class.

    Summing the defects instead of 1 - P(good) keeps small severities precise, where the bands are set.
    """
    kinds = logits.softmax(dim=1)
    severity = kinds[:, 1:].sum(dim=1) if good else 1 - kinds.amax(dim=1)
    return {"severity": severity.clamp(0, 1), "kinds": kinds}

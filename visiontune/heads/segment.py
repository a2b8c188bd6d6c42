"""Where the defect is: a heatmap learned from masks, and a verdict learned from the whole map and the whole frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from visiontune.heads.classify import Classify, ClassifyNet, in_words
from visiontune.heads.decoder import Decoder
from visiontune.heads.head import MASKS, HeadNet, Labels, Pyramid
from visiontune.heads.map_loss import all_known, kind_losses, map_losses
from visiontune.runtime.errors import BadRecipe

RARE = -2.2  # log odds around which cells begin, 1 in 10: else good area would be most of the first losses
FLOOR = 1e-4  # share of the frame below which a hot area counts as none
DOUBT = 0.1  # of an election, however clear
TINY = 1e-6  # weight of all cells together below which they have no say in the kind
MASKED = "mask"  # the batch's word for masks


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Detection of defects by pixels: heatmap, and severity and kinds that are learned from it.

    width      channels of the decoder. At 224 px a frame takes 1.5 times as long as with Classify on mobilenetv2_035, 1.2 times
               on mobilenetv2_100; with 32 channels 1.3 and 1.1 times.
    balance    how little the size of a defect counts in the loss, 0..1: 0 weighs all cells alike, 1 all defects alike.
    map_share  weight of the heatmap's loss beside the frame's, above 0.
    smoothing, dropout, adjust  of the frame's verdict, as in Classify.

    Pictures whose mask is missing, and defective ones whose mask is empty, teach the verdict alone (and through it, weakly,
    the map). The kind of a defect is its picture's label; cells learn it where masks mark them, hot ones elect the frame's.
    """

    task: ClassVar[str] = "segment"
    taps: ClassVar[str] = "pyramid"
    learns: ClassVar[str] = MASKS
    one_class: ClassVar[bool] = False
    places: ClassVar[bool] = False
    width: int = 64
    balance: float = 0.5
    map_share: float = 1.0
    smoothing: float = 0.0
    dropout: float = 0.0
    adjust: str = "auto"

    def __post_init__(self) -> None:
        if type(self.width) is not int or not 8 <= self.width <= 512:
            raise BadRecipe(f"Segment.width must be a whole number from 8 to 512, got {self.width!r}")
        if not 0 <= self.balance <= 1:
            raise BadRecipe(f"Segment.balance must lie in 0..1, got {self.balance!r}")
        if not self.map_share > 0:
            raise BadRecipe(f"Segment.map_share must be above 0, got {self.map_share!r}")
        self.frame()

    def frame(self) -> Classify:
        """The options of the frame's verdict. Raises BadRecipe."""
        try:
            return Classify(smoothing=self.smoothing, dropout=self.dropout, adjust=self.adjust)
        except BadRecipe as problem:
            raise BadRecipe(str(problem).replace("Classify.", "Segment.")) from None

    def build(self, features: Pyramid, labels: Labels) -> SegmentNet:
        """Decoder and verdict on the maps of a pyramid."""
        return SegmentNet(self, features, labels)


class SegmentNet(HeadNet):
    """Features (pooled (N, F), maps from the finest on) -> (logits (N, C), log odds of a defect in each cell (N, h, w)), and,
    where there are several kinds of defect, the logits of the kinds in each cell (N, K, h, w).

    The verdict reads the pooled features, the peak of the map smoothed over 3 x 3 cells, the share of the frame that is hot, and
    the decoder's features where it is hot: a single noisy cell moves none of them far. Which kind it is, the cells vote, each by
    its heat: they see only what is around them, so they cannot learn a part by heart as the pooled features of few parts can.
    """

    def __init__(self, options: Segment, features: Pyramid, labels: Labels) -> None:
        super().__init__()
        self.options = options
        self.strides = features.strides
        width = options.width
        self.decoder = Decoder(features.channels, width)
        self.cells = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.cells.bias, RARE)  # type: ignore[arg-type]
        self.votes = labels.good is not None and len(labels.classes) > 2
        self.named = nn.Conv2d(width, len(labels.classes) - 1, 1) if self.votes else None
        seen, outputs = features.pooled + width + 2, 2 if self.votes else None
        self.classify = ClassifyNet(options.frame(), seen, labels, outputs=outputs)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What the class says, from (pooled (N, F), map (N, C, h, w), ...)."""
        pooled, *maps = features
        decoded = self.decoder(maps)
        cells = self.cells(decoded)
        hot = cells.sigmoid()
        peak = functional.avg_pool2d(cells, 3, 1, 1, count_include_pad=False).amax(dim=(2, 3))
        area = hot.mean(dim=(2, 3))
        there = (decoded * hot).mean(dim=(2, 3)) / (area + FLOOR)
        seen = torch.cat([pooled, there, peak, (area + FLOOR).log()], dim=1)
        logits = self.classify(seen)
        if self.named is None:
            return logits, cells[:, 0]
        named = self.named(decoded)
        vote = elected(named, hot)
        return torch.cat([logits[:, :1], logits[:, 1:] + vote.log()], dim=1), cells[:, 0], named

    def logits(self, raw: tuple[Tensor, ...]) -> Tensor:
        """The frame's logits (N, C)."""
        return raw[0]

    def losses(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross entropy (N,) as in Classify.

        In training a picture whose mask is known teaches the verdict good or defective alone: its cells learn their kind from
        the mask, and taught by the frame too they would name whatever else is warm in it.
        """
        whole = self.classify.losses(logits, targets)
        if not (self.votes and self.training and MASKED in targets):
            return whole
        two = torch.stack([logits[:, 0], logits[:, 1:].logsumexp(dim=1)], dim=1)
        prior = self.classify.prior
        # of a defect the mean of its kinds', as the whole sum has it where they are in doubt
        two = two + torch.stack([prior[0], prior[1:].logsumexp(dim=0) - math.log(len(prior) - 1)])
        defective = (targets["label"] > 0).long()
        risk = functional.cross_entropy(
            two, defective, label_smoothing=self.options.smoothing, reduction="none"
        )
        return torch.where(all_known(targets[MASKED]), risk, whole)

    def map_losses(self, raw: tuple[Tensor, ...], targets: Mapping[str, Tensor]) -> Tensor | None:
        """Loss of the heatmap and of its kinds (N,), 0 for pictures whose mask is unknown; None for a batch without masks."""
        if MASKED not in targets:
            return None
        found = map_losses(raw[1].float(), targets[MASKED], balance=self.options.balance)
        if self.named is not None and self.training:
            # held-out pictures judge it by the election, whose loss has a bound
            kinds = raw[2].float() + self.classify.prior[1:, None, None]
            found = found + kind_losses(kinds, targets[MASKED], targets["label"] - 1)
        return self.options.map_share * found

    @property
    def adjusted(self) -> bool:
        """Whether the loss adjusts its logits by the classes' prior."""
        return self.classify.adjusted

    def judged(self, logits: Tensor) -> dict[str, Tensor]:
        """severity and kinds as in Classify, at this head's temperature."""
        return in_words(logits / self.temperature, good=self.classify.good)

    def answer(self, raw: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """severity, kinds, and heatmap (N, h, w): the probability, 0..1, that a cell is defective. It has no temperature."""
        return {**self.judged(raw[0]), "heatmap": raw[1].sigmoid()}


def elected(named: Tensor, hot: Tensor) -> Tensor:
    """Chances of the kinds (N, K), above 0: the mean over cells, logits (N, K, h, w), weighed by their heat (N, 1, h, w) ** 4.

    So steeply, for thousands of lukewarm cells must not outvote a small defect. However sure the cells are, a tenth stays in
    doubt: on a part of its own, one wrong name would otherwise outweigh all else that is held against a network.
    """
    weight = hot**4
    said = (named.softmax(dim=1) * weight).mean(dim=(2, 3)) + TINY / named.shape[1]
    elected = said / (weight.mean(dim=(2, 3)) + TINY)
    return (1 - DOUBT) * elected + DOUBT / named.shape[1]

"""Where the defect is: a heatmap learned from masks, and a verdict learned from the whole map and the whole frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from visiontune.heads.classify import Classify, ClassifyNet, in_words
from visiontune.heads.head import MASKS, HeadNet, Labels, Pyramid
from visiontune.heads.map_loss import map_losses
from visiontune.runtime.errors import BadRecipe

RARE = -2.2  # log odds around which cells begin, 1 in 10: else good area would be most of the first losses
FLOOR = 1e-4  # share of the frame below which a hot area counts as none
MASKED = "mask"  # the batch's word for masks


@dataclass(frozen=True, kw_only=True)
class Segment:
    """Detection of defects by pixels: heatmap, and severity and kinds that are learned from it.

    width      channels of the decoder.
    balance    how little the size of a defect counts in the loss, 0..1: 0 weighs all cells alike, 1 all defects alike.
    map_share  weight of the heatmap's loss beside the frame's, above 0.
    smoothing, dropout, adjust  of the frame's verdict, as in Classify.

    Pictures whose mask is missing, and defective ones whose mask is empty, teach the verdict alone (and through it, weakly,
    the map). The kind of a defect is its picture's label.
    """

    task: ClassVar[str] = "segment"
    taps: ClassVar[str] = "pyramid"
    learns: ClassVar[str] = MASKS
    one_class: ClassVar[bool] = False
    places: ClassVar[bool] = False
    width: int = 32
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
    """Features (pooled (N, F), maps from the finest on) -> (logits (N, C), log odds of a defect in each cell (N, h, w)).

    The decoder is a feature pyramid (Lin et al. 2017, arXiv 1612.03144) of one width, with depthwise convolutions. The verdict
    reads the pooled features, the peak of the map smoothed over 3 x 3 cells, the share of the frame that is hot, and the
    decoder's features where it is hot: a single noisy cell moves none of them far.
    """

    def __init__(self, options: Segment, features: Pyramid, labels: Labels) -> None:
        super().__init__()
        self.options = options
        self.strides = features.strides
        width = options.width
        self.laterals = nn.ModuleList(lateral(channels, width) for channels in features.channels)
        self.merge = nn.ModuleList(separable(width) for _ in features.channels)
        self.cells = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.cells.bias, RARE)  # type: ignore[arg-type]
        self.classify = ClassifyNet(options.frame(), features.pooled + width + 2, labels)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Frame logits (N, C) and cell log odds (N, h, w) from (pooled (N, F), map (N, C, h, w), ...)."""
        pooled, *maps = features
        decoded = self.decoded(maps)
        cells = self.cells(decoded)
        hot = cells.sigmoid()
        peak = functional.avg_pool2d(cells, 3, 1, 1, count_include_pad=False).amax(dim=(2, 3))
        area = hot.mean(dim=(2, 3))
        there = (decoded * hot).mean(dim=(2, 3)) / (area + FLOOR)
        seen = torch.cat([pooled, there, peak, (area + FLOOR).log()], dim=1)
        return self.classify(seen), cells[:, 0]

    def decoded(self, maps: list[Tensor]) -> Tensor:
        """The maps summed from the coarsest to the finest, (N, width, h, w)."""
        sides = [module(one) for module, one in zip(self.laterals, maps, strict=True)]
        found = self.merge[-1](sides[-1])
        for module, side in zip(reversed(self.merge[:-1]), reversed(sides[:-1]), strict=True):
            found = module(side + enlarged(found, side))
        return found  # type: ignore[no-any-return]

    def logits(self, raw: tuple[Tensor, Tensor]) -> Tensor:
        """The frame's logits (N, C)."""
        return raw[0]

    def losses(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross entropy (N,) as in Classify."""
        return self.classify.losses(logits, targets)

    def map_losses(self, raw: tuple[Tensor, Tensor], targets: Mapping[str, Tensor]) -> Tensor | None:
        """Loss of the heatmap (N,), 0 for pictures whose mask is unknown; None for a batch without masks."""
        if MASKED not in targets:
            return None
        found = map_losses(raw[1].float(), targets[MASKED], balance=self.options.balance)
        return self.options.map_share * found

    @property
    def adjusted(self) -> bool:
        """Whether the loss adjusts its logits by the classes' prior."""
        return self.classify.adjusted

    def judged(self, logits: Tensor) -> dict[str, Tensor]:
        """severity and kinds as in Classify, at this head's temperature."""
        return in_words(logits / self.temperature, good=self.classify.good)

    def answer(self, raw: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """severity, kinds, and heatmap (N, h, w): the probability, 0..1, that a cell is defective. It has no temperature."""
        return {**self.judged(raw[0]), "heatmap": raw[1].sigmoid()}


def lateral(channels: int, width: int) -> nn.Sequential:
    """A map of the backbone in the decoder's width, standardised: backbones differ in scale by orders of magnitude."""
    return nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))


def separable(width: int) -> nn.Sequential:
    """A depthwise 3 x 3 and a pointwise convolution (MobileNet)."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def enlarged(coarse: Tensor, fine: Tensor) -> Tensor:
    """A map at the size of a finer one."""
    size = (fine.shape[2], fine.shape[3])
    return coarse if coarse.shape[2:] == size else functional.interpolate(coarse, size=size, mode="nearest")

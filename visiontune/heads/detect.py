"""Where and what the defects are: boxes with kinds learned from boxes, and a verdict learned from them and the whole frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from visiontune.heads.box_loss import box_losses
from visiontune.heads.boxes import reaching, within
from visiontune.heads.classify import Classify, ClassifyNet, in_words
from visiontune.heads.decoder import enlarged
from visiontune.heads.head import BOXES, HeadNet, Labels, Pyramid
from visiontune.heads.levels import Levels, Tower, centres
from visiontune.heads.shortfall import shortfalls
from visiontune.heads.suppression import BOX_WORD, SCORE_WORD, Suppression
from visiontune.runtime.errors import BadRecipe

RARE = 0.01  # score that cells begin with: nearly all say no box, and would be most of the first losses
WIDE = 2.0  # cells from its centre to each edge of the box that a cell begins with
FURTHEST = 4.0  # log of the cells to an edge
FLOOR = 1e-3  # cells of score 1: below it a frame counts as one without boxes


@dataclass(frozen=True, kw_only=True)
class Detect:
    """Detection of defects by boxes: boxes with kinds, and severity and kinds of the frame that are learned from them.

    width      channels of the pyramid and of the towers.
    depth      convolutions of each tower.
    most       boxes that a frame can have.
    least      score that a box must be above, 0..1: those below are not given out.
    overlap    IoU, 0..1, above which the weaker of two boxes of one kind goes.
    box_share  weight of the boxes' loss beside the frame's, above 0. Chosen on val of NEU steel, as the width: 1.5, 2.5 and 4
               gave a mAP of .295, .304 and .314 with one seed, .271, .291 and .288 with another.
    smoothing, dropout, adjust  of the frame's verdict, as in Classify.

    Pictures whose boxes are not known teach the verdict alone. Boxes to be ignored are neither defect nor background.
    """

    task: ClassVar[str] = "detect"
    taps: ClassVar[str] = "pyramid"
    learns: ClassVar[str] = BOXES
    one_class: ClassVar[bool] = False
    places: ClassVar[bool] = False
    width: int = 96
    depth: int = 2
    most: int = 100
    least: float = 0.05
    overlap: float = 0.5
    box_share: float = 3.0
    smoothing: float = 0.0
    dropout: float = 0.0
    adjust: str = "auto"

    def __post_init__(self) -> None:
        for name, low, high in (("width", 8, 512), ("depth", 1, 8), ("most", 1, 1000)):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise BadRecipe(f"Detect.{name} must be a whole number from {low} to {high}, got {value!r}")
        for name in ("least", "overlap"):
            if not 0 < getattr(self, name) < 1:
                raise BadRecipe(f"Detect.{name} must lie between 0 and 1, got {getattr(self, name)!r}")
        if not self.box_share > 0:
            raise BadRecipe(f"Detect.box_share must be above 0, got {self.box_share!r}")
        self.frame()

    def frame(self) -> Classify:
        """The options of the frame's verdict. Raises BadRecipe."""
        try:
            return Classify(smoothing=self.smoothing, dropout=self.dropout, adjust=self.adjust)
        except BadRecipe as problem:
            raise BadRecipe(str(problem).replace("Classify.", "Detect.")) from None

    def build(self, features: Pyramid, labels: Labels) -> DetectNet:
        """Boxes and verdict on the maps of a pyramid. Raises BadRecipe where data have no kinds of boxes that are classes."""
        if not labels.kinds or not set(labels.kinds) <= set(labels.classes):
            raise BadRecipe(
                f"Detect: expected boxes whose kinds are classes of the data ({', '.join(labels.classes)}), found "
                f"{', '.join(labels.kinds) or 'no boxes'}; give the data boxes, or take the head Classify()"
            )
        return DetectNet(self, features, labels)


class DetectNet(HeadNet):
    """Features (pooled (N, F), maps from the finest on) -> (logits (N, C), score maps, distance maps), a map for each level.

    Score maps (N, K, h, w) hold log odds that a cell says a box of a kind, and says it well; distance maps (N, 4, h, w) how
    many pixels of the input its box reaches from the cell's centre to the left, up, to the right and down (FCOS, Tian et al.
    2019, arXiv 1904.01355; shared towers and targets as in RTMDet, arXiv 2212.07784). The verdict reads the pooled features,
    the highest score of each kind, how much there is of it, and the towers' features where scores are high.
    """

    def __init__(self, options: Detect, features: Pyramid, labels: Labels) -> None:
        super().__init__()
        self.options = options
        self.size = features.size
        self.named = tuple(labels.classes.index(kind) for kind in labels.kinds)
        width, kinds = options.width, len(labels.kinds)
        self.levels = Levels(features, width)
        self.strides = self.levels.strides
        self.of_scores = Tower(width, options.depth, len(self.strides))
        self.of_boxes = Tower(width, options.depth, len(self.strides))
        self.scores = nn.Conv2d(width, kinds, 1)
        self.edges = nn.Conv2d(width, 4, 1)
        self.scales = nn.Parameter(torch.ones(len(self.strides)))
        for layer, start in ((self.scores, math.log(RARE / (1 - RARE))), (self.edges, math.log(WIDE))):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.constant_(layer.bias, start)  # type: ignore[arg-type]
        self.classify = ClassifyNet(options.frame(), features.pooled + width + 2 * kinds, labels)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Frame logits (N, C), then the score maps, then the distance maps, from (pooled (N, F), map (N, C, h, w), ...)."""
        pooled, *maps = features
        scores, distances, seen = [], [], []
        for number, level in enumerate(self.levels(maps)):
            tower = self.of_scores(level, number)
            scores.append(self.scores(tower))
            seen.append(tower.flatten(2))
            reach = self.scales[number] * self.edges(self.of_boxes(level, number))
            # in float32 whatever training's precision: half of it rounds an edge by a whole pixel
            distances.append(reach.float().clamp(max=FURTHEST).exp() * self.strides[number])
        odds = flat(scores)  # (N, P, K)
        chances = odds.sigmoid()
        amount = chances.sum(dim=1)  # (N, K)
        hot = chances.amax(dim=2, keepdim=True)
        there = (torch.cat(seen, dim=2) @ hot)[:, :, 0] / (hot.sum(dim=1) + FLOOR)
        heard = torch.cat([pooled, there, odds.amax(dim=1), (amount + FLOOR).log()], dim=1)
        return (self.classify(heard), *scores, *distances)

    def logits(self, raw: tuple[Tensor, ...]) -> Tensor:
        """The frame's logits (N, C)."""
        return raw[0]

    def maps(self, raw: tuple[Tensor, ...]) -> tuple[list[Tensor], list[Tensor]]:
        """The score maps and the distance maps in a raw output."""
        count = len(self.strides)
        return list(raw[1 : 1 + count]), list(raw[1 + count :])

    def losses(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Cross entropy (N,) as in Classify."""
        return self.classify.losses(logits, targets)

    def map_losses(self, raw: tuple[Tensor, ...], targets: Mapping[str, Tensor]) -> Tensor | None:
        """Loss of the boxes (N,), 0 for pictures whose boxes are not known; None for a batch without boxes."""
        if BOXES not in targets:
            return None
        scores, distances = self.maps(raw)
        points, sides = self.centres(scores)
        found = box_losses(
            flat(scores).float(),
            flat(distances).float(),
            points,
            sides,
            targets[BOXES],
            targets["box_kinds"],
            targets["known"],
        )
        return self.options.box_share * found

    def lacks(self, raw: tuple[Tensor, ...], targets: Mapping[str, Tensor]) -> Tensor | None:
        """What the boxes that stay lack (N,), see heads.shortfall; None for a batch without boxes."""
        if BOXES not in targets:
            return None
        said = self.exported(raw)
        boxes, scores, kinds = self.suppression.left(said[BOX_WORD], said[SCORE_WORD])
        real = targets["box_kinds"]
        named = torch.tensor(self.named, device=real.device)[real.clamp(min=0)]
        wanted = torch.where(real >= 0, named, real)
        return shortfalls(boxes, scores, kinds, targets[BOXES], wanted, targets["known"])

    def centres(self, scores: list[Tensor]) -> tuple[Tensor, Tensor]:
        """x and y of the centres of all cells, (P, 2), and their sides (P,), in pixels of the input."""
        grids = [(one.shape[2], one.shape[3]) for one in scores]
        points, sides = centres(grids, self.strides)
        return points.to(scores[0].device), sides.to(scores[0].device)

    @property
    def adjusted(self) -> bool:
        """Whether the loss adjusts its logits by the classes' prior."""
        return self.classify.adjusted

    def judged(self, logits: Tensor) -> dict[str, Tensor]:
        """severity and kinds as in Classify, at this head's temperature."""
        return in_words(logits / self.temperature, good=self.classify.good)

    def answer(self, raw: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """severity and kinds; heatmap (N, h, w), 0..1; boxes (N, most, 4) in pixels of the input, their scores and kinds.

        A box's kind is its position among the classes. What a box lacks to `most` are rows of 0.
        """
        return self.suppression.in_words(self.exported(raw))

    @property
    def suppression(self) -> Suppression:
        """Which boxes stay, and their names."""
        options = self.options
        return Suppression(least=options.least, overlap=options.overlap, most=options.most, named=self.named)

    def exported(self, raw: Any) -> dict[str, Tensor]:
        """severity, kinds, heatmap; and what all cells say: `cell_boxes` (N, P, 4) in pixels, `cell_scores` (N, P, K), 0..1.

        The heatmap has the finest level's cells: the highest score of any kind at any level.
        """
        scores, distances = self.maps(raw)
        points, _ = self.centres(scores)
        hot = [one.amax(dim=1, keepdim=True) for one in scores]
        heat = torch.stack([enlarged(one, hot[0]) for one in hot]).amax(dim=0)
        return {
            **self.judged(raw[0]),
            "heatmap": heat[:, 0].sigmoid(),
            BOX_WORD: within(reaching(points, flat(distances)), self.size),
            SCORE_WORD: flat(scores).sigmoid(),
        }


def flat(maps: list[Tensor]) -> Tensor:
    """Maps (N, C, h, w) of all levels as (N, P, C): level by level, row by row."""
    return torch.cat([one.flatten(2) for one in maps], dim=2).transpose(1, 2)

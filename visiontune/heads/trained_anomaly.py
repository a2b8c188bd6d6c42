"""A memory of good parts that learns: from planted defects how far is too far, from real ones what defects look like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from visiontune.heads.anomaly import LEAST, Anomaly, ScoredNet
from visiontune.heads.classify import in_words
from visiontune.heads.feature_noise import noised
from visiontune.heads.head import MASKS, Labels, Pyramid
from visiontune.heads.map_loss import map_losses
from visiontune.heads.memory import DIMMED, LEVELLED, MemoryNet, highest, level, resized
from visiontune.heads.segment import MASKED
from visiontune.heads.taught import Taught, bounded, silent
from visiontune.runtime.errors import BadRecipe

PLANTED = 2  # in a mask: drawn by a policy
STEEP = 8.0  # log odds for a cell's distance e times another's
FAR = -6.0  # log odds of a cell whose distance is 1 in a frame whose level is 1
BEYOND = 5.0  # log odds from which on severity rises by their logarithm


@dataclass(frozen=True, kw_only=True)
class TrainedAnomaly:
    """Anomaly detection that trains: from good parts alone on planted defects, and from real ones as far as they are labelled.

    memory, width  of the memory of good parts that it stands on, as in Anomaly; finetune judges that memory beside it.
    hidden         channels of the discriminator.
    decoder        channels of the decoder that draws what real defects taught; without one in train it is not there.
    trust          how far what planted defects taught may move the log odds of a cell; n real ones may by trust times root n.
    noise          share of training steps' pictures that are seen again with noise on their features, 0..1.
    balance, map_share  of the heatmap's loss, as in Segment.

    A picture whose mask is known teaches map and frame, one with a label alone the frame, a good one that all of it is good.
    Take a policy that plants defects (policies.planted); without one only noise on features stands for them. Kinds are not told
    apart. Parts should lie about alike in the frame.
    """

    task: ClassVar[str] = "anomaly"
    taps: ClassVar[str] = "pyramid"
    learns: ClassVar[str] = MASKS
    one_class: ClassVar[bool] = True
    places: ClassVar[bool] = True
    memory: int = 1000
    width: int = 64
    hidden: int = 32
    decoder: int = 64
    trust: float = 0.5
    noise: float = 0.5
    balance: float = 0.5
    map_share: float = 1.0

    def __post_init__(self) -> None:
        self.remembering()
        for name in ("hidden", "decoder"):
            value = getattr(self, name)
            if type(value) is not int or not 4 <= value <= 512:
                raise BadRecipe(f"TrainedAnomaly.{name} must be a whole number from 4 to 512, got {value!r}")
        for name in ("noise", "balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadRecipe(f"TrainedAnomaly.{name} must lie in 0..1, got {getattr(self, name)!r}")
        for name in ("trust", "map_share"):
            if not getattr(self, name) > 0:
                raise BadRecipe(f"TrainedAnomaly.{name} must be above 0, got {getattr(self, name)!r}")

    def remembering(self) -> Anomaly:
        """The memory's options. Raises BadRecipe."""
        try:
            return Anomaly(memory=self.memory, width=self.width)
        except BadRecipe as problem:
            raise BadRecipe(str(problem).replace("Anomaly.", "TrainedAnomaly.")) from None

    def build(self, features: Pyramid, labels: Labels) -> TrainedAnomalyNet:
        """An empty memory on the maps of a pyramid, and a discriminator that so far says what the memory says."""
        return TrainedAnomalyNet(self, features, labels)


class TrainedAnomalyNet(ScoredNet):
    """Features (pooled, maps from the finest on) -> scores of the frame (N,) and of its cells (N, h, w): log odds of a defect.

    A cell begins with the logarithm of what the memory says of it: of its distance, less most of that of the frame's level. A
    discriminator on whitened features adds to it. What it says by planted defects and noise is bounded by `trust`: it would else
    become a detector of planted defects. Where train holds real ones, they and good parts alone teach a decoder, which draws, and
    an output for the frame; their bound grows with the number of real ones, and so much of them counts as `weight` says, 0..1,
    set on val. The cells that are given out have the memory's outlines; frames are judged without.
    """

    weight: Tensor

    def __init__(self, options: TrainedAnomaly, features: Pyramid, labels: Labels) -> None:
        super().__init__()
        self.options = options
        self.memory = MemoryNet(options.remembering(), features)
        depth, hidden = len(self.memory.white.projection), options.hidden
        self.register_buffer("weight", torch.ones(()))
        self.steep = nn.Parameter(torch.tensor(STEEP))
        self.far = nn.Parameter(torch.tensor(FAR))
        self.adaptor = nn.Conv2d(depth, hidden, 1)
        self.mix = nn.Sequential(
            nn.BatchNorm2d(hidden + 2),
            nn.ReLU(),
            nn.Conv2d(hidden + 2, hidden + 2, 3, padding=1, groups=hidden + 2, bias=False),
            nn.Conv2d(hidden + 2, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
        )
        self.suspicion = silent(nn.Conv2d(hidden, 1, 1))
        # a few real defects are easily learned by heart; how far they may move a score grows with their number
        bound = options.trust * math.sqrt(sum(labels.counts[1:]))
        self.taught = Taught(features, width=options.decoder, seen=hidden, bound=bound) if bound else None
        self.level = nn.Parameter(torch.zeros(()))

    def forward(self, features: tuple[Tensor, ...]) -> Any:
        """Scores of the frames (N,) and of their cells (N, h, w); in training Seen, for `loss`."""
        joined = self.memory.joined(features)
        white = self.memory.white(joined).transpose(1, 2).unflatten(2, joined.shape[2:])
        if not self.training:
            suspected, hidden, far = self.judge(white)
            return self.known(suspected, self.drawn(suspected, far, features), hidden, features)
        chosen = torch.rand(len(white), device=white.device) < self.options.noise
        again, where = noised(white[chosen])
        suspected, hidden, far = self.judge(torch.cat([white, again]))
        count = len(white)
        drawn = self.drawn(suspected[:count], far[:count], features)
        frames, cells = self.known(suspected[:count], drawn, hidden[:count], features)
        return Seen(
            frames,
            cells,
            self.score(suspected),
            drawn,
            self.dimmed(suspected[count:], far[count:]),
            chosen,
            where,
        )

    def judge(self, white: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of cells (N, h, w) by distance and what planted defects taught; hidden features; the cells' distances (N, h, w).

        White is (N, d, h, w).
        """
        rows = white.flatten(2).transpose(1, 2)
        apart = self.memory.apart(rows).clamp(min=LEAST).reshape(-1, *white.shape[2:])
        far, common = apart.log()[:, None], level(apart).log()[:, None]
        hidden = self.mix(torch.cat([self.adaptor(white), far, far - common], dim=1))
        moved = bounded(self.suspicion(hidden), self.options.trust)
        return (self.steep * (far - LEVELLED * common) + self.far + moved)[:, 0], hidden, apart

    def dimmed(self, cells: Tensor, apart: Tensor) -> Tensor:
        """Scores of cells (N, h, w) at distances (N, h, w), levelled as a heatmap's instead of as a frame's."""
        return cells + self.steep * (LEVELLED - DIMMED) * level(apart).log()

    def drawn(self, cells: Tensor, apart: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """Scores of cells (N, h, w) at distances (N, h, w), levelled and outlined as the memory's, on its finest map's grid."""
        outlined, cells = self.memory.with_outlines(apart, features), self.dimmed(cells, apart)
        grid = outlined.shape[1:]
        if cells.shape[1:] == grid:
            return cells
        wide = resized(apart[:, None].square(), grid)[:, 0].sqrt()
        return resized(cells[:, None], grid)[:, 0] + self.steep * (outlined / wide).log()

    def known(
        self, suspected: Tensor, drawn: Tensor, hidden: Tensor, features: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor]:
        """Scores of frames and of drawn cells with what real defects taught, as much of it as the weight says."""
        if self.taught is None:
            return self.score(suspected), drawn
        cells, frames = (self.weight * one for one in self.taught(features, hidden))
        there = resized(cells[:, None], suspected.shape[1:])[:, 0]
        return self.score(suspected + there) + frames, drawn + cells

    def weighed(self, features: tuple[Tensor, ...], weights: Sequence[float]) -> Tensor:
        """Scores of the frames with each of the weights, (N, w)."""
        own, found = self.weight.clone(), []
        for weight in weights:
            self.weight.fill_(weight)
            found.append(self(features)[0])
        self.weight.copy_(own)
        return torch.stack(found, dim=1)

    def score(self, cells: Tensor) -> Tensor:
        """Scores of frames (N,) by those of their highest cells."""
        return self.level + highest(cells.flatten(1))

    def odds(self, scores: Tensor) -> Tensor:
        """Log odds of a severity, of the same shape as the scores."""
        return self.slope * scores + self.shift

    def judged(self, logits: Tensor) -> dict[str, Tensor]:
        """severity, and kinds: good and defective."""
        odds = stretched((logits[:, 1] - logits[:, 0]) / self.temperature)
        return in_words(torch.stack([torch.zeros_like(odds), odds], dim=1), good=True)

    def answer(self, raw: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """severity, kinds, and heatmap (N, h, w): the severity of a frame whose score were the cell's."""
        return {**self.judged(self.logits(raw)), "heatmap": stretched(self.odds(raw[1])).sigmoid()}

    def map_losses(self, raw: Any, targets: Mapping[str, Tensor]) -> Tensor | None:
        """Loss of the heatmap (N,), 0 for pictures whose mask is unknown; None for a batch without masks."""
        return self.of_map(raw[1], marks(targets[MASKED])) if MASKED in targets else None

    def of_map(self, cells: Tensor, masks: Tensor) -> Tensor:
        """Loss of scores of cells (N, h, w) against masks (N, H, W), (N,)."""
        found = map_losses(cells.float(), masks, balance=self.options.balance)
        return self.options.map_share * found

    def loss(self, raw: Any, targets: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of a batch: of each picture by what may learn from it, and of good ones again with their noise."""
        if not isinstance(raw, Seen):
            return super().loss(raw, targets)
        masks, count = targets[MASKED], len(raw.frames)
        planted = (masks == PLANTED).flatten(1).any(dim=1)
        frames = torch.where(planted, raw.suspected_frames[:count], raw.frames)
        cells = torch.where(planted[:, None, None], raw.suspected_cells, raw.cells)
        losses = self.of_frames(frames, targets["label"]) + self.of_map(cells, marks(masks))
        good = (targets["label"] == 0)[raw.chosen]
        where = raw.where[good]
        again = self.of_frames(raw.suspected_frames[count:][good], where.flatten(1).any(dim=1).long())
        again = again + self.of_map(raw.noised_cells[good], where)
        return torch.cat([losses, again]).mean()

    def of_frames(self, scores: Tensor, labels: Tensor) -> Tensor:
        """Loss of frames by their scores (n,) and labels (n,), (n,)."""
        return functional.binary_cross_entropy_with_logits(scores, labels.to(scores.dtype), reduction="none")


class Seen(NamedTuple):
    """What a training step sees: scores of its pictures; those without what real defects taught, of the pictures and then of
    the `chosen` ones with noise on their features, whose cells have no outlines; and where the noise is."""

    frames: Tensor  # (N,)
    cells: Tensor  # (N, h, w)
    suspected_frames: Tensor  # (N + n,)
    suspected_cells: Tensor  # (N, h, w)
    noised_cells: Tensor  # (n, H, W)
    chosen: Tensor  # bool (N,), n of them
    where: Tensor  # uint8 (n, H, W)


def marks(masks: Tensor) -> Tensor:
    """Masks in which a planted defect is a defect."""
    return torch.where(masks == PLANTED, torch.ones_like(masks), masks)


def stretched(odds: Tensor) -> Tensor:
    """Log odds whose far ends grow by logarithm: a sigmoid in float32 is 1 from 17 on, and no two severities shall be one."""
    size = odds.abs()
    beyond = BEYOND + (size - BEYOND).clamp(min=0).log1p()
    return torch.where(size > BEYOND, beyond * odds.sign(), odds)

"""The protocol of a head: build a module on a backbone's features, say its loss, translate itself into the line's words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from visiontune.heads.suppression import Suppression

PYRAMID = "pyramid"  # of Head.taps
LABELS, MASKS, BOXES = "labels", "masks", "boxes"  # of Head.learns

Features = Tensor | tuple[Tensor, ...]  # pooled (N, F); or pooled and maps (N, C, h, w), the finest first
Raw = Tensor | tuple[Tensor, ...]  # what a head gives before it is put in the line's words


@dataclass(frozen=True, kw_only=True)
class Pyramid:
    """What a backbone gives a head that asks for `taps = "pyramid"`: `pooled` features, and maps from the finest to the coarsest.

    `channels` and `strides` (pixels of the input to a cell) are those of the maps; `size` (h, w) is the input's, in pixels.
    """

    pooled: int
    channels: tuple[int, ...]
    strides: tuple[int, ...]
    size: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a head may know of the data when it is built."""

    classes: tuple[str, ...]  # in the order of `kinds`; the good class first where there is one
    good: str | None
    counts: tuple[int, ...]  # pictures of each class in the train share
    kinds: tuple[str, ...] = ()  # of boxes, in the order of `box_kinds`


class HeadNet(nn.Module, ABC):
    """The trainable part of a head. `temperature` is fitted on val after training; 1 until then."""

    temperature: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.ones(()))

    @abstractmethod
    def forward(self, features: Any) -> Any:
        """Raw output from the backbone's features (see Head.taps)."""

    def logits(self, raw: Any) -> Tensor:
        """The frame's logits (N, C) in a raw output: what the temperature divides, `losses` and `judged` read."""
        found: Tensor = raw
        return found

    @abstractmethod
    def losses(self, logits: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Loss of each picture by the frame's logits, (N,)."""

    def map_losses(self, raw: Any, targets: Mapping[str, Tensor]) -> Tensor | None:
        """Loss of each picture by what the head says beside the frame's logits, (N,); None where it says no more."""
        return None

    def lacks(self, raw: Any, targets: Mapping[str, Tensor]) -> Tensor | None:
        """By what an epoch is judged on val beside the frame's loss, (N,): `map_losses`, where nothing tells it better."""
        return self.map_losses(raw, targets)

    def loss(self, raw: Any, targets: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of a batch, a scalar."""
        losses = self.losses(self.logits(raw), targets)
        more = self.map_losses(raw, targets)
        return losses.mean() if more is None else (losses + more).mean()

    def tempered(self, logits: Tensor, temperature: float) -> Tensor:
        """The frame's logits as if the temperature were `temperature`: what `losses` of a calibrated network reads."""
        return logits / temperature

    def risk(self, logits: Tensor) -> Tensor:
        """Log odds of a defect (N,), +inf for NaN: by them tiles of one frame are ranked, whatever the temperature."""
        odds = logits[:, 1:].logsumexp(dim=1) - logits[:, 0]
        return torch.where(odds.isnan(), torch.full_like(odds, torch.inf), odds)

    @property
    def adjusted(self) -> bool:
        """Whether the loss counts classes otherwise than the pictures do, so that calibration has to weigh them."""
        return False

    @abstractmethod
    def judged(self, logits: Tensor) -> dict[str, Tensor]:
        """severity (N,) and kinds (N, C) of frames with these logits (N, C)."""

    def answer(self, raw: Any) -> dict[str, Tensor]:
        """The line's words: severity (N,), kinds (N, C), and whatever optional ones the head speaks.

        This runs inside the exported graph, so it may use only what exports to plain ONNX operators.
        """
        return self.judged(self.logits(raw))

    def exported(self, raw: Any) -> dict[str, Tensor]:
        """What the exported network says: `answer`, or that of which tune.graph makes it in plain ONNX operators."""
        return self.answer(raw)

    @property
    def suppression(self) -> Suppression | None:
        """Which of the boxes that `exported` says stay; None for a head that says none."""
        return None

    @property
    def shows_cells(self) -> str:
        """Whether it makes a heatmap of the cells before pooling: "auto" where that costs little, "always" or "never"."""
        return "never"

    def heat(self, cells: Tensor, raw: Any) -> Tensor:
        """How hot each of P cells of a frame is, (N, P), 0..1, by the features (N, P, F) of frames that look like it all over.

        `raw` is the raw output for the N frames. As `answer`, it is exported.
        """
        raise NotImplementedError


class Head(Protocol):
    """A recipe's choice of head: a frozen dataclass of its options.

    `taps` says what it needs of the backbone: "pooled" features (N, F), or the "pyramid", (pooled, map, map, ...).
    `learns` says what it learns from: the "labels" alone, or also "masks" or "boxes". One that is `one_class` tells good from
    defective, knows no kinds, and can learn from good parts alone. `places` are known to one that must see the whole frame.
    """

    task: ClassVar[str]
    taps: ClassVar[str]
    learns: ClassVar[str]
    one_class: ClassVar[bool]
    places: ClassVar[bool]

    def build(self, features: Any, labels: Labels) -> HeadNet:
        """The module for a backbone that gives so many pooled `features` (int), or such a Pyramid."""
        ...

"""The protocol of a head: build a module on a backbone's features, say its loss, translate itself into the line's words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What a head may know of the data when it is built."""

    classes: tuple[str, ...]  # in the order of `kinds`; the good class first where there is one
    good: str | None
    counts: tuple[int, ...]  # pictures of each class in the train share


class HeadNet(nn.Module, ABC):
    """The trainable part of a head. `temperature` is fitted on val after training; 1 until then."""

    temperature: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("temperature", torch.ones(()))

    @abstractmethod
    def forward(self, features: Tensor) -> Tensor:
        """Raw output from the backbone's features; what `losses` and `answer` read."""

    @abstractmethod
    def losses(self, raw: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Loss of each picture, (N,)."""

    def loss(self, raw: Tensor, targets: Mapping[str, Tensor]) -> Tensor:
        """Mean loss of a batch, a scalar."""
        return self.losses(raw, targets).mean()

    def tempered(self, raw: Tensor, temperature: float) -> Tensor:
        """The raw output as if the temperature were `temperature`: what `losses` of a calibrated network reads."""
        return raw / temperature

    @abstractmethod
    def answer(self, raw: Tensor) -> dict[str, Tensor]:
        """The line's words: severity (N,), kinds (N, C), and whatever optional ones the head speaks.

        This runs inside the exported graph, so it may use only what exports to plain ONNX operators.
        """


class Head(Protocol):
    """A recipe's choice of head: a frozen dataclass of its options."""

    task: ClassVar[str]

    def build(self, features: int, labels: Labels) -> HeadNet:
        """The module for a backbone that gives `features` pooled features."""
        ...

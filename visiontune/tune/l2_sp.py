"""L2-SP: pulls open stages back to the weights they started from, so that what the backbone knew is not lost without need."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn


class StartingPoint:
    """The weights a backbone starts from, and the pull towards them (Li et al. 2018, arXiv 1802.01483).

    The pull is decoupled from the gradient as AdamW's weight decay is: after a step of learning rate lr every open weight w
    moves by -lr * strength * (w - start). Make it while the backbone is at its start.
    """

    def __init__(self, backbone: nn.Module, *, strength: float) -> None:
        self.strength = strength
        self.pairs = [(weight, weight.detach().clone()) for weight in backbone.parameters()]

    @torch.no_grad()
    def pull(self, lr: Mapping[int, float]) -> None:
        """After an optimizer step; `lr` gives the learning rate of that step by the id of the parameter."""
        for weight, start in self.pairs:
            if weight.requires_grad:
                weight.lerp_(start.to(weight.device), min(1.0, lr[id(weight)] * self.strength))

"""Averages of weights within a phase: an exponential moving one and a greedy soup, offered as candidates at its end.

The moving average's horizon is a tenth of the phase, so that it forgets where the phase began: at customary fixed decays a
short run would keep most of its starting weights. The soup adds the phase's best epochs one by one and keeps each only if
val improves (Wortsman et al. 2022, arXiv 2203.05482).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

State = dict[str, Tensor]
TOP = 3  # epochs that may enter the soup
HORIZON = 10.0  # the moving average looks back over 1/HORIZON of the phase


def moving(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Names and tensors that training moves: the open parameters, and the floating buffers of modules in training mode."""
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            yield name, parameter
    for prefix, inner in module.named_modules():
        if inner.training:
            for name, buffer in inner.named_buffers(prefix, recurse=False):
                if buffer.is_floating_point() and "running" in name:
                    yield name, buffer


class Averages:
    """The averages of one phase of a module. It holds the module's tensors: made anew when stages open or the module moves."""

    def __init__(self, module: nn.Module, steps: int) -> None:
        self.decay = max(0.0, 1.0 - HORIZON / max(steps, 1))
        self.live = dict(
            moving(module)
        )  # the tensors themselves: finding them anew at every step would take a while
        self.ema: State = {name: tensor.detach().clone() for name, tensor in self.live.items()}
        self.top: list[tuple[float, State]] = []

    def step(self) -> None:
        """After every optimizer step."""
        new = [tensor.detach() for tensor in self.live.values()]
        torch._foreach_lerp_([self.ema[name] for name in self.live], new, 1 - self.decay)

    def epoch(self, loss: float) -> None:
        """After every epoch, with its val loss: keeps the best few."""
        self.top.append((loss, {name: tensor.detach().clone() for name, tensor in self.live.items()}))
        self.top = sorted(self.top, key=lambda entry: entry[0])[:TOP]

    def choose(self, evaluate: Callable[[State], float]) -> tuple[str, State, float]:
        """The best of: the best epoch, the moving average, the greedy soup. `evaluate` gives the val loss of a state.

        An average is taken only if it beats the best epoch. Gives its name, its state and its val loss.
        """
        loss, state = self.top[0]
        name = "epoch"
        soup, members = state, 1
        for _, other in self.top[1:]:
            tried = {key: soup[key] + (other[key] - soup[key]) / (members + 1) for key in soup}
            found = evaluate(tried)
            if found < loss:
                name, state, loss, soup, members = "soup", tried, found, tried, members + 1
        found = evaluate(self.ema)
        if found < loss:
            name, state, loss = "average", self.ema, found
        return name, state, loss

    def state_dict(self) -> dict[str, Any]:
        """Everything, for a checkpoint."""
        return {"ema": self.ema, "top": [[loss, state] for loss, state in self.top]}

    def load_state_dict(self, stored: dict[str, Any]) -> None:
        """Takes up what `state_dict` gave, on the device where the module is."""
        devices = {name: tensor.device for name, tensor in self.ema.items()}

        def moved(state: State) -> State:
            return {name: tensor.to(devices[name]) for name, tensor in state.items()}

        self.ema = moved(stored["ema"])
        self.top = [(loss, moved(state)) for loss, state in stored["top"]]

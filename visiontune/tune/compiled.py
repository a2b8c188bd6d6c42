"""torch.compile for the part that trains, with plain names in every checkpoint, and an error where the compiler fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from visiontune.runtime.errors import BadRecipe, one_line
from visiontune.tune.net import Net

VARIANTS = 64  # that a piece of code may be compiled in; torch gives up silently beyond its own 8


class Compiled:
    """The outermost modules of the open stages and the head, each compiled; used in training steps alone.

    A compiled forward stands in for a module's own only while `working`, so the network keeps its modules and names, val is
    judged by the plain network that ships, and a closed part costs no compilation.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.ways: dict[nn.Module, Callable[..., Any]] = {}

    def open(self) -> None:
        """A phase begins: compiles what trains now. The work itself is done in the first step. Raises BadRecipe."""
        torch._dynamo.reset()
        try:
            self.ways = {module: torch.compile(module.forward) for module in trained(self.net)}
        except RuntimeError as problem:  # a system or Python version without it
            raise BadRecipe(failed(problem)) from problem

    @contextmanager
    def working(self) -> Iterator[None]:
        """For a forward pass: compiled modules answer. Raises BadRecipe where they cannot be compiled."""
        try:
            for module, way in self.ways.items():
                module.forward = way
            with torch._dynamo.config.patch(recompile_limit=VARIANTS):
                yield
        except torch._dynamo.exc.TorchDynamoException as problem:
            raise BadRecipe(failed(problem)) from problem
        finally:
            for module in self.ways:
                module.__dict__.pop("forward", None)


def trained(net: Net) -> list[nn.Module]:
    """The outermost modules of the open stages that run as a whole, and the head."""
    open_stages = net.stages[len(net.stages) - net.open :]
    inside = {name for stage in open_stages for name in stage.modules}
    modules = dict(net.backbone.named_modules())
    runs = {name for name in inside if not isinstance(modules[name], (nn.ModuleList, nn.ModuleDict))}
    outer = [name for name in modules if name in runs and not runs & set(enclosing(name))]
    return [*(modules[name] for name in outer if any(modules[name].children())), net.head]


def enclosing(name: str) -> list[str]:
    """Names of the modules that hold the one called `name`."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def failed(problem: BaseException) -> str:
    """One line for a compilation that did not work."""
    return (
        f"finetune(compile=True): expected torch.compile to work, it failed ({type(problem).__name__}: {one_line(problem)}); "
        "install a C++ compiler (for a GPU also triton), or leave compile out"
    )

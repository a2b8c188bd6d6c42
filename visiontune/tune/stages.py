"""Cuts any timm backbone into ordered stages, from the stem to the features: the units that open and close in fine-tuning.

timm's `group_matcher(coarse=True)` names the groups. Two mends make "stage" mean the same thing everywhere: the last group is
split by execution into what runs before and after pooling (its share is a third of some mobile nets and no head at all), and a
transformer's blocks are merged into four spans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import torch
from timm.models import group_parameters
from torch import nn

SPANS = 4  # stages that a backbone of equal blocks is merged into
MANY = 10  # groups above which they are blocks, not stages


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One unit of unfreezing. Names are relative to the backbone."""

    name: str
    parameters: tuple[str, ...]
    modules: tuple[
        str, ...
    ]  # every module that runs as part of this stage, leaves and containers wholly inside it
    size: int  # number of parameters


@dataclass(frozen=True)
class Execution:
    """In which order the modules of a network first ran, and from which on the picture was pooled."""

    order: dict[str, int]
    pooled_from: int


def stages(backbone: nn.Module, *, size: tuple[int, int] | None = None) -> tuple[Stage, ...]:
    """The stages of a timm model built with `num_classes=0`, in order of execution: total and disjoint.

    `size` is the (h, w) of the input in pixels; default is the model's own. One forward pass is run to see the order.
    """
    groups = grouped(backbone)
    run = traced(backbone, size or own_size(backbone))
    names = [list(group) for group in merged(split_last(groups, run))]
    owner = {name: index for index, group in enumerate(names) for name in group}
    modules = assigned(backbone, owner, run)
    parameters = dict(backbone.named_parameters())
    return tuple(
        Stage(
            name=stage_name(group, [m for m, stage in modules.items() if stage == index]),
            parameters=tuple(group),
            modules=tuple(m for m, stage in modules.items() if stage == index),
            size=sum(parameters[name].numel() for name in group),
        )
        for index, group in enumerate(names)
    )


def own_size(backbone: nn.Module) -> tuple[int, int]:
    """The (h, w) that the weights were made for, or 224 x 224."""
    config = getattr(backbone, "pretrained_cfg", None) or {}
    _, height, width = config.get("input_size") or (3, 224, 224)
    return height, width


def grouped(backbone: nn.Module) -> list[list[str]]:
    """Parameter names by timm's coarse groups; by top-level children where timm has no matcher."""
    matcher = getattr(backbone, "group_matcher", None)
    if matcher is not None:
        try:
            found = group_parameters(backbone, matcher(coarse=True))
            return [list(names) for _, names in sorted(found.items())]
        except AssertionError:  # RDNet refuses coarse groups
            pass
    children: dict[str, list[str]] = {}
    for name, _ in backbone.named_parameters():
        children.setdefault(name.split(".")[0], []).append(name)
    return list(children.values())


def traced(backbone: nn.Module, size: tuple[int, int]) -> Execution:
    """Runs one black frame and notes when each module first began, and when the spatial axes were gone."""
    order: dict[str, int] = {}
    pooled = []
    handles = []

    def began(name: str) -> None:
        order.setdefault(name, len(order))

    def ended(name: str, module: nn.Module, output: object) -> None:
        if isinstance(output, torch.Tensor) and not any(module.children()):
            flat = output.ndim == 2 or (output.ndim == 4 and output.shape[-2:] == (1, 1))
            # a squeeze-and-excite branch is flat for a moment; only what stays flat to the end counts
            pooled.append((name, flat))

    for name, module in backbone.named_modules():
        handles.append(module.register_forward_pre_hook(lambda _m, _i, name=name: began(name)))
        handles.append(module.register_forward_hook(lambda m, _i, out, name=name: ended(name, m, out)))
    was_training = backbone.training
    backbone.eval()
    device = next(backbone.parameters()).device
    try:
        with torch.no_grad():
            backbone(torch.zeros(1, 3, *size, device=device))
    finally:
        backbone.train(was_training)
        for handle in handles:
            handle.remove()
    first_flat = len(order)
    for name, flat in reversed(pooled):
        if not flat:
            break
        first_flat = min(first_flat, order[name])
    return Execution(order, first_flat)


def split_last(groups: list[list[str]], run: Execution) -> list[list[str]]:
    """Divides the last group into what runs before and after pooling, where it holds both."""
    *rest, last = groups
    after = [name for name in last if run.order.get(owner_module(name), -1) >= run.pooled_from]
    before = [name for name in last if name not in set(after)]
    return [*rest, *(part for part in (before, after) if part)]


def merged(groups: list[list[str]]) -> list[list[str]]:
    """Merges the equal blocks of a transformer into four spans; leaves true stages as they are.

    Blocks are recognised by being many. The stem stays a stage of its own, and so does what follows the blocks.
    """
    if len(groups) <= MANY:
        return groups
    lengths = Counter(len(group) for group in groups)
    usual = lengths.most_common(1)[0][0]
    blocks = [index for index, group in enumerate(groups) if len(group) >= usual]
    first, last = blocks[0], blocks[-1] + 1
    middle = groups[first:last]
    edges = [round(span * len(middle) / SPANS) for span in range(SPANS + 1)]
    spans = [[name for group in middle[start:end] for name in group] for start, end in pairwise(edges)]
    return [*groups[:first], *spans, *groups[last:]]


def assigned(backbone: nn.Module, owner: dict[str, int], run: Execution) -> dict[str, int]:
    """Stage of each module: that of all its parameters; a module without any follows what encloses it or ran before it."""
    stage: dict[str, int] = {}
    for name, module in backbone.named_modules():
        named = (f"{name}.{p}" if name else p for p, _ in module.named_parameters())
        inside = {owner[p] for p in named if p in owner}  # a shared parameter is owned under its first name
        if len(inside) == 1 and name:
            stage[name] = inside.pop()
    for name, module in backbone.named_modules():
        if name and name not in stage and not any(True for _ in module.parameters()):
            enclosing = [stage[parent] for parent in parents(name) if parent in stage]
            stage[name] = enclosing[0] if enclosing else stage_before(name, stage, run)
    return stage


def stage_before(name: str, stage: dict[str, int], run: Execution) -> int:
    """Stage of the module with parameters that ran last before `name`; the first stage if none did."""
    when = run.order.get(name, 0)
    earlier = [
        (run.order[other], index) for other, index in stage.items() if run.order.get(other, when) < when
    ]
    return max(earlier)[1] if earlier else 0


def parents(name: str) -> Iterable[str]:
    """Enclosing modules, the nearest first."""
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1))


def owner_module(parameter: str) -> str:
    """Name of the module that holds a parameter."""
    return parameter.rpartition(".")[0]


def stage_name(parameters: list[str], modules: list[str]) -> str:
    """A name a person recognises: the common path of the stage's parameters, or its first and last part."""
    paths = [name.split(".") for name in parameters]
    shared = [parts[0] for parts in zip(*paths, strict=False) if len(set(parts)) == 1]
    common = ".".join(shared)
    if common and common in modules:
        return common
    tops = list(dict.fromkeys(".".join(owner_module(name).split(".")[:2]) or name for name in parameters))
    return tops[0] if len(tops) == 1 else f"{tops[0]} .. {tops[-1]}"

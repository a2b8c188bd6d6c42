"""The maps that a backbone makes on its way: which there are, by what timm says of them, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from visiontune.heads import Features
from visiontune.runtime.errors import BadRecipe

FINEST = 4  # pixels to a cell; maps at 2 cost as much as all others together
TOKENS = 16  # class and register tokens that may stand before the cells
LEVELS = 3  # maps that are taken where all have one stride, as in a plain transformer


@dataclass(frozen=True, kw_only=True)
class Tap:
    """A map of the backbone: the output of `module`, `channels` deep, `stride` pixels of the input to a cell.

    `grid` (h, w) is its size in cells. `form` says how the module gives it: "channels first" (N, C, h, w), "channels last"
    (N, h, w, C), or "tokens" (N, extra + h w, C).
    """

    module: str
    channels: int
    stride: int
    grid: tuple[int, int]
    form: str

    def read(self, output: Tensor) -> Tensor:
        """The map (N, C, h, w) in what the module gave."""
        if self.form == "channels first":
            return output
        if self.form == "channels last":
            return output.permute(0, 3, 1, 2)
        height, width = (
            self.grid
        )  # and no len() of the tensor: it would fix the number of frames in an exported graph
        cells = output[:, output.shape[1] - height * width :]
        return cells.reshape(-1, height, width, self.channels).permute(0, 3, 1, 2)


def taps(backbone: nn.Module, size: tuple[int, int]) -> tuple[Tap, ...]:
    """The maps of a timm model for a head, from the finest (stride 4, or the finest there is) to the coarsest.

    Modules, channels and strides are timm's `feature_info`; one black frame of `size` (h, w) is run to see that they are as it
    says. Of several maps with one stride the last is taken; where all have the same, three at even distances. Raises
    BadRecipe where timm names no maps, or they are not what it says.
    """
    info = getattr(backbone, "feature_info", None)
    listed: list[dict[str, Any]] = list(getattr(info, "info", info) or ())
    if not listed:
        raise BadRecipe(
            f"backbone {type(backbone).__name__}: expected feature maps that timm names (feature_info), found none; take "
            "another backbone for this head"
        )
    found = [seen_as(entry, backbone, size) for entry in chosen(listed)]
    return tuple(found)


def chosen(listed: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of timm's list that a head reads, from the finest to the coarsest."""
    strides = sorted({entry["reduction"] for entry in listed})
    if len(strides) == 1:
        count = min(LEVELS, len(listed))
        return [listed[(at + 1) * len(listed) // count - 1] for at in range(count)]
    kept = [stride for stride in strides if stride >= FINEST] or strides
    last = {entry["reduction"]: entry for entry in listed}
    return [last[stride] for stride in kept]


def seen_as(entry: dict[str, Any], backbone: nn.Module, size: tuple[int, int]) -> Tap:
    """The tap of an entry, after a black frame was run."""
    name, channels, stride = entry["module"], int(entry["num_chs"]), int(entry["reduction"])
    training = {module for module in backbone.modules() if module.training}
    backbone.eval()
    try:
        with torch.no_grad(), gathering(backbone, [name]) as outputs:
            backbone(torch.zeros(1, 3, *size, device=next(backbone.parameters()).device))
    except (AttributeError, KeyError):
        outputs = {}
    for module in training:
        module.training = True
    output = outputs.get(name)
    shape = () if output is None else tuple(output.shape[1:])
    grids = [tuple(side // stride for side in size), tuple(-(-side // stride) for side in size)]
    for height, width in grids:
        form = None
        if shape == (channels, height, width):
            form = "channels first"
        elif shape == (height, width, channels):
            form = "channels last"
        elif len(shape) == 2 and shape[1] == channels and 0 <= shape[0] - height * width <= TOKENS:
            form = "tokens"
        if form is not None:
            return Tap(module=name, channels=channels, stride=stride, grid=(height, width), form=form)
    raise BadRecipe(
        f"backbone {type(backbone).__name__}: expected {channels} channels at stride {stride} from {name}, as timm says, "
        f"found {shape or 'no output'}; take another backbone for this head"
    )


def tapped(backbone: nn.Module, pictures: Tensor, wanted: Sequence[Tap]) -> Features:
    """Pooled features (N, F) of normalised pictures (N, 3, h, w); with taps a tuple (pooled, map (N, C, h, w), ...)."""
    if not wanted:
        pooled: Tensor = backbone(pictures)
        return pooled
    with gathering(backbone, [tap.module for tap in wanted]) as found:
        pooled = backbone(pictures)
    return (pooled, *(tap.read(found[tap.module]) for tap in wanted))


class Enough(Exception):
    """The last map that was wanted is there."""


def mapped(backbone: nn.Module, pictures: Tensor, wanted: Sequence[Tap]) -> tuple[Tensor, ...]:
    """As `tapped`, but the backbone stops where the last map is made: in place of the pooled features stands (N, 0)."""

    def stop(*_: Any) -> None:
        raise Enough

    with gathering(backbone, [tap.module for tap in wanted]) as found:
        # after those that keep: hooks run in the order in which they came
        handle = backbone.get_submodule(wanted[-1].module).register_forward_hook(stop)
        try:
            backbone(pictures)
        except Enough:
            pass
        finally:
            handle.remove()
    return (pictures.new_zeros(len(pictures), 0), *(tap.read(found[tap.module]) for tap in wanted))


@contextmanager
def gathering(backbone: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """What the named modules of the backbone give while the block runs."""
    found: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _input: Any, output: Any) -> None:
            found[name] = output

        return hook

    handles = [backbone.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()

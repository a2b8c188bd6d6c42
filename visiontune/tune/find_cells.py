"""Finds out whether a backbone's verdict can be asked of single cells of its last map."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from visiontune.heads import HeadNet
from visiontune.runtime.errors import BadRecipe
from visiontune.tune.cells import Cells
from visiontune.tune.prefix import close

MOST_WORK = 0.03  # of the backbone's multiplications, that a heatmap may add by default


class Blind(Exception):
    """A backbone's verdict cannot be asked of one cell; the message says why."""


def wanted_cells(
    backbone: nn.Module, head: HeadNet, size: tuple[int, int], *, classes: int
) -> tuple[Cells | None, str]:
    """The cells that a head makes its heatmap of, or None and why there is none; "" where the head never wanted one.

    Raises BadRecipe where the head says "always" and the backbone does not allow it.
    """
    if head.shows_cells == "never":
        return None, ""
    try:
        cells = found_cells(backbone, size, classes=classes)
    except Blind as problem:
        why = f"backbone {type(backbone).__name__} gives no heatmap: {problem}"
        if head.shows_cells == "always":
            raise BadRecipe(f"{why}; take another backbone, or leave head.heatmap at auto") from problem
        return None, why
    if head.shows_cells == "auto" and cells.work > MOST_WORK:
        return None, (
            f"no heatmap: it would add {100 * cells.work:.1f} % to the multiplications, more than {100 * MOST_WORK:.0f} %; "
            "head.heatmap=always makes it all the same"
        )
    return cells, ""


def found_cells(backbone: Any, size: tuple[int, int], *, classes: int) -> Cells:
    """The cells of a timm model for pictures of `size` (h, w), after a look at whether they can be asked.

    A frame's features must come from its last map alone, and those of a map whose cells are all alike must be the
    features of that cell. So class tokens and attention that weighs places are out. Raises Blind.
    """
    training = {module for module in backbone.modules() if module.training}
    backbone.eval()
    device = next(backbone.parameters()).device
    pictures = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)).to(device) - 0.5
    try:
        with torch.no_grad():
            return looked_at(backbone, pictures, classes)
    except Blind:
        raise
    except Exception as problem:  # whatever a model's own forward raises on one cell
        raise Blind(f"its pooling does not take a single cell ({type(problem).__name__})") from problem
    finally:
        for module in training:
            module.training = True


def looked_at(backbone: Any, pictures: Tensor, classes: int) -> Cells:
    """The cells of a backbone in eval mode. Raises Blind, or what the backbone raises."""
    if not (hasattr(backbone, "forward_features") and hasattr(backbone, "forward_head")):
        raise Blind("it does not divide into features and head, as timm's models do")
    with FlopCounterMode(display=False) as counted:
        features = backbone(pictures)
    last = backbone.forward_features(pictures)
    if not isinstance(last, Tensor) or not same(backbone.forward_head(last), features):
        raise Blind("its features do not come from one last map")
    size = (pictures.shape[2], pictures.shape[3])
    fitting = [cells for cells in forms(backbone, last, size) if alike(backbone, cells, last)]
    if not fitting:
        raise Blind(
            "its verdict is not read from the cells of its last map alike (but from a class token, by attention or place)"
        )
    cells = fitting[0]
    if cells.grid == (1, 1):
        raise Blind("its last map is a single cell")
    if cells.form == "channels first" and same(last.mean((2, 3)), features):
        cells = replace(cells, pooled=True)
    with FlopCounterMode(display=False) as added:
        found = cells.features(backbone, last)
    work = added.get_total_flops() + 2 * found.numel() * classes
    return replace(cells, work=work / max(1, counted.get_total_flops()))


def forms(backbone: nn.Module, last: Tensor, size: tuple[int, int]) -> list[Cells]:
    """How a last map may be meant."""
    if last.ndim == 4:
        if getattr(backbone, "output_fmt", None) == "NHWC":
            return [Cells(grid=(last.shape[1], last.shape[2]), form="channels last")]
        return [Cells(grid=(last.shape[2], last.shape[3]), form="channels first")]
    if last.ndim != 3:
        return []
    extra = int(getattr(backbone, "num_prefix_tokens", 0))
    count = last.shape[1] - extra
    high = max(1, round((count * size[0] / size[1]) ** 0.5))
    return [Cells(grid=(high, count // high), form="tokens", extra=extra)] if count % high == 0 else []


def alike(backbone: Any, cells: Cells, last: Tensor) -> bool:
    """Whether maps whose cells are all alike have the features of that cell: asked of the first and of the last cell."""
    rows = cells.features(backbone, last[:1])
    for at in (0, -1):
        if cells.form == "tokens":
            cell = last[:1, cells.extra :][:, at, None]
            repeated = torch.cat([last[:1, : cells.extra], cell.expand_as(last[:1, cells.extra :])], 1)
        elif cells.form == "channels last":
            repeated = last[:1, at, at][:, None, None].expand_as(last[:1]).contiguous()
        else:
            repeated = last[:1, :, at, at][:, :, None, None].expand_as(last[:1]).contiguous()
        if not same(backbone.forward_head(repeated), rows[[at]]):
            return False
    return True


def same(here: Tensor, there: Tensor) -> bool:
    """One shape, and equal up to rounding."""
    return here.shape == there.shape and close(here, there)

"""A frozen backbone that computes the same with fewer passes: its batch normalisations are part of its convolutions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

Reader = Callable[[nn.Module, Tensor], Sequence[Tensor]]  # what is read of a backbone for pictures
CLOSE = 1e-3  # relative difference of what it gives that counts as rounding


@torch.no_grad()
def fused(backbone: nn.Module, pictures: Tensor, read: Reader) -> nn.Module:
    """A copy of the backbone, in evaluation mode, with every batch normalisation that follows a convolution folded into it.

    Which follows which is seen on `pictures`, normalised (N, 3, h, w); modules keep their names. Where anything of what `read`
    reads of a backbone for them is not the same up to rounding, because a convolution's output goes elsewhere too or is itself
    read, the backbone itself comes back.
    """
    backbone.eval()
    expected = read(backbone, pictures)
    twin = copy.deepcopy(backbone)
    for conv, norm in followed(twin, pictures):
        weight, bias = fuse_conv_bn_weights(
            conv.weight,
            conv.bias,
            norm.running_mean,  # type: ignore[arg-type]
            norm.running_var,  # type: ignore[arg-type]
            norm.eps,
            norm.weight,
            norm.bias,
        )
        conv.weight, conv.bias = weight, bias
        put(twin, norm, norm.act if isinstance(norm, BatchNormAct2d) else nn.Identity())
    pairs = zip(read(twin, pictures), expected, strict=True)
    return twin if all(alike(found, one) for found, one in pairs) else backbone


def alike(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors of one shape are the same up to rounding."""
    if not expected.numel():
        return True
    return torch.allclose(found, expected, rtol=CLOSE, atol=CLOSE * float(expected.abs().max()))


def followed(backbone: nn.Module, pictures: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions whose output a batch normalisation takes as it is, with it; each of both met once."""
    made: dict[int, tuple[Tensor, nn.Conv2d]] = {}  # the tensors are kept: a number may come again
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    met: list[nn.Module] = []

    def gives(module: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        made[id(output)] = output, module
        met.append(module)

    def takes(module: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        met.append(module)
        if id(given[0]) in made:
            pairs.append((made[id(given[0])][1], module))

    handles = [
        module.register_forward_hook(gives)
        if isinstance(module, nn.Conv2d)
        else module.register_forward_pre_hook(takes)
        for module in backbone.modules()
        if isinstance(module, nn.Conv2d)
        or (type(module) in (nn.BatchNorm2d, BatchNormAct2d) and tracked(module))
    ]
    backbone(pictures)
    for handle in handles:
        handle.remove()
    return [pair for pair in pairs if all(met.count(module) == 1 for module in pair)]


def tracked(norm: nn.Module) -> bool:
    """Whether a batch normalisation has statistics of its own."""
    return isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None


def put(whole: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Puts a module in the place of another."""
    name = next(name for name, module in whole.named_modules() if module is old)
    parent, _, word = name.rpartition(".")
    setattr(whole.get_submodule(parent), word, new)

"""The maps of a backbone as one: a feature pyramid of one width, with depthwise convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional


class Decoder(nn.Module):
    """Maps of a backbone (N, C, h, w), from the finest to the coarsest -> one (N, width, h, w) of the finest's size.

    A feature pyramid (Lin et al. 2017, arXiv 1612.03144), summed from the coarsest map to the finest.
    """

    def __init__(self, channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.laterals = nn.ModuleList(lateral(count, width) for count in channels)
        self.merge = nn.ModuleList(separable(width) for _ in channels)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """The maps as one."""
        sides = [module(one) for module, one in zip(self.laterals, maps, strict=True)]
        found = self.merge[-1](sides[-1])
        for module, side in zip(reversed(self.merge[:-1]), reversed(sides[:-1]), strict=True):
            found = module(side + enlarged(found, side))
        return found  # type: ignore[no-any-return]


def lateral(channels: int, width: int) -> nn.Sequential:
    """A map of the backbone in the decoder's width, standardised: backbones differ in scale by orders of magnitude."""
    return nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))


def separable(width: int) -> nn.Sequential:
    """A depthwise 3 x 3 and a pointwise convolution (MobileNet)."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )


def enlarged(coarse: Tensor, fine: Tensor) -> Tensor:
    """A map at the size of a finer one."""
    size = (fine.shape[2], fine.shape[3])
    return coarse if coarse.shape[2:] == size else functional.interpolate(coarse, size=size, mode="nearest")

"""A memory of what cells of good parts look like, and the distance of a frame's cells to the nearest of them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from visiontune.heads.anomaly import Anomaly, ScoredNet
from visiontune.heads.coreset import coreset
from visiontune.heads.head import Pyramid

FINEST = 8  # pixels of the input to a cell; finer ones cost four times as much
SEEN = 20_000  # cells of good parts, alike many of each picture, of which the memory is chosen
SHARED = 0.3  # weight of the mean covariance over the frame in that of each place
RIDGE = 0.01  # of a channel's variance, added to it: what never varied must not count without end
LARGEST = 8_000_000  # numbers for all places together, 32 MB; beyond it only variances are kept
PEAK = 200  # the frame's score is the mean of its highest cells, one in so many
CHUNK = 64  # cells or places that the fit works on at once: its memory is mostly that of the backbone
NEAR = 256  # cells compared with the memory at once: their distances stay in a core's cache, which is four times as fast


class MemoryNet(ScoredNet):
    """Features (pooled, maps from the finest on) -> scores of the frame (N,) and of its cells (N, h, w), about 1 for good ones.

    The maps are brought to the grid of the finest one with at least 8 pixels a cell, and whitened at each place by what good
    parts show there: edges of the part, its holes and the lamp's light are good where they always are.
    """

    centre: Tensor
    projection: Tensor
    place: Tensor
    whitening: Tensor
    bank: Tensor
    squares: Tensor

    def __init__(self, options: Anomaly, features: Pyramid) -> None:
        super().__init__()
        self.options = options
        self.chosen = levels(features.strides)
        strides = [features.strides[level] for level in self.chosen]
        self.finest = next((at for at, stride in enumerate(strides) if stride >= FINEST), len(strides) - 1)
        channels = sum(features.channels[level] for level in self.chosen)
        depth = min(options.width, channels)
        self.register_buffer("centre", torch.zeros(channels, 1, 1))
        self.register_buffer("projection", torch.eye(channels)[:depth])  # (d, C)
        self.register_buffer("place", torch.zeros(1, depth))  # (h w, d)
        self.register_buffer("whitening", torch.ones(1, depth))  # (h w, d, d), or its diagonal (h w, d)
        self.register_buffer("bank", torch.zeros(1, depth))  # (m, d)
        self.register_buffer("squares", torch.zeros(1))  # (m,)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Scores of the frames (N,) and of their cells (N, h, w)."""
        vectors = self.vectors(features)
        cells = self.apart(self.white(vectors))
        return highest(cells), cells.reshape(-1, *vectors.shape[2:])

    def white(self, vectors: Tensor) -> Tensor:
        """Vectors (N, d, h, w), each whitened by what is good at its place, (N, h w, d)."""
        rows = vectors.flatten(2).transpose(1, 2) - self.place
        if self.whitening.ndim == 3:
            return (rows.transpose(0, 1) @ self.whitening).transpose(0, 1)
        return rows * self.whitening

    def apart(self, rows: Tensor) -> Tensor:
        """Distance of whitened vectors (N, h w, d) to the nearest that is kept, (N, h w), about 1 for good ones."""
        if torch.compiler.is_exporting():
            nearest = (self.squares - 2 * (rows @ self.bank.T)).amin(dim=2)
        else:
            some = torch.split(rows.reshape(-1, rows.shape[2]), NEAR)
            found = [torch.addmm(self.squares, one, self.bank.T, alpha=-2).amin(dim=1) for one in some]
            nearest = torch.cat(found).reshape(rows.shape[:2])
        apart = (rows.square().sum(dim=2) + nearest).clamp(min=0) / self.bank.shape[1]
        return apart.sqrt()

    def joined(self, features: tuple[Tensor, ...]) -> Tensor:
        """The chosen maps on one grid, (N, C, h, w)."""
        some = [features[1 + level] for level in self.chosen]
        grid = some[self.finest].shape[2:]
        return torch.cat([one if one.shape[2:] == grid else resized(one, grid) for one in some], dim=1)

    def vectors(self, features: tuple[Tensor, ...]) -> Tensor:
        """A vector for each cell, (N, d, h, w)."""
        return functional.conv2d(self.joined(features) - self.centre, self.projection[:, :, None, None])

    @torch.no_grad()
    def memorise(self, batches: Iterable[tuple[Tensor, ...]], *, pictures: int, seed: int) -> None:
        """Learns good parts from what the backbone gives for them, batch by batch, `pictures` in all.

        Its own memory stays small however many there are: sums for each place, and a fixed number of cells drawn at random.
        """
        draw = torch.Generator().manual_seed(seed)
        whole = False
        total = squares = about = torch.zeros((), dtype=torch.float64)
        cells, places = [], []
        for first, features in enumerate(batches):
            if not first:
                self.scale_to(self.joined(features), draw)
            vectors = self.vectors(features).flatten(2).permute(2, 0, 1)  # (h w, N, d)
            # about the first batch's mean: where parts lie alike, spreads are small beside means, and squares would drown them
            about = about if first else vectors.mean(dim=1, keepdim=True)
            away = vectors - about
            whole = len(vectors) * vectors.shape[2] ** 2 <= LARGEST
            sums = away.sum(dim=1)
            moments = away.transpose(1, 2) @ away if whole else away.square().sum(dim=1)
            total = total.add_(sums) if first else sums.double()
            squares = squares.add_(moments) if first else moments.double()
            each = min(len(vectors), -(-SEEN // pictures))
            at = torch.rand(vectors.shape[1], len(vectors), generator=draw).topk(each, dim=1).indices
            rows = torch.arange(len(at))[:, None].expand_as(at)
            cells.append(vectors[at.flatten(), rows.flatten()])
            places.append(at.flatten())
        mean = total / pictures
        spread = squares / pictures - (mean[:, :, None] * mean[:, None] if whole else mean.square())
        self.place, self.whitening = (mean + about[:, 0]).float(), whitening(spread)
        known = self.whitened(torch.cat(cells), torch.cat(places))
        known = known[torch.randperm(len(known), generator=draw)[:SEEN]]
        self.bank = known[coreset(known, self.options.memory)].contiguous()
        self.squares = self.bank.square().sum(dim=1)

    def scale_to(self, joined: Tensor, draw: torch.Generator) -> None:
        """Sets scale and projection of the channels by some good pictures: those of a backbone differ by orders of magnitude.

        The projection is random and keeps lengths on average (Johnson and Lindenstrauss 1984).
        """
        spread, self.centre = torch.std_mean(joined, dim=(0, 2, 3))
        self.centre = self.centre[:, None, None]
        depth, channels = self.projection.shape
        mixed = torch.eye(channels)
        if depth < channels:
            mixed = torch.randn(depth, channels, generator=draw) / depth**0.5
        self.projection = mixed / spread.clamp(min=1e-3 * float(spread.mean()) + 1e-12)

    def whitened(self, cells: Tensor, places: Tensor) -> Tensor:
        """Vectors (n, d) as they are compared, each at its place (n,)."""
        away = cells - self.place[places]
        if self.whitening.ndim == 2:
            return away * self.whitening[places]
        chunks = zip(torch.split(away, CHUNK), torch.split(places, CHUNK), strict=True)
        return torch.cat([(some[:, None] @ self.whitening[at])[:, 0] for some, at in chunks])


def highest(cells: Tensor) -> Tensor:
    """Mean of the highest cells (N,), one in PEAK, of all cells (N, n)."""
    return cells.topk(max(1, round(cells.shape[1] / PEAK)), dim=1).values.mean(dim=1)


def whitening(spread: Tensor) -> Tensor:
    """Inverse roots, float32, of covariances (n, d, d) of n places, or of variances (n, d), each drawn towards their mean."""
    mean = spread.mean(dim=0)
    if spread.ndim == 2:
        shared = (1 - SHARED) * spread.clamp(min=0) + (SHARED + RIDGE) * mean.clamp(min=1e-12)
        return shared.rsqrt().float()
    common = SHARED * mean + RIDGE * torch.diag(mean.diagonal().clamp(min=1e-12))
    roots = []
    for some in torch.split(spread, CHUNK):
        values, directions = torch.linalg.eigh((1 - SHARED) * some + common)
        scaled = directions * values.clamp(min=1e-12).rsqrt()[:, None]
        roots.append((scaled @ directions.transpose(1, 2)).float())
    return torch.cat(roots)


def levels(strides: tuple[int, ...]) -> tuple[int, ...]:
    """The maps that are used, by their strides: all but the coarsest of a pyramid of four; all where there are fewer."""
    return tuple(range(len(strides)))[: len(strides) if len(set(strides)) < 4 else -1]


def resized(one: Tensor, grid: torch.Size) -> Tensor:
    """A map on another grid; where it was twice as fine, the mean of four cells."""
    size = (int(grid[0]), int(grid[1]))
    return functional.interpolate(one, size=size, mode="bilinear", align_corners=False)

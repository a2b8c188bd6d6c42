"""A memory of what cells of good parts look like, and the distance of a frame's cells to the nearest of them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from visiontune.heads.anomaly import LEAST, Anomaly, ScoredNet
from visiontune.heads.coreset import coreset
from visiontune.heads.head import Pyramid
from visiontune.heads.moments import Moments

FINEST = 8  # pixels of the input to a cell; finer ones cost four times as much
LEVELLED = 0.5  # power of a frame's level that divides its distances; chosen on four vals of magnetic tiles
OUTLINE = 0.15  # share of the finest map in the squared distance of a heatmap's cell; chosen on val of magnetic tiles
SEEN = 20_000  # cells of good parts, alike many of each picture, of which the memory is chosen
SHARED = 0.3  # weight of the mean covariance over the frame in that of each place
RIDGE = 0.01  # of a channel's variance, added to it
LEAST_SPREAD = 0.01  # variance of a channel at least, of the channels' mean: what never varied must not count without end
LARGEST = 8_000_000  # numbers for all places together, 32 MB; beyond it only variances are kept
PEAK = 200  # the frame's score is the mean of its highest cells, one in so many
CHUNK = 64  # cells or places that the fit works on at once: its memory is mostly that of the backbone
NEAR = 256  # cells compared with the memory at once: their distances stay in a core's cache, which is four times as fast


class MemoryNet(ScoredNet):
    """Features (pooled, maps from the finest on) -> scores of the frame (N,) and of its cells (N, h, w), about 1 for good ones.

    The maps are brought to the grid of the finest one with at least 8 pixels a cell, and whitened at each place by what good
    parts show there: edges of the part, its holes and the lamp's light are good where they always are. Light and texture that
    differ all over a frame count by half: distances are divided by the root of the frame's level, their median, which a large
    defect hardly raises. The cells that are given out have outlines where the backbone has a finer map: a share of each is how
    far that map is from good at its place, channel by channel (as in PaDiM, with variances alone).
    """

    outline_place: Tensor
    outline_scale: Tensor
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
        self.outlined = strides[0] < strides[self.finest]
        channels = sum(features.channels[level] for level in self.chosen)
        depth = min(options.width, channels)
        self.register_buffer("centre", torch.zeros(channels, 1, 1))
        self.register_buffer("projection", torch.eye(channels)[:depth])  # (d, C)
        self.register_buffer("place", torch.zeros(1, depth))  # (h w, d)
        self.register_buffer("whitening", torch.ones(1, depth))  # (h w, d, d), or its diagonal (h w, d)
        self.register_buffer("bank", torch.zeros(1, depth))  # (m, d)
        self.register_buffer("squares", torch.zeros(1))  # (m,)
        for word in ("outline_place", "outline_scale"):
            self.register_buffer(word, torch.ones(features.channels[self.chosen[0]], 1, 1))  # (C, h, w)

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Scores of the frames (N,) and of their cells (N, h, w)."""
        cells = self.cells(features)
        dimmed = level(cells) ** LEVELLED
        return highest((cells / dimmed).flatten(1)), self.with_outlines(cells, features) / dimmed

    def cells(self, features: tuple[Tensor, ...]) -> Tensor:
        """Distances of the cells (N, h, w) to the memory."""
        vectors = self.vectors(features)
        return self.apart(self.white(vectors)).reshape(-1, *vectors.shape[2:])

    def with_outlines(self, cells: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """Distances of cells (N, h, w) on the grid of the finest map, a share of each by what the map shows there."""
        if not self.outlined:
            return cells
        away = (self.finer(features) - self.outline_place) * self.outline_scale
        outline = away.square().mean(dim=1, keepdim=True)
        wide = resized(cells[:, None].square(), outline.shape[2:])
        return ((1 - OUTLINE) * wide + OUTLINE * outline)[:, 0].sqrt()

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

    def finer(self, features: tuple[Tensor, ...]) -> Tensor:
        """The finest map, (N, C, h, w)."""
        return features[1 + self.chosen[0]]

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
        moments, outlines = Moments(whole=False), Moments(whole=False)
        cells, places = [], []
        for first, features in enumerate(batches):
            if not first:
                self.scale_to(self.joined(features), draw)
            vectors = self.vectors(features).flatten(2).permute(2, 0, 1)  # (h w, N, d)
            if not first:
                moments.whole = len(vectors) * vectors.shape[2] ** 2 <= LARGEST
            moments.add(vectors)
            if self.outlined:
                outlines.add(self.finer(features).flatten(2).permute(2, 0, 1))
            each = min(len(vectors), -(-SEEN // pictures))
            at = torch.rand(vectors.shape[1], len(vectors), generator=draw).topk(each, dim=1).indices
            rows = torch.arange(len(at))[:, None].expand_as(at)
            cells.append(vectors[at.flatten(), rows.flatten()])
            places.append(at.flatten())
        self.place, self.whitening = moments.mean, whitening(moments.spread)
        if self.outlined:
            self.outline_by(outlines, self.finer(features).shape[1:])
        known = self.whitened(torch.cat(cells), torch.cat(places))
        known = known[torch.randperm(len(known), generator=draw)[:SEEN]]
        self.bank = known[coreset(known, self.options.memory)].contiguous()
        self.squares = self.bank.square().sum(dim=1)

    def outline_by(self, moments: Moments, grid: torch.Size) -> None:
        """Sets what is good at each place of the finest map (C, h, w), and how far it spreads."""
        mean, spread = moments.mean, moments.spread
        whole = (spread + (mean - mean.mean(dim=0)).square()).mean(dim=0)  # variance of a channel, wherever
        whole = whole.clamp(min=1e-6 * float(whole.mean()) + 1e-12)
        found = mean, whitening(spread / whole) / whole.sqrt().float()
        self.outline_place, self.outline_scale = (one.T.reshape(grid) for one in found)

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


def level(cells: Tensor) -> Tensor:
    """The level (N, 1, 1) of frames by the distances of their cells (N, h, w): half of them are no farther."""
    rows = cells.flatten(1)
    near = rows.topk((rows.shape[1] + 1) // 2, dim=1, largest=False).values
    return near.amax(dim=1)[:, None, None].clamp(min=LEAST)


def highest(cells: Tensor) -> Tensor:
    """Mean of the highest cells (N,), one in PEAK, of all cells (N, n)."""
    return cells.topk(max(1, round(cells.shape[1] / PEAK)), dim=1).values.mean(dim=1)


def whitening(spread: Tensor) -> Tensor:
    """Inverse roots, float32, of covariances (n, d, d) of n places, or of variances (n, d), each drawn towards their mean."""
    mean = spread.mean(dim=0)
    each = mean if spread.ndim == 2 else mean.diagonal()
    each = each.clamp(min=max(1e-12, LEAST_SPREAD * float(each.mean())))
    if spread.ndim == 2:
        return ((1 - SHARED) * spread.clamp(min=0) + (SHARED + RIDGE) * each).rsqrt().float()
    common = SHARED * mean + RIDGE * torch.diag(each)
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

"""A memory of what cells of good parts look like, and the distance of a frame's cells to the nearest of them."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from visiontune.heads.anomaly import Anomaly, ScoredNet
from visiontune.heads.coreset import coreset
from visiontune.heads.head import Pyramid
from visiontune.heads.moments import Moments
from visiontune.heads.whitening import Whitening

FINEST = 8  # pixels of the input to a cell; finer ones cost four times as much
# powers of a frame's level that divide its distances; chosen on vals of magnetic tiles and on painted parts
LEVELLED = 0.65  # where it is judged
DIMMED = 0.5  # where its heatmap is drawn: more would leave large defects out
QUIET = 0.5  # level of a frame at least: where most of it never varies, distances are those of rounding
OUTLINED = 32  # channels of the finest map that outlines are drawn by, at most
OUTLINE = 0.15  # share of the finest map in the squared distance of a heatmap's cell; chosen on val of magnetic tiles
SEEN = 20_000  # cells of good parts, alike many of each picture, of which the memory is chosen
PEAK = 200  # the frame's score is the mean of its highest cells, one in so many
NEAR = 256  # cells compared with the memory at once: their distances stay in a core's cache, which is four times as fast


class MemoryNet(ScoredNet):
    """Features (pooled, maps from the finest on) -> scores of the frame (N,) and of its cells (N, h, w), about 1 for good ones.

    The maps are brought to the grid of the finest one with at least 8 pixels a cell, and whitened at each place by what good
    parts show there: edges of the part, its holes and the lamp's light are good where they always are. Light and texture that
    differ all over a frame count by little: distances are divided by a power of the frame's level, their median, which a large
    defect hardly raises. The cells that are given out are divided by less, and have outlines where the backbone has a finer map:
    a share of each is how far that map is from good at its place (as in PaDiM).
    """

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
        self.white = Whitening(channels, depth)
        self.register_buffer("bank", torch.zeros(1, depth))  # (m, d)
        self.register_buffer("squares", torch.zeros(1))  # (m,)
        outlined = strides[0] < strides[self.finest]
        self.outlines = Whitening(features.channels[self.chosen[0]], OUTLINED) if outlined else None

    def forward(self, features: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Scores of the frames (N,) and of their cells (N, h, w)."""
        cells = self.cells(features)
        common = level(cells)
        drawn = self.with_outlines(cells, features) / common**DIMMED
        return highest((cells / common**LEVELLED).flatten(1)), drawn

    def cells(self, features: tuple[Tensor, ...]) -> Tensor:
        """Distances of the cells (N, h, w) to the memory."""
        joined = self.joined(features)
        return self.apart(self.white(joined)).reshape(-1, *joined.shape[2:])

    def with_outlines(self, cells: Tensor, features: tuple[Tensor, ...]) -> Tensor:
        """Distances of cells (N, h, w) on the grid of the finest map, a share of each by what the map shows there."""
        if self.outlines is None:
            return cells
        finer = self.finer(features)
        away: Tensor = self.outlines(finer).square().mean(dim=2).reshape(-1, 1, *finer.shape[2:])
        wide = resized(cells[:, None].square(), finer.shape[2:])
        return ((1 - OUTLINE) * wide + OUTLINE * away)[:, 0].sqrt()

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
        return torch.cat([resized(one, grid) for one in some], dim=1)

    @torch.no_grad()
    def memorise(self, batches: Iterable[tuple[Tensor, ...]], *, pictures: int, seed: int) -> None:
        """Learns good parts from what the backbone gives for them, batch by batch, `pictures` in all.

        Its own memory stays small however many there are: sums for each place, and a fixed number of cells drawn at random.
        """
        draw = torch.Generator().manual_seed(seed)
        moments, outlines = Moments(), Moments()
        cells, places = [], []
        for first, features in enumerate(batches):
            joined, finer = self.joined(features), self.finer(features)
            if not first:
                self.white.start(joined, draw)
                if self.outlines is not None:
                    self.outlines.start(finer, draw)
            vectors = self.white.vectors(joined).flatten(2).permute(2, 0, 1)  # (h w, N, d)
            moments.add(vectors)
            if self.outlines is not None:
                outlines.add(self.outlines.vectors(finer).flatten(2).permute(2, 0, 1))
            each = min(len(vectors), -(-SEEN // pictures))
            at = torch.rand(vectors.shape[1], len(vectors), generator=draw).topk(each, dim=1).indices
            rows = torch.arange(len(at))[:, None].expand_as(at)
            cells.append(vectors[at.flatten(), rows.flatten()])
            places.append(at.flatten())
        self.white.learn(moments)
        if self.outlines is not None:
            self.outlines.learn(outlines)
        known = self.white.at(torch.cat(cells), torch.cat(places))
        known = known[torch.randperm(len(known), generator=draw)[:SEEN]]
        self.bank = known[coreset(known, self.options.memory)].contiguous()
        self.squares = self.bank.square().sum(dim=1)


def level(cells: Tensor) -> Tensor:
    """The level (N, 1, 1) of frames by the distances of their cells (N, h, w): half of them are no farther."""
    rows = cells.flatten(1)
    near = rows.topk((rows.shape[1] + 1) // 2, dim=1, largest=False).values
    return near.amax(dim=1)[:, None, None].clamp(min=QUIET)


def highest(cells: Tensor) -> Tensor:
    """Mean of the highest cells (N,), one in PEAK, of all cells (N, n)."""
    return cells.topk(max(1, round(cells.shape[1] / PEAK)), dim=1).values.mean(dim=1)


def levels(strides: tuple[int, ...]) -> tuple[int, ...]:
    """The maps that are used, by their strides: all but the coarsest of a pyramid of four; all where there are fewer."""
    return tuple(range(len(strides)))[: len(strides) if len(set(strides)) < 4 else -1]


def resized(one: Tensor, grid: torch.Size) -> Tensor:
    """A map on another grid, itself where it has that; where it was twice as fine, the mean of four cells."""
    if one.shape[2:] == grid:
        return one
    size = (int(grid[0]), int(grid[1]))
    return functional.interpolate(one, size=size, mode="bilinear", align_corners=False)

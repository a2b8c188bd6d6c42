"""The network on large frames: it sees them tile by tile, and answers for the frame."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from visiontune.data.tiles import Grid
from visiontune.heads.suppression import BOX_WORD, SCORE_WORD, Suppression
from visiontune.tune.cells import HEATMAP, RISK, raw_and_answers
from visiontune.tune.net import Net

TOGETHER = 4  # tiles in one pass


class TiledNet(Net):
    """A Net (whose modules it shares) that was trained on tiles, and the grid by which it sees frames.

    A frame's severity, kinds and logits are those of its worst tile; its heatmap is blended from those of all tiles. Its boxes
    are those of all tiles of which each says what has its middle in the tile's core (see Grid.cores), after one suppression.
    """

    more: ClassVar[tuple[str, ...]] = (RISK,)

    def __init__(self, net: Net, grid: Grid) -> None:
        self.__dict__.update(net.__dict__)
        self.grid = grid

    def seen(self, size: tuple[int, int]) -> tuple[int, int]:
        """(h, w) of a tile."""
        return self.grid.tile, self.grid.tile

    def logits(self, frames: Tensor) -> Tensor:
        """Logits (N, C) of the worst tile of each frame uint8 (N, h, w, 3)."""
        return torch.stack([self._of_tiles(frame)["logits"] for frame in frames])

    def pooled(self, frames: Tensor) -> Tensor:
        """The largest of each pooled feature over the tiles of a frame (N, F): what a defect in one of them can move."""
        found = [
            torch.cat([super(TiledNet, self).pooled(some) for some in self._tiles(frame)]).amax(dim=0)
            for frame in frames
        ]
        return torch.stack(found)

    def answers(self, frames: Tensor) -> dict[str, Tensor]:
        """The line's words for frames uint8 (N, h, w, 3)."""
        said, rules = self.exported(frames), self.head.suppression
        return said if rules is None else rules.in_words({**said, SCORE_WORD: self._owned(said)})

    def exported(self, frames: Tensor) -> dict[str, Tensor]:
        """As Net.exported; what cells say is that of all tiles, one after the other, in pixels of the frame."""
        found = [self._of_tiles(frame) for frame in frames]
        return {word: torch.stack([one[word] for one in found]) for word in found[0] if word != "logits"}

    def left(self, said: dict[str, Tensor], rules: Suppression) -> tuple[Tensor, Tensor, Tensor]:
        """As Net.left; a tile's boxes count where it owns them."""
        return rules.left(said[BOX_WORD], self._owned(said))

    def _owned(self, said: dict[str, Tensor]) -> Tensor:
        """Scores (N, tiles * P, K), 0 where the middle of a cell's box lies outside its tile's core."""
        scores: Tensor = said[SCORE_WORD]
        return owned(said[BOX_WORD], scores, torch.from_numpy(self.grid.cores).to(scores.device))

    def _of_tiles(self, frame: Tensor) -> dict[str, Tensor]:
        """What the tiles of a frame uint8 (h, w, 3) say together."""
        said: list[dict[str, Tensor]] = []
        for some in self._tiles(frame):
            raw, words = raw_and_answers(self, self.normalised(some), exported=True)
            logits = self.head.logits(raw)
            said.append({**words, "logits": logits, RISK: self.head.risk(logits)})
        tiles = {word: torch.cat([some[word] for some in said]) for word in said[0]}
        worst = int(tiles.pop(RISK).argmax())
        joined = (HEATMAP, BOX_WORD, SCORE_WORD)
        answers = {word: values[worst] for word, values in tiles.items() if word not in joined}
        if BOX_WORD in tiles:
            corners = torch.from_numpy(self.grid.corners[:, [1, 0, 1, 0]]).to(tiles[BOX_WORD])
            answers[BOX_WORD] = (tiles[BOX_WORD] + corners[:, None]).flatten(0, 1)
            answers[SCORE_WORD] = tiles[SCORE_WORD].flatten(0, 1)
        if HEATMAP in tiles:
            answers[HEATMAP] = self._stitched(tiles[HEATMAP])
        return answers

    def _tiles(self, frame: Tensor) -> Iterator[Tensor]:
        """The tiles of a frame uint8 (h, w, 3), a few at a time: uint8 (k, side, side, 3)."""
        if tuple(frame.shape[:2]) != self.grid.size:
            raise ValueError(f"expected frames of {self.grid.size} (h, w), got {tuple(frame.shape[:2])}")
        side, corners = self.grid.tile, self.grid.corners.tolist()
        for start in range(0, len(corners), TOGETHER):
            some = corners[start : start + TOGETHER]
            yield torch.stack([frame[y : y + side, x : x + side] for y, x in some])

    def _stitched(self, maps: Tensor) -> Tensor:
        """The frame's map (h, w) of its tiles' maps (tiles, cells, cells)."""
        cells = maps.shape[-1]
        high, wide = len(self.grid.rows), len(self.grid.columns)
        blocks = (
            maps.reshape(high, wide, cells, cells).permute(0, 2, 1, 3).reshape(high * cells, wide * cells)
        )
        down, across = (torch.from_numpy(matrix).to(maps) for matrix in self.grid.blends(cells))
        return down @ blocks @ across.T


def owned(boxes: Tensor, scores: Tensor, cores: Tensor) -> Tensor:
    """Scores (N, T * P, K), 0 where the middle of a box (N, T * P, 4) lies outside its tile's core, one of `cores` (T, 4)."""
    middles = (boxes[..., :2] + boxes[..., 2:]) * 0.5
    mine = cores.repeat_interleave(boxes.shape[1] // len(cores), dim=0)
    inside = ((middles >= mine[:, :2]) & (middles <= mine[:, 2:])).all(dim=2, keepdim=True)
    return torch.where(inside, scores, torch.zeros_like(scores))

"""Tiles cover the frame, and what they say is laid together without seams."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.data.tiles import Grid, wrong

sides = st.integers(1, 8).map(lambda k: 32 * k)


@st.composite
def grids(draw):
    tile = draw(sides)
    size = (draw(st.integers(tile, 900)), draw(st.integers(tile, 900)))
    return Grid(size, tile, draw(st.integers(0, tile // 2)))


@given(grids())
def test_tiles_cover_the_frame_and_share_the_overlap(grid):
    for begins, side in ((grid.rows, grid.size[0]), (grid.columns, grid.size[1])):
        assert begins[0] == 0 and begins[-1] + grid.tile == side
        gaps = np.diff(begins)
        assert (gaps > 0).all() and (gaps <= grid.tile - grid.overlap).all()
        if len(begins) > 1:  # one tile fewer would not do
            assert (len(begins) - 2) * (grid.tile - grid.overlap) + grid.tile < side
    assert len(grid) == len(grid.corners) == len(grid.rows) * len(grid.columns)
    assert grid.corners[0].tolist() == [0, 0]


def test_the_tiles_of_a_camera_of_5_megapixels():
    grid = Grid((2048, 2448), 512, 64)
    assert len(grid) == 30
    assert grid.rows == (0, 384, 768, 1152, 1536)
    assert [matrix.shape for matrix in grid.blends(128)] == [(512, 5 * 128), (612, 6 * 128)]


@settings(max_examples=40)
@given(grids(), st.sampled_from([1, 2, 4, 8, 32]))
def test_weights_are_shares(grid, stride):
    for matrix in grid.blends(grid.tile // stride):
        assert (matrix >= 0).all()
        assert np.allclose(matrix.sum(axis=1), 1, atol=1e-5)


def stitched(grid, maps):
    """Maps (tiles, cells, cells) laid together."""
    cells = maps.shape[1]
    blocks = maps.reshape(len(grid.rows), len(grid.columns), cells, cells)
    blocks = blocks.transpose(0, 2, 1, 3).reshape(len(grid.rows) * cells, -1)
    down, across = grid.blends(cells)
    return down @ blocks @ across.T


@settings(max_examples=30)
@given(grids(), st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1))
def test_a_linear_map_is_stitched_to_itself(grid, down, right, offset):
    """Each tile sees its part of one plane; but for half a cell at its edge, beyond which it knows nothing, it is that plane."""
    cells = grid.tile // 4

    def plane(y, x):
        return (offset + down * y[:, None] / grid.size[0] + right * x[None, :] / grid.size[1]).astype(
            np.float32
        )

    inside = (np.arange(cells) + 0.5) * 4
    maps = np.stack([plane(y + inside, x + inside) for y, x in grid.corners])
    found = stitched(grid, maps)
    centres = [(np.arange(n) + 0.5) * side / n for n, side in zip(found.shape, grid.size, strict=True)]
    slack = 3 * (abs(down) / grid.size[0] + abs(right) / grid.size[1]) + 1e-5
    assert np.abs(found - plane(*centres)).max() <= slack


@settings(max_examples=30)
@given(grids(), st.integers(0, 2**32 - 1))
def test_a_stitched_value_lies_between_those_of_its_tiles(grid, seed):
    levels = np.random.default_rng(seed).random(len(grid)).astype(np.float32)
    cells = grid.tile // 8
    maps = np.broadcast_to(levels[:, None, None], (len(grid), cells, cells)).copy()
    found = stitched(grid, maps)
    for i, j in [(0, 0), (found.shape[0] // 2, found.shape[1] // 2), (-1, -1), (found.shape[0] // 3, 0)]:
        y = (i % found.shape[0] + 0.5) * grid.size[0] / found.shape[0]
        x = (j % found.shape[1] + 0.5) * grid.size[1] / found.shape[1]
        over = [
            level
            for (top, left), level in zip(grid.corners, levels, strict=True)
            if top <= y <= top + grid.tile and left <= x <= left + grid.tile
        ]
        assert min(over) - 1e-5 <= found[i, j] <= max(over) + 1e-5


def test_seams_are_ramps():
    """Two tiles that disagree: no cell differs from its neighbour by more than the overlap's share."""
    grid = Grid((128, 224), 128, 32)
    maps = np.zeros((len(grid), 32, 32), np.float32)
    maps[1] = 1
    row = stitched(grid, maps)[0]
    assert row[0] == 0 and row[-1] == 1
    assert 0 < np.diff(row).max() < 0.13 and (np.diff(row) >= -1e-6).all()


@pytest.mark.parametrize(
    ("tile", "said"),
    [
        (512, "two whole numbers"),
        ((512,), "two whole numbers"),
        ((512.0, 64), "two whole numbers"),
        ((500, 64), "multiple of 32"),
        ((1024, 64), "at most 600"),
        ((512, 300), "0 to half the side, 256"),
        ((512, -1), "0 to half the side"),
    ],
)
def test_what_is_no_tile(tile, said):
    assert said in wrong(tile, (600, 800))
    assert wrong((512, 64), (600, 800)) is None

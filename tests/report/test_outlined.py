"""Outlines: a speck keeps its line at any scale, a line lies outside what it surrounds, the page says what colours mean."""

import base64
import io
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from visiontune.report import page
from visiontune.report.outlined import MARKED, SHOWN, border, outlined, reduced
from visiontune.runtime.region_bands import RegionBands

sides = st.integers(1, 9)


@given(sides, sides, sides, sides, st.integers(0, 2**32 - 1))
def test_a_pixel_is_marked_where_any_cell_under_it_is(h, w, height, width, seed):
    cells = np.random.default_rng(seed).random((h, w)) < 0.2
    found = reduced(cells, (height, width))
    assert found.shape == (height, width)
    for y in range(height):
        rows = range(y * h // height, math.ceil((y + 1) * h / height))
        for x in range(width):
            columns = range(x * w // width, math.ceil((x + 1) * w / width))
            assert found[y, x] == any(cells[row, column] for row in rows for column in columns)


def test_the_line_lies_just_outside():
    where = np.zeros((5, 6), bool)
    where[2, 2:4] = True
    drawn = ["".join(".#"[int(cell)] for cell in row) for row in border(where)]
    assert drawn == ["......", "..##..", ".#..#.", "..##..", "......"]


def test_what_reaches_the_edge_is_closed_there():
    drawn = border(np.ones((3, 4), bool))
    assert drawn[0].all() and drawn[-1].all() and drawn[:, 0].all() and drawn[:, -1].all()
    assert not drawn[1, 1:3].any()


def test_mask_and_region_have_their_colours_and_places():
    mask = np.zeros((400, 600), bool)
    mask[40:80, 40:120] = True  # at a tenth: rows 4..8, columns 4..12
    cells = np.zeros((4, 4), bool)
    cells[3, 3] = True
    found = np.array(
        outlined(Image.new("RGB", (60, 40)), marked=mask, shown=cells, span=(0.5, 0.5, 1.0, 1.0))
    )
    rows, columns = np.nonzero((found == MARKED).all(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 8, 3, 12)
    rows, columns = np.nonzero((found == SHOWN).all(axis=2))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (34, 39, 51, 59)
    assert not found[20, 20].any()


def coloured(address, colour):
    """Pixels near a colour in a picture of the page, a JPEG."""
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGB"))
    return int((np.abs(pixels.astype(int) - colour).max(axis=2) < 60).sum())


@pytest.fixture
def masked(made, pictures, tmp_path):
    """Findings whose picture 0 has a mask and picture 1 a heatmap, with the worst probabilities of all."""

    def make(**changes):
        mask = np.zeros((200, 300), np.uint8)
        mask[50:90, 60:160] = 255
        Image.fromarray(mask).save(tmp_path / "mask.png")
        heat = np.full((20, 30), 0.1, np.float32)
        heat[10:14, 5:9] = 0.9
        kinds = np.full((12, 4), 0.2, np.float32)
        kinds[np.arange(12), np.arange(12) % 4] = np.linspace(0.1, 0.9, 12)
        fields = {
            "n": 12,
            "kinds": kinds,
            "paths": pictures,
            "masks": {0: tmp_path / "mask.png"},
            "heatmaps": {1: heat},
        }
        return made(**(fields | changes))

    return make


def test_the_page_draws_them_and_says_what_they_are(masked):
    found = masked()
    first, second, third = (part.picture.address for part in page.worst(found)[:3])
    assert coloured(first, MARKED) > 50 and not coloured(first, SHOWN)
    assert coloured(second, SHOWN) > 20 and not coloured(second, MARKED)
    assert not coloured(third, MARKED) and not coloured(third, SHOWN)
    text = page.render(found)
    assert "cyan line" in text and "magenta line" in text
    assert "cyan line" not in page.render(masked(masks={}, heatmaps={}))


def test_regions_are_those_that_the_bands_of_the_card_show(masked):
    found = masked(regions=RegionBands(low=0.5, high=0.95))
    assert not coloured(page.worst(found)[1].picture.address, SHOWN)


def test_a_mask_that_is_gone_does_not_stop_the_page(masked):
    found = masked(masks={0: Path("gone.png")})
    assert not coloured(page.worst(found)[0].picture.address, MARKED)

"""How much of a picture a mask marks, in every form a mask comes in."""

import numpy as np
import pytest
from PIL import Image

from visiontune.runtime.defect_size import BINS, marked_share, size_bin
from visiontune.runtime.errors import BadFrame


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "LA", "P", "I;16"])
def test_every_value_but_black_is_marked(tmp_path, mode):
    mask = np.zeros((20, 50), np.uint8)
    mask[:4, :25] = 255
    picture = Image.fromarray(mask)
    picture = Image.fromarray(mask.astype(np.uint16)) if mode == "I;16" else picture.convert(mode)
    picture.save(tmp_path / "mask.png")
    assert marked_share(tmp_path / "mask.png") == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("share", "name"),
    [(0, None), (1e-6, BINS[0]), (0.001, BINS[1]), (0.05, BINS[2]), (0.1, BINS[3]), (1, BINS[3])],
)
def test_the_bins(share, name):
    assert size_bin(share) == name


def test_a_mask_that_cannot_be_read(tmp_path):
    (tmp_path / "mask.png").write_bytes(b"none")
    with pytest.raises(BadFrame, match=r"mask\.png: expected a mask, found .*; save it again"):
        marked_share(tmp_path / "mask.png")

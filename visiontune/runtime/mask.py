"""Reads a mask: which pixels of a picture somebody marked as defect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from visiontune.runtime.errors import BadFrame, one_line
from visiontune.runtime.frame import FORMATS, check_extent


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Where a mask is not 0 (black), bool (H, W). Raises as `mask_values` does."""
    return np.asarray(mask_values(path) != 0)


def mask_values(path: Path) -> NDArray[np.generic]:
    """The values of a mask (H, W), of a coloured one the largest of R, G, B; upright as frames are; transparency does not count.

    Raises BadFrame if it cannot be read.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            check_extent(picture, str(path))
            upright = ImageOps.exif_transpose(picture)
            opaque = upright.convert("RGB") if upright.mode in ("RGBA", "LA", "PA") else upright
            pixels = np.asarray(opaque)
    except BadFrame:
        raise
    except Exception as error:  # Pillow's plugins raise anything at all on a broken file
        raise BadFrame(
            f"{path}: expected a mask, found what cannot be read ({one_line(error)}); save it again"
        ) from error
    return np.asarray(pixels.max(axis=2) if pixels.ndim == 3 else pixels)

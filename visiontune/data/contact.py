"""A contact sheet: a picture and what a policy makes of it, to judge if the camera could have taken it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visiontune.runtime.errors import BadData
from visiontune.runtime.frame import decode

if TYPE_CHECKING:
    from visiontune.data.policy import Policy

MARGIN = 4  # pixels round every picture
PAPER = 255  # grey level between them


def contact_sheet(
    policy: Policy, image: NDArray[np.uint8], *, seed: int, n: int = 12, columns: int = 4
) -> Image.Image:
    """`n` pictures in rows of `columns`: `image` itself, then n - 1 views, the same for the same `seed`.

    image   uint8 (H, W, 3), RGB; every picture of the sheet has its size.

    Raises BadData where `image` is none, `n` is under 2 or `columns` under 1; MissingExtra as the policy
    does.
    """
    from visiontune.data.policy import checked_arrays, view_seed

    checked_arrays(image, None, None, None)
    if n < 2 or columns < 1:
        raise BadData(f"a contact sheet needs n >= 2 and columns >= 1, found n={n}, columns={columns}")
    views = [policy(image, seed=view_seed(seed, "contact sheet", view)).image for view in range(1, n)]
    height, width = image.shape[0] + MARGIN, image.shape[1] + MARGIN
    rows = -(-n // columns)
    sheet = np.full((rows * height + MARGIN, min(n, columns) * width + MARGIN, 3), PAPER, np.uint8)
    for place, picture in enumerate([image, *views]):
        top, left = place // columns * height + MARGIN, place % columns * width + MARGIN
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = picture
    return Image.fromarray(sheet)


def picture(source: Any, size: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) of a Sample, a path or an array, shrunk where its longer side exceeds `size` pixels."""
    if isinstance(source, np.ndarray):
        image = source
    else:
        path = source if isinstance(source, (str, os.PathLike)) else getattr(source, "path", None)
        if path is None:
            raise BadData(
                f"a contact sheet is drawn of a sample, a path or a picture, found {type(source).__name__}"
            )
        image = decode(Path(path))
    longer = max(image.shape[:2], default=0)
    if longer <= size:
        return image
    height, width = (max(1, round(side * size / longer)) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))

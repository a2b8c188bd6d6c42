"""A picture with lines around what somebody marked and around what the model shows: which of the two is off, the eye tells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MARKED = (0, 230, 230)  # cyan: the line around a mask
SHOWN = (255, 0, 200)  # magenta: the line around a region of the heatmap
# Both are rare on parts, and neither is read as good or bad.


def outlined(
    image: Image.Image,
    *,
    marked: NDArray[np.bool_] | None = None,
    shown: NDArray[np.bool_] | None = None,
    span: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
) -> Image.Image:
    """`image` in RGB with lines of one pixel just outside what is marked, and over them those of what is shown.

    marked  bool (H, W) of any size, over the whole picture
    shown   bool (h, w) of any size, over `span` of it: x0, y0, x1, y1 as fractions 0..1
    """
    pixels = np.array(image.convert("RGB"))
    size = pixels.shape[0], pixels.shape[1]
    if marked is not None:
        pixels[border(reduced(marked, size))] = MARKED
    if shown is not None:
        x0, y0, x1, y1 = (
            round(share * side) for share, side in zip(span, (*size[::-1], *size[::-1]), strict=True)
        )
        where = np.zeros(size, bool)
        where[y0:y1, x0:x1] = reduced(shown, (y1 - y0, x1 - x0))
        pixels[border(where)] = SHOWN
    return Image.fromarray(pixels)


def reduced(cells: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A map (h, w) at another size: a pixel is True where any cell under it is, so that a speck does not vanish."""
    found = cells
    for axis, (given, wanted) in enumerate(zip(cells.shape, size, strict=True)):
        edges = np.arange(wanted + 1) * given / max(wanted, 1)
        first = np.floor(edges[:-1]).astype(np.int64)
        last = np.maximum(np.ceil(edges[1:]).astype(np.int64), first + 1)
        until = np.concatenate([np.zeros_like(found.take([0], axis), np.int64), found.cumsum(axis)], axis)
        found = until.take(last, axis) > until.take(first, axis)
    return found


def border(where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels (h, w) just outside a set: so a set of one pixel keeps its own look. At the picture's edge, the last inside."""
    around = np.pad(where, 1)
    near = around[:-2, 1:-1] | around[2:, 1:-1] | around[1:-1, :-2] | around[1:-1, 2:]
    line: NDArray[np.bool_] = near & ~where
    for side in (np.s_[0, :], np.s_[-1, :], np.s_[:, 0], np.s_[:, -1]):
        line[side] |= where[side]
    return line

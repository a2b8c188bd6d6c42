"""Pictures that travel inside the page: figures and thumbnails as data addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from visiontune.report.plot import Plot
from visiontune.runtime.errors import BadFrame
from visiontune.runtime.frame import Frame, decode

SIDE = 160  # pixels, of the longer side of a thumbnail
PIXELS = 108  # CSS pixels that an inch of figure takes

Draw = Callable[[Frame], Image.Image]


@dataclass(frozen=True)
class Picture:
    """A picture as an address that holds it, and the CSS pixels it wants."""

    address: str
    width: int
    height: int


def figure(plot: Plot) -> Picture:
    """A figure as SVG or PNG, whichever is smaller; as an image it is shut off from the page's scripts, styles and names."""
    drawn, painted = plot.svg(), plot.png()
    address = data_address(drawn, "svg+xml") if len(drawn) <= len(painted) else data_address(painted, "png")
    width, height = (round(PIXELS * float(inches)) for inches in plot.get_size_inches())
    return Picture(address, width, height)


def thumbnail(
    path: Path, draw: Draw | None = None, *, window: tuple[int, int] | None = None
) -> Picture | None:
    """The picture file shrunk to 160 pixels, as JPEG; None if it cannot be read (any more): the page then says so.

    `draw` makes the small picture of the whole frame instead, with what is drawn on it. `window` as in decode.
    """
    try:
        frame = decode(path, window=window)
    except BadFrame:
        return None
    image = shrunk(frame) if draw is None else draw(frame)
    stream = io.BytesIO()
    # coloured lines of one pixel need their colour at every pixel
    image.save(stream, "JPEG", quality=82, optimize=True, subsampling=-1 if draw is None else 0)
    return Picture(data_address(stream.getvalue(), "jpeg"), *image.size)


def shrunk(frame: Frame) -> Image.Image:
    """A frame RGB uint8 (H, W, 3) as a picture of at most 160 pixels a side."""
    image = Image.fromarray(frame)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image


def data_address(content: bytes, kind: str) -> str:
    """The bytes as a data: address."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"

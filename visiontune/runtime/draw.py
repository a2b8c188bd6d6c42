"""Draws regions on a frame: a frame round each, its kind and its score; dashed what people drew."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from visiontune.runtime.annotation import Annotation
from visiontune.runtime.frame import Frame
from visiontune.runtime.verdict import Region

Corners = tuple[float, float, float, float]
Colour = tuple[int, int, int]

# Okabe and Ito's colours, which colour-blind people tell apart; one a class, in turn
COLOURS: tuple[Colour, ...] = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (204, 121, 167),
    (0, 114, 178),
)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
FONT = 11  # pixels, at least; a 40th of the shorter side in large pictures
DASH = 4  # pixels


def drawn(
    frame: Frame,
    regions: Sequence[Region],
    *,
    classes: Sequence[str] = (),
    people: Sequence[Annotation] = (),
    side: int | None = None,
) -> Image.Image:
    """`frame` RGB uint8 (H, W, 3) as a picture with its regions, the strongest on top.

    classes  give each kind its colour; without, the kinds of these regions do, in alphabetical order
    people   boxes that people drew: white dashes, grey those to be ignored
    side     pixels that the longer side of the drawing has; None draws at the frame's own size
    """
    image = Image.fromarray(frame)
    if side is not None:
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    across, down = image.width / frame.shape[1], image.height / frame.shape[0]
    names = list(classes) or sorted({region.kind for region in regions})
    pen = ImageDraw.Draw(image)
    wide = max(1, min(image.size) // 200)
    font = ImageFont.load_default(max(FONT, min(image.size) // 40))
    for one in people:
        corners = one.x0 * across, one.y0 * down, one.x1 * across, one.y1 * down
        _dashes(pen, corners, (160, 160, 160) if one.ignore else WHITE, wide)
    placed = [
        (
            region,
            (region.box[0] * across, region.box[1] * down, region.box[2] * across, region.box[3] * down),
            COLOURS[names.index(region.kind) % len(COLOURS)] if region.kind in names else WHITE,
        )
        for region in reversed(regions)
    ]
    for _, corners, colour in placed:
        _rectangle(pen, corners, colour, wide)
    for region, corners, colour in placed:
        _tag(pen, corners, f"{region.kind} {region.score:.2f}", colour, font, image.size)
    return image


def _pixels(corners: Corners) -> tuple[int, int, int, int]:
    """The first and last pixel on either axis that a box covers."""
    x0, y0, x1, y1 = corners
    return round(x0), round(y0), max(round(x0), round(x1) - 1), max(round(y0), round(y1) - 1)


def _rectangle(pen: ImageDraw.ImageDraw, corners: Corners, colour: Colour, wide: int) -> None:
    x0, y0, x1, y1 = _pixels(corners)
    pen.rectangle((x0 - 1, y0 - 1, x1 + 1, y1 + 1), outline=BLACK)  # seen on any ground
    pen.rectangle((x0, y0, x1, y1), outline=colour, width=wide)


def _dashes(pen: ImageDraw.ImageDraw, corners: Corners, colour: Colour, wide: int) -> None:
    x0, y0, x1, y1 = _pixels(corners)
    step = DASH * wide
    for start in range(x0, x1 + 1, 2 * step):
        for y in (y0, y1):
            pen.line((start, y, min(start + step - 1, x1), y), fill=colour, width=wide)
    for start in range(y0, y1 + 1, 2 * step):
        for x in (x0, x1):
            pen.line((x, start, x, min(start + step - 1, y1)), fill=colour, width=wide)


def _tag(
    pen: ImageDraw.ImageDraw,
    corners: Corners,
    text: str,
    colour: Colour,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    size: tuple[int, int],
) -> None:
    """The text on a patch of the colour: above the box, below it where there is no room, or else inside."""
    x0, y0, _, y1 = _pixels(corners)
    left, top, right, bottom = pen.textbbox((0, 0), text, font=font)
    wide, high = int(right - left) + 4, int(bottom - top) + 4
    x = max(0, min(x0, size[0] - wide))
    y = y0 - high if y0 >= high else y1 + 1 if y1 + 1 + high <= size[1] else y0
    pen.rectangle((x, y, x + wide - 1, y + high - 1), fill=colour)
    light = 0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2] > 110
    pen.text((x + 2 - left, y + 2 - top), text, fill=BLACK if light else WHITE, font=font)

"""Turns what an app or a folder holds - path, bytes, array - into one defined frame: RGB uint8 (H, W, 3).

What is defined here is accepted, everything else is refused with a reason; no pixel range is ever guessed
from the values.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, UnidentifiedImageError

from visiontune.runtime.errors import BadFrame, one_line

Frame: TypeAlias = NDArray[np.uint8]
Source: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | NDArray[Any]
Window: TypeAlias = tuple[int, int]

MAX_PIXELS = 200_000_000
FULL_WINDOW = (0, 65535)
DECODING = 800_000_000  # bytes that decoding one file may hold at a time, whoever sent it
BAND = 1 << 22  # pixels that are turned from Pillow's form into ours at a time
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # no plugin that runs other programs
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp")
EIGHT_BIT = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"})
SIXTEEN_BIT = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})
ORIENTATION = 0x0112  # EXIF tag


def decode(source: Source, *, window: Window | None = None) -> Frame:
    """One frame, RGB uint8 (H, W, 3), C-contiguous; an array that already is one comes back itself, not a copy.

    source  a path; encoded bytes (BMP, GIF, JPEG, PNG, PPM, TIFF, WebP); or an array: uint8 (H, W, 3) RGB,
            (H, W) or (H, W, 1) grey, (H, W, 4) RGBA, or uint16 (H, W) grey.
    window  grey values (low, high) of a 16-bit frame that become 0 and 255; between them linear, rounded to
            the nearest level, outside clipped. None is (0, 65535). 8-bit frames are not touched by it.

    Grey is repeated over the channels, alpha is dropped (not blended), palettes and CMYK become RGB by
    Pillow's rule, and the EXIF orientation is applied. Raises BadFrame for an empty frame, any other dtype
    (float too) or shape, more than 200 megapixels in an array or 100 in a file (progressive JPEG 66, WEBP 44;
    read from the header, so that decoding never holds 1 GB), 16-bit colour,
    several pictures in one file, a truncated file, a file that is no picture, a path that is no file;
    ValueError for a window out of order.
    """
    window = FULL_WINDOW if window is None else window
    low, high = window
    if not 0 <= low < high <= 65535:
        raise ValueError(f"window: expected 0 <= low < high <= 65535, found {window}")
    window = low, high
    if isinstance(source, np.ndarray):
        return _from_array(source, "frame array", window)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _from_stream(io.BytesIO(source), f"frame of {len(source)} bytes", window)
    if isinstance(source, (str, os.PathLike)):
        return _from_path(Path(source), window)
    raise BadFrame(
        f"frame: expected a path, encoded bytes or an array, found {type(source).__name__}; convert it first"
    )


def is_picture(path: Path) -> bool:
    """Whether the name ends like a picture that `decode` reads."""
    return path.suffix.lower() in SUFFIXES


def _from_path(path: Path, window: Window) -> Frame:
    if not path.is_file():  # says False for pipes and devices too, which could keep us waiting for ever
        kinds = {"a folder": path.is_dir(), "something that is no file": path.exists(), "nothing there": True}
        found = next(kind for kind, true in kinds.items() if true)
        raise BadFrame(f"{path}: expected a picture file, found {found}; check the path")
    try:
        with path.open("rb") as stream:
            return _from_stream(stream, str(path), window)
    except OSError as error:
        found = one_line(error)
        raise BadFrame(f"{path}: expected a readable file, found {found}; check its permissions") from error


def _from_stream(stream: Any, name: str, window: Window) -> Frame:
    if ImageFile.LOAD_TRUNCATED_IMAGES:  # some library told Pillow to paint grey over what is missing
        cure = "set PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False"
        raise BadFrame(
            f"{name}: expected to tell whole files from truncated ones, found that Pillow may not; {cure}"
        )
    try:
        pixels = _opened(stream, name)
    except BadFrame:
        raise
    except UnidentifiedImageError as error:
        wanted = f"expected a picture ({', '.join(FORMATS)})"
        raise BadFrame(f"{name}: {wanted}, found none; take it again or leave it out") from error
    except Image.DecompressionBombError as error:  # Pillow's own limit, 179 megapixels unless moved
        raise BadFrame(f"{name}: expected fewer pixels, found: {one_line(error)}; cut or bin it") from error
    except Exception as error:  # on damaged bytes Pillow raises anything: SyntaxError, struct.error
        found = one_line(error)
        raise BadFrame(f"{name}: expected a whole picture, found: {found}; take it again") from error
    return _from_array(pixels, name, window)


def _opened(stream: Any, name: str) -> NDArray[Any]:
    """The picture's pixels, upright; what Pillow holds of it is free again on return."""
    with Image.open(stream, formats=FORMATS) as picture:
        _check_header(picture, name)
        picture.load()
        return _upright(_pixels(picture), picture.getexif().get(ORIENTATION, 1))


def _check_header(picture: Image.Image, name: str) -> None:
    check_extent(picture, name)
    # A phone's JPEG may carry previews behind the picture (MPO); of pages and animations no picture is the one.
    # They are not counted: for that Pillow walks through a TIFF, which may chain up millions.
    if picture.format not in ("JPEG", "MPO") and getattr(picture, "is_animated", False):
        raise BadFrame(f"{name}: expected one picture, found several in the file; save them one by one")
    sixteen = picture.mode in SIXTEEN_BIT or _is_wide_grey(picture)
    if not sixteen and picture.mode not in EIGHT_BIT:
        raise BadFrame(
            f"{name}: expected 8-bit grey or colour or 16-bit grey, found mode {picture.mode}; save it as 8-bit"
        )
    if not sixteen and _is_wide(picture):
        raise BadFrame(f"{name}: expected 8 bits a colour channel, found 16; save it as 8-bit")


def check_extent(picture: Image.Image, name: str) -> None:
    """Raises BadFrame if decoding an opened picture would hold more than DECODING bytes; reads the header only."""
    _check_size(picture.height, picture.width, name, min(MAX_PIXELS, DECODING // _bytes_a_pixel(picture)))


def _bytes_a_pixel(picture: Image.Image) -> int:
    """What decoding takes at its peak, measured: Pillow's 4 bytes, our 3, and what the format's own library holds."""
    if picture.format == "WEBP":
        return 18
    return 12 if picture.info.get("progressive") else 8  # a progressive JPEG keeps all its coefficients


def _check_size(height: int, width: int, name: str, most: int = MAX_PIXELS) -> None:
    if height * width > most:
        raise BadFrame(
            f"{name}: expected at most {most // 10**6} megapixels, "
            f"found {width} x {height} = {height * width / 1e6:.0f}; cut or bin it"
        )


def _is_wide_grey(picture: Image.Image) -> bool:
    """16-bit grey of PNG (before Pillow 11) and PGM, which Pillow hands over in its 32-bit mode."""
    return picture.mode == "I" and picture.format in ("PNG", "PPM")


def _is_wide(picture: Image.Image) -> bool:
    """Whether a colour channel holds more than 8 bits in the file; Pillow would cut it to 8 without a word."""
    for tile in getattr(picture, "tile", ()):
        args = tile[3] if isinstance(tile[3], tuple) else (tile[3],)
        if any(isinstance(item, str) and ";16" in item for item in args):
            return True
        if picture.format == "PPM" and any(isinstance(item, int) and item > 255 for item in args[1:]):
            return True
    return False


def _pixels(picture: Image.Image) -> NDArray[Any]:
    """The decoded picture as uint16 (H, W) or uint8 (H, W, 3), still unturned."""
    picture.info.pop("transparency", None)  # or Pillow would look for a colour to stand for it
    if picture.width * picture.height <= BAND:
        return _plain(picture)
    deep = picture.mode in SIXTEEN_BIT or picture.mode == "I"
    shape = (picture.height, picture.width)
    pixels = np.empty(shape, np.uint16) if deep else np.empty((*shape, 3), np.uint8)
    for rows in _bands(*shape):  # Pillow makes two copies on the way, of a large picture too many
        pixels[rows] = _plain(picture.crop((0, rows.start, picture.width, min(rows.stop, picture.height))))
    return pixels


def _plain(picture: Image.Image) -> NDArray[Any]:
    """A decoded picture as uint16 (H, W) or uint8 (H, W, 3)."""
    if picture.mode in SIXTEEN_BIT or picture.mode == "I":
        return np.asarray(picture).astype(np.uint16)
    return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _upright(pixels: NDArray[Any], orientation: Any) -> NDArray[Any]:
    """Turned and mirrored as the EXIF orientation 1..8 says; any other value means 1."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _from_array(array: NDArray[Any], name: str, window: Window) -> Frame:
    if array.ndim not in (2, 3) or array.size == 0:
        raise BadFrame(
            f"{name}: expected (H, W, 3) or (H, W) with pixels, found {_found(array)}; check the grabber"
        )
    _check_size(array.shape[0], array.shape[1], name)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype == np.uint16 and array.ndim == 2:
        array = _windowed(array, window)
    if array.dtype != np.uint8:
        raise BadFrame(
            f"{name}: expected uint8 0..255 (or uint16 grey), found {_found(array)}; "
            "convert it by the camera's own scale, not by its largest value"
        )
    if array.ndim == 2:
        return np.repeat(array[:, :, np.newaxis], 3, axis=2)
    if array.shape[2] not in (3, 4):
        raise BadFrame(f"{name}: expected 1, 3 or 4 channels last, found {_found(array)}; reorder the axes")
    return np.ascontiguousarray(array if array.shape[2] == 3 else array[:, :, :3])


def _windowed(grey: NDArray[np.uint16], window: Window) -> Frame:
    """The frame RGB uint8 (H, W, 3) that 16-bit grey (H, W) is through a window."""
    table = _table(window)
    seen = np.empty((*grey.shape, 3), np.uint8)
    for rows in _bands(*grey.shape):  # numpy would hold 8 bytes a pixel for the whole frame's indices
        levels = table[grey[rows]]
        for channel in range(3):  # twice as fast as handing all three over at once
            seen[rows, :, channel] = levels
    return seen


@lru_cache(maxsize=8)
def _table(window: Window) -> NDArray[np.uint8]:
    """The level 0..255 of each of the 65536 grey values."""
    low, high = window
    span = high - low
    steps = (np.arange(65536) - low).clip(0, span)
    return ((steps * 255 + span // 2) // span).astype(np.uint8)


def _bands(height: int, width: int) -> Iterator[slice]:
    """The rows of a frame, cut into bands of about BAND pixels."""
    step = max(1, BAND // max(1, width))
    return (slice(top, top + step) for top in range(0, height, step))


def _found(array: NDArray[Any]) -> str:
    return f"{array.dtype} {tuple(array.shape)}"

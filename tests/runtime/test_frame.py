"""Frames: every accepted form means what the docstring says, everything else is refused with its name."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps

from visiontune import BadFrame
from visiontune.runtime import frame
from visiontune.runtime.frame import MAX_PIXELS, decode, is_picture

pytestmark = [  # Pillow grumbles about damaged files
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
    pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning"),
]

RGB = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)
GREY = RGB[:, :, 0]


def encoded(picture, kind="PNG", **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


# what is accepted


def test_rgb_comes_back_itself():
    assert decode(RGB) is RGB


def test_views_become_contiguous():
    bgr = RGB[:, ::-1, ::-1]
    assert not bgr.flags.c_contiguous
    found = decode(bgr)
    assert found.flags.c_contiguous
    assert np.array_equal(found, bgr)


@pytest.mark.parametrize("grey", [GREY, GREY[:, :, np.newaxis], np.asfortranarray(GREY)])
def test_grey_is_repeated(grey):
    assert np.array_equal(decode(grey), np.stack([GREY] * 3, axis=2))


def test_alpha_is_dropped_not_blended():
    rgba = np.dstack([RGB, np.zeros_like(GREY)])
    assert np.array_equal(decode(rgba), RGB)
    assert np.array_equal(decode(encoded(Image.fromarray(rgba))), RGB)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_files_path_and_bytes_agree(kind, tmp_path):
    data = encoded(Image.fromarray(RGB), kind, **({"lossless": True} if kind == "WEBP" else {}))
    path = tmp_path / f"frame.{kind.lower()}"
    path.write_bytes(data)
    for source in (path, os.fspath(path), data, bytearray(data), memoryview(data)):
        found = decode(source)
        assert (found.dtype, found.flags.c_contiguous) == (np.uint8, True)
        assert np.array_equal(found, RGB)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK"])
def test_other_modes_become_rgb_by_pillows_rule(mode):
    picture = Image.fromarray(RGB).convert(mode)
    data = encoded(picture, "TIFF" if mode == "CMYK" else "PNG")
    assert np.array_equal(decode(data), np.asarray(picture.convert("RGB")))


def test_palette_with_transparency_keeps_its_colours():
    picture = Image.fromarray(RGB).quantize(16)
    wanted = np.asarray(picture.convert("RGB"))
    for transparency in (0, bytes(range(16))):
        assert np.array_equal(decode(encoded(picture, transparency=transparency)), wanted)


def test_cmyk_jpeg_is_read():
    flat = Image.new("CMYK", (16, 16), (0, 200, 200, 0))
    red, green, blue = decode(encoded(flat, "JPEG")).mean(axis=(0, 1))
    assert red > 240 and green < 70 and blue < 70


@given(
    st.integers(0, 65534).flatmap(lambda low: st.tuples(st.just(low), st.integers(low + 1, 65535))), st.data()
)
def test_the_window_is_linear(window, data):
    low, high = window
    values = [*data.draw(st.lists(st.integers(0, 65535), min_size=1, max_size=20)), low, high]
    found = decode(np.array([values], np.uint16), window=window)[0]
    for value, level in zip(values, found, strict=True):
        exact = (min(max(value, low), high) - low) * 255 / (high - low)
        assert abs(int(level[0]) - exact) <= 0.5 + 1e-9
        assert level[0] == level[1] == level[2]
    assert (found[-2][0], found[-1][0]) == (0, 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PGM"])
def test_sixteen_bit_files_are_windowed(kind):
    deep = np.array([[0, 256, 65535], [30000, 40000, 50000]], np.uint16)
    pgm = b"P5 3 2 65535\n" + deep.astype(">u2").tobytes()
    data = pgm if kind == "PGM" else encoded(Image.fromarray(deep), kind)
    assert np.array_equal(decode(data), decode(deep))
    assert np.array_equal(decode(data, window=(256, 50000)), decode(deep, window=(256, 50000)))
    assert decode(data)[1, 0, 0] == round(30000 / 257)


def test_big_endian_sixteen_bit_tiff():
    deep = np.array([[0, 256, 65535]], np.uint16)
    data = encoded(Image.fromarray(deep.astype(">u2")), "TIFF")
    assert np.array_equal(decode(data), decode(deep))


def test_eight_bits_ignore_the_window():
    assert np.array_equal(decode(encoded(Image.fromarray(RGB)), window=(1, 2)), RGB)


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_exif_orientation_is_applied(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.kron(RGB, np.ones((8, 8, 1), np.uint8)))
    data = encoded(picture, kind, exif=exif)
    wanted = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert np.array_equal(decode(data), np.asarray(wanted.convert("RGB")))


def test_orientation_turns_sixteen_bits_too():
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = np.array([[0, 65535]], np.uint16)
    assert decode(encoded(Image.fromarray(deep), exif=exif))[:, :, 0].tolist() == [[0], [255]]


def test_a_phones_jpeg_with_a_preview_is_one_picture():
    picture = Image.fromarray(RGB)
    found = decode(encoded(picture, "MPO", save_all=True, append_images=[picture.resize((2, 2))]))
    assert found.shape == RGB.shape


# what is refused


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (RGB / 255, "float64"),
        (RGB.astype(np.float32), "float32"),
        (RGB.astype(np.float16), "float16"),
        (GREY > 9, "bool"),
        (RGB.astype(np.int64), "int64"),
        (RGB.astype(np.uint16), "uint16"),
        (np.zeros((0, 5, 3), np.uint8), r"\(0, 5, 3\)"),
        (np.zeros((5, 5, 0), np.uint8), r"\(5, 5, 0\)"),
        (np.zeros((5, 5, 2), np.uint8), r"\(5, 5, 2\)"),
        (np.zeros((3, 5, 5), np.uint8), r"\(3, 5, 5\)"),
        (np.zeros((1, 5, 5, 3), np.uint8), r"\(1, 5, 5, 3\)"),
        (np.zeros(5, np.uint8), r"\(5,\)"),
        (np.array(None), "object"),
    ],
)
def test_other_arrays_are_refused(array, found):
    with pytest.raises(BadFrame, match=f"found.*{found}.*;"):
        decode(array)


@pytest.mark.parametrize("thing", [None, 5, [[1]], Image.fromarray(RGB)])
def test_other_things_are_refused(thing):
    with pytest.raises(BadFrame, match=type(thing).__name__):
        decode(thing)


def test_too_many_pixels_in_an_array():
    huge = np.broadcast_to(np.uint8(0), (MAX_PIXELS // 10_000 + 1, 10_000, 3))
    with pytest.raises(BadFrame, match="200 megapixels"):
        decode(huge)


def png_header(width, height):
    """A PNG that promises so many pixels and holds none."""
    return png(b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT")


def png(*chunks):
    """A PNG of these chunks, their type and content without length and checksum."""
    packed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("limit", [None, 89_478_485])
def test_too_many_pixels_in_a_header_are_not_decoded(limit, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(BadFrame, match="pixels"):
        decode(png_header(50_000, 50_000))


@pytest.mark.parametrize(
    ("kind", "options", "cost"),
    [("PNG", {}, 8), ("JPEG", {}, 8), ("JPEG", {"progressive": True}, 12), ("WEBP", {}, 18), ("TIFF", {}, 8)],
)
def test_a_file_may_only_be_as_large_as_decoding_may_hold(kind, options, cost, monkeypatch):
    data = encoded(Image.fromarray(RGB), kind, **options)
    monkeypatch.setattr(frame, "DECODING", cost * GREY.size)
    assert decode(data).shape == RGB.shape
    monkeypatch.setattr(frame, "DECODING", cost * GREY.size - 1)
    with pytest.raises(BadFrame, match="expected at most 0 megapixels, found 5 x 7"):
        decode(data)
    assert decode(RGB) is RGB  # an array is there already


@pytest.mark.parametrize("band", [1, 6, 15, 34])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "deep", "turned"])
def test_large_pictures_are_turned_into_ours_band_by_band(mode, band, monkeypatch):
    deep = np.random.default_rng(1).integers(0, 65536, GREY.shape, np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.fromarray(deep if mode == "deep" else RGB)
    if mode not in ("deep", "turned"):
        picture = picture.convert(mode)
    data = encoded(picture, "TIFF", **({"exif": exif} if mode == "turned" else {}))
    wanted = decode(data, window=(99, 50_000))
    monkeypatch.setattr(frame, "BAND", band)
    found = decode(data, window=(99, 50_000))
    assert np.array_equal(found, wanted) and found.flags.c_contiguous


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])
def test_a_truncated_file_is_refused_or_whole(kind):
    data = encoded(Image.fromarray(np.kron(RGB, np.ones((9, 9, 1), np.uint8))), kind)
    whole = decode(data)
    refused = 0
    for end in range(0, len(data), max(1, len(data) // 150)):
        try:
            found = decode(data[:end])
        except BadFrame:
            refused += 1
        else:
            assert np.array_equal(found, whole)
    assert refused > 100


def test_progressive_jpeg_too():
    data = encoded(Image.fromarray(np.kron(RGB, np.ones((16, 16, 1), np.uint8))), "JPEG", progressive=True)
    with pytest.raises(BadFrame, match="expected a whole picture"):
        decode(data[: len(data) // 2])


def test_pillows_leniency_is_refused(monkeypatch):
    data = encoded(Image.fromarray(RGB), "JPEG")
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(BadFrame, match="LOAD_TRUNCATED_IMAGES"):
        decode(data[:-50])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_raise_nothing_but_bad_frame(data):
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM"]))
    damaged = bytearray(encoded(Image.fromarray(RGB), kind))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = decode(bytes(damaged))
    except BadFrame as error:
        assert "\n" not in str(error)
    else:
        assert found.dtype == np.uint8 and found.ndim == 3


@pytest.mark.parametrize("data", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(BadFrame, match="expected a picture"):
        decode(data)


def test_several_pictures_in_one_file_are_refused():
    pages = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    for kind in ("TIFF", "GIF", "WEBP", "PNG"):
        with pytest.raises(BadFrame, match="found several in the file"):
            decode(encoded(pages[0], kind, save_all=True, append_images=pages[1:]))


def test_sixteen_bit_colour_is_refused():
    pixels = struct.pack(">6H", 0, 1, 2, 300, 40000, 65535)
    header = b"IHDR" + struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    with pytest.raises(BadFrame, match="8 bits a colour channel, found 16"):
        decode(png(header, b"IDAT" + zlib.compress(b"\0" + pixels), b"IEND"))
    with pytest.raises(BadFrame, match="8 bits a colour channel, found 16"):
        decode(b"P6 2 1 65535\n" + pixels)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_float_and_32_bit_pictures_are_refused(mode):
    with pytest.raises(BadFrame, match=f"mode {mode}"):
        decode(encoded(Image.fromarray(GREY).convert(mode), "TIFF"))


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(BadFrame, match=r"gone\.png: .*nothing there"):
        decode(tmp_path / "gone.png")
    with pytest.raises(BadFrame, match="a folder"):
        decode(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        with pytest.raises(BadFrame, match="no file"):
            decode(tmp_path / "pipe.png")
    with pytest.raises(BadFrame, match="nothing there"):
        decode("a\0b.png")


def test_the_path_is_named_when_the_file_is_bad(tmp_path):
    path = tmp_path / "bad.png"
    path.write_bytes(encoded(Image.fromarray(RGB))[:-40])
    with pytest.raises(BadFrame, match=r"bad\.png: expected a whole picture"):
        decode(path)


@pytest.mark.parametrize("window", [(5, 5), (9, 3), (-1, 5), (0, 65536)])
def test_windows_out_of_order_are_refused(window):
    with pytest.raises(ValueError, match="window"):
        decode(RGB, window=window)


def test_picture_names(tmp_path):
    assert is_picture(tmp_path / "A.JPG") and is_picture(tmp_path / "b.tiff")
    assert not is_picture(tmp_path / "notes.txt")

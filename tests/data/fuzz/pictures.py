"""Hostile picture files, the same ones every time: cut, flipped, lying about their size, larger inside than outside."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from random import Random

import numpy as np
from PIL import Image

Named = tuple[str, str, bytes]  # what it is, the file's suffix, its bytes


def pictures(random: Random) -> Iterator[Named]:
    """Every hostile picture."""
    bases = sound()
    yield from bases
    yield from cut(random, bases)
    yield from flipped(random, bases)
    yield from shuffled(random, bases)
    yield from lying()
    yield from bombs()
    yield from bad_exif(random)
    yield from misnamed(bases)


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """The file's bytes."""
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def sound() -> list[Named]:
    """One file of each form that is read."""
    rgba = np.random.default_rng(0).integers(0, 256, (18, 24, 4), np.uint8)
    picture, grey = Image.fromarray(rgba).convert("RGB"), Image.fromarray(rgba[:, :, 0])
    deep = Image.fromarray(rgba.view(np.uint16)[:, :, 0].copy())
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    smooth = picture.resize((6, 5)).resize((48, 40))
    return [
        ("png rgb", "png", encoded(picture, "PNG", exif=exif)),
        ("png rgba", "png", encoded(Image.fromarray(rgba), "PNG")),
        ("png palette", "png", encoded(picture.quantize(16), "PNG", transparency=3)),
        ("png deep", "png", encoded(deep, "PNG")),
        ("jpeg", "jpg", encoded(smooth, "JPEG", exif=exif, quality=90)),
        ("jpeg progressive", "jpg", encoded(smooth, "JPEG", progressive=True)),
        ("jpeg cmyk", "jpg", encoded(smooth.convert("CMYK"), "JPEG")),
        ("tiff", "tif", encoded(picture, "TIFF", exif=exif)),
        ("tiff lzw", "tif", encoded(picture, "TIFF", compression="tiff_lzw")),
        ("tiff deep", "tif", encoded(deep, "TIFF")),
        ("bmp", "bmp", encoded(picture, "BMP")),
        ("gif", "gif", encoded(picture.quantize(16), "GIF")),
        ("ppm", "ppm", encoded(picture, "PPM")),
        ("pgm", "pgm", encoded(grey, "PPM")),
        ("webp", "webp", encoded(picture, "WEBP", exif=exif)),
        ("webp lossless", "webp", encoded(Image.fromarray(rgba), "WEBP", lossless=True)),
    ]


def cut(random: Random, bases: list[Named]) -> Iterator[Named]:
    """Files that end too early."""
    for name, suffix, data in bases:
        ends = [1, 2, 8, 30, len(data) - 1, len(data) // 2, random.randrange(len(data))]
        yield from ((f"{name} cut at {end}", suffix, data[:end]) for end in ends)


def flipped(random: Random, bases: list[Named]) -> Iterator[Named]:
    """Files with a few wrong bits, half of them in the header."""
    for name, suffix, data in bases:
        for turn in range(8):
            damaged = bytearray(data)
            for _ in range(random.choice((1, 2, 8))):
                end = min(120, len(data)) if turn % 2 else len(data)
                damaged[random.randrange(end)] ^= 1 << random.randrange(8)
            yield f"{name} flipped {turn}", suffix, bytes(damaged)


def shuffled(random: Random, bases: list[Named]) -> Iterator[Named]:
    """Files with a stretch doubled, left out, or overwritten by noise."""
    for name, suffix, data in bases:
        start, end = sorted(random.randrange(len(data)) for _ in range(2))
        yield f"{name} doubled", suffix, data[:end] + data[start:]
        yield f"{name} left out", suffix, data[:start] + data[end:]
        yield f"{name} noise", suffix, data[:start] + random.randbytes(end - start) + data[end:]


def png(*chunks: bytes) -> bytes:
    """A PNG of these chunks, their type and content without length and checksum."""
    packed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def ihdr(width: int, height: int, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG's header chunk."""
    return b"IHDR" + struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


HUGE = [
    (2**31 - 1, 1),
    (1, 2**31 - 1),
    (65_535, 65_535),
    (10**6, 10**6),
    (0, 9),
    (10_001, 10_000),
    (10_000, 10_000),
    (60_000_000, 1),
]


def lying() -> Iterator[Named]:
    """Headers that promise more, or other, than the file holds."""
    few = zlib.compress(b"\0" + bytes(30))
    jpeg = encoded(Image.new("RGB", (16, 16), (200, 30, 90)), "JPEG")
    progressive = encoded(Image.new("RGB", (16, 16), (200, 30, 90)), "JPEG", progressive=True)
    for width, height in HUGE:
        size = f"{width} x {height}"
        yield f"png promises {size}", "png", png(ihdr(width, height), b"IDAT" + few, b"IEND")
        if max(width, height) < 65536:
            for name, data in (("jpeg", jpeg), ("progressive jpeg", progressive)):
                at = data.index(b"\xff\xc0" if name == "jpeg" else b"\xff\xc2") + 5
                wrong = data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]
                yield f"{name} promises {size}", "jpg", wrong
        yield f"tiff promises {size}", "tif", tiff({256: width, 257: height})
        yield f"bmp promises {size}", "bmp", bmp(width, height)
        yield f"ppm promises {size}", "ppm", b"P6 %d %d 255\n" % (width, height) + bytes(30)
        if max(width, height) < 65536:
            yield f"gif promises {size}", "gif", gif_header(width, height) + frame(width, height) + b";"
        yield f"webp promises {size}", "webp", webp(width, height)
    strips = {"tiff, strip of 4 GB": {279: 2**32 - 1}, "tiff, strip at 4 GB": {273: 2**32 - 1}}
    rows = {
        "tiff, rows of 4 G": {278: 2**32 - 1},
        "tiff, no rows": {278: 0},
        "tiff, 60000 bits": {258: 60_000},
    }
    samples = {"tiff, 60000 samples": {277: 60_000}, "tiff, negative tile": {322: 2**32 - 1, 323: 2**32 - 1}}
    codecs = {f"tiff, compression {n}": {259: n} for n in (5, 6, 7, 8, 32773, 34712, 50000, 65535)}
    for name, tags in {**strips, **rows, **samples, **codecs}.items():
        yield name, "tif", tiff(tags)
    yield "tiff, list of itself", "tif", tiff({}, follows=8)
    yield "tiff, 50000 pages", "tif", pages(50_000)
    yield "gif, 100000 frames", "gif", gif_header(1, 1) + frame(1, 1) * 100_000 + b";"
    yield "ppm, number without end", "ppm", b"P6 " + b"9" * 200_000 + b" 1 255\n"
    yield "ppm, comment without end", "ppm", b"P6 #" + b"x" * 200_000
    yield "pgm, more than 16 bits", "pgm", b"P5 2 2 99999\n" + bytes(16)
    yield "pgm in words", "pgm", b"P2 2 2 255\n1 2 three 4\n"
    yield "jpeg of markers", "jpg", b"\xff\xd8" + b"\xff\xe0\x00\x02" * 50_000 + b"\xff\xd9"


def tiff(tags: dict[int, int], *, follows: int = 0) -> bytes:
    """A grey TIFF of 4 x 4 with some tags changed; `follows` is where the next page is said to be."""
    found = {256: 4, 257: 4, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 4, 279: 16, **tags}
    if 322 in found:
        found |= {324: 8, 325: 16}
        del found[273], found[279]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(found.items()))
    body = bytes(range(16))
    return (
        b"II*\0"
        + struct.pack("<I", 24)
        + body
        + struct.pack("<H", len(found))
        + entries
        + struct.pack("<I", follows)
    )


def pages(count: int) -> bytes:
    """A TIFF that chains up pages."""
    whole = bytearray(tiff({}))
    page = whole[24:-4]
    for _ in range(count):
        whole[-4:] = struct.pack("<I", len(whole))
        whole += page + bytes(4)
    return bytes(whole)


def bmp(width: int, height: int) -> bytes:
    """A BMP of 24 bits with hardly any pixels."""
    sizes = struct.pack("<IiiHHIIiiII", 40, width & 0x7FFFFFFF, height & 0x7FFFFFFF, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 30, 0, 0, 54) + sizes + bytes(30)


def gif_header(width: int, height: int) -> bytes:
    """A GIF's header with a palette of two."""
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)


def frame(width: int, height: int) -> bytes:
    """One frame of a GIF, of one pixel whatever it says."""
    return b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x44\x01\x00"


def webp(width: int, height: int) -> bytes:
    """An extended WEBP's header."""
    edge = [struct.pack("<I", max(0, side - 1) & 0xFFFFFF)[:3] for side in (width, height)]
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + edge[0] + edge[1]
    return b"RIFF" + struct.pack("<I", len(body)) + body


def deflated(row: bytes, count: int) -> bytes:
    """`count` times `row`, compressed."""
    pack = zlib.compressobj(1)
    some = max(1, min(count, 2**20 // len(row)))
    parts = [pack.compress(row * some) for _ in range(count // some)]
    return b"".join([*parts, pack.compress(row * (count % some)), pack.flush()])


def bombs() -> Iterator[Named]:
    """Small files that are large when opened."""
    zeros = deflated(bytes(2**16), 3000)  # 197 MB in 190 kB
    for name, width, height, bits, colour in (
        ("grey, 1 bit, 100 megapixels", 10_000, 10_000, 1, 0),
        ("colour, 100 megapixels", 10_000, 10_000, 8, 2),
        ("colour, 250 megapixels", 25_000, 10_000, 8, 2),
        ("16 bits, 100 megapixels", 10_000, 10_000, 16, 0),
    ):
        channels = {0: 1, 2: 3}[colour]
        row = b"\0" + bytes((width * bits * channels + 7) // 8)
        yield (
            f"bomb, {name}",
            "png",
            png(
                ihdr(width, height, bits, colour),
                b"IDAT" + deflated(row, height if height * width < 2e8 else 9),
                b"IEND",
            ),
        )
    palette = b"PLTE" + bytes(768)
    row = b"\0" + bytes(5_000)
    yield (
        "bomb, palette",
        "png",
        png(ihdr(5_000, 5_000, 8, 3), palette, b"IDAT" + deflated(row, 5_000), b"IEND"),
    )
    yield (
        "bomb, palette of a million",
        "png",
        png(ihdr(2, 2, 8, 3), b"PLTE" + bytes(3 * 10**6), b"IDAT" + zlib.compress(bytes(6)), b"IEND"),
    )
    yield (
        "bomb, transparency of a million",
        "png",
        png(ihdr(2, 2, 8, 3), palette, b"tRNS" + bytes(10**6), b"IDAT" + zlib.compress(bytes(6)), b"IEND"),
    )
    yield "bomb behind 4 pixels", "png", png(ihdr(2, 2), b"IDAT" + zeros, b"IEND")
    for chunk in (b"iCCPx\0\0", b"zTXtx\0\0", b"iTXtx\0\1\0\0\0"):
        name = chunk[:4].decode()
        yield (
            f"bomb in {name}",
            "png",
            png(ihdr(2, 2), chunk + zeros, b"IDAT" + zlib.compress(bytes(14)), b"IEND"),
        )
    yield "bomb, a million empty chunks", "png", png(ihdr(2, 2), *[b"teSt"] * 200_000, b"IEND")
    yield "bomb, tiff deflate", "tif", packed_tiff(5_000, 5_000, 8, deflated(bytes(5_000), 5_000))
    yield "bomb, tiff deflate of 4 pixels", "tif", packed_tiff(2, 2, 8, zeros)
    yield (
        "bomb, one line",
        "png",
        png(ihdr(60_000_000, 1, 8, 0), b"IDAT" + deflated(bytes(10**6), 61), b"IEND"),
    )
    yield (
        "bomb, one column",
        "png",
        png(ihdr(1, 4_000_000, 8, 0), b"IDAT" + deflated(bytes(2), 4 * 10**6), b"IEND"),
    )
    yield "bomb, gif", "gif", encoded(Image.new("P", (5_000, 5_000)), "GIF")
    yield (
        "bomb, webp",
        "webp",
        encoded(Image.new("RGB", (5_000, 5_000)), "WEBP", lossless=True, method=0, quality=0),
    )
    big = Image.new("L", (8_100, 8_100), 90)
    yield "bomb, progressive jpeg", "jpg", encoded(big, "JPEG", progressive=True)


def packed_tiff(width: int, height: int, compression: int, data: bytes) -> bytes:
    """A grey TIFF of one compressed strip."""
    whole = tiff({256: width, 257: height, 259: compression, 278: height, 279: len(data)})
    entry = whole.index(struct.pack("<HHI", 273, 4, 1)) + 8
    return whole[:entry] + struct.pack("<I", len(whole)) + whole[entry + 4 :] + data


def bad_exif(random: Random) -> Iterator[Named]:
    """EXIF blocks that are none, point nowhere, to themselves, or claim to be endless."""
    small = Image.new("RGB", (12, 10), (9, 99, 199))
    header = b"Exif\0\0"

    def block(entries: bytes, count: int, follows: int = 0) -> bytes:
        return header + b"II*\0\x08\0\0\0" + struct.pack("<H", count) + entries + struct.pack("<I", follows)

    def entry(tag: int, kind: int, count: int, value: int) -> bytes:
        return struct.pack("<HHII", tag, kind, count, value)

    blocks = {
        "empty": b"",
        "header only": header,
        "text": header + b"not a TIFF at all",
        "noise": header + random.randbytes(300),
        "noise as TIFF": header + b"II*\0\x08\0\0\0" + random.randbytes(300),
        "at 4 GB": header + b"II*\0\xff\xff\xff\xff",
        "65535 entries": block(entry(0x0112, 3, 1, 6), 65_535),
        "loop": block(entry(0x8769, 4, 1, 8), 1, 8),
        "loop of GPS": block(entry(0x8825, 4, 1, 8), 1),
        "value of 4 GB": block(entry(0x010F, 2, 2**32 - 1, 8), 1),
        "value at 4 GB": block(entry(0x010F, 2, 90, 2**32 - 1), 1),
        "unknown type": block(entry(0x0112, 99, 1, 6), 1),
        **{f"orientation {value}": block(entry(0x0112, 3, 1, value), 1) for value in (0, 6, 9, 65_535)},
        "orientation as text": block(entry(0x0112, 2, 4, 0x41414141), 1),
        "orientation twice": block(entry(0x0112, 3, 1, 6) * 2, 2),
        "two orientations": block(entry(0x0112, 3, 2, 6 << 16 | 6), 1),
        "big and little": header + b"MM\0*\x08\0\0\0\x01\0" + entry(0x0112, 3, 1, 6),
    }
    for name, exif in blocks.items():
        for suffix, kind in (("jpg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")):
            try:
                data = encoded(small, kind, exif=exif)
            except Exception:
                continue
            yield f"exif {name} in {kind}", suffix, data


def misnamed(bases: list[Named]) -> Iterator[Named]:
    """Files that are not what their name says, or nothing at all."""
    jpeg, rgb = bases[4][2], bases[0][2]
    yield "no bytes", "png", b""
    yield "one byte", "jpg", b"\xff"
    yield "jpeg called png", "png", jpeg
    yield "png called jpg", "jpg", rgb
    yield "text called png", "png", b"part 7 is fine\n"
    yield "html called jpg", "jpg", b"<!DOCTYPE html><html><body>404</body></html>"
    yield "svg called png", "png", b"<svg xmlns='http://www.w3.org/2000/svg' width='1e9' height='1e9'/>"
    yield "eps called png", "png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nquit\n"
    yield "pdf called tif", "tif", b"%PDF-1.7\n1 0 obj <</Type/Catalog>> endobj\n%%EOF\n"
    yield "zip called png", "png", b"PK\x03\x04" + bytes(60)
    yield "pickle called png", "png", b"\x80\x04cos\nsystem\n(S'true'\ntR."
    yield "ico called bmp", "bmp", encoded(Image.new("RGBA", (16, 16)), "ICO")
    yield "png behind rubbish", "png", b"\n\n" + rgb
    yield "jpeg before a zip", "jpg", jpeg + b"PK\x03\x04" + bytes(60)
    yield "two jpegs", "jpg", jpeg + jpeg

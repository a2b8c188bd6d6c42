"""Every colour form that a file may have means the same pixels in the lab and on the line: read, load, Inspector."""

import io
import shutil
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.line_models import FLOAT, a_card, constant, finished, info, node
from visiontune import Inspector
from visiontune.data.fit import Fit, fit_nodes
from visiontune.data.read import read
from visiontune.data.store import load
from visiontune.runtime.card import InputSpec

SIDE = 16
FIT = Fit((SIDE, SIDE))


def mirror(window=None):
    """An Inspector whose heatmap shows the fitted pixels themselves, channel beside channel: float (16, 48), level / 255."""
    spec = InputSpec(size=(SIDE, SIDE), mean=(0, 0, 0), std=(1, 1, 1), window=window)
    card = replace(a_card(), input=spec)
    nodes, tensors = fit_nodes("frames", "fitted", size=(SIDE, SIDE), roi=None)
    tensors += [
        constant("flat", np.array([0, SIDE, 3 * SIDE])),
        constant("white", np.float32(255)),
        constant("axes", np.array([1, 2])),
        constant("one", np.array([1])),
        constant("certain", np.array([[1, 0, 0]], np.float32)),
        constant("none", np.float32(0)),
    ]
    nodes += [
        node("Reshape", ["fitted", "flat"], "wide"),
        node("Cast", ["wide"], "levels", to=FLOAT),
        node("Div", ["levels", "white"], "heatmap"),
        node("ReduceMean", ["heatmap", "axes"], "mean", keepdims=0),
        node("Mul", ["mean", "none"], "severity"),
        node("Unsqueeze", ["severity", "one"], "column"),
        node("Add", ["column", "certain"], "kinds"),
    ]
    outputs = [info("severity", FLOAT, ["n"]), info("kinds", FLOAT, ["n", 3])]
    outputs.append(info("heatmap", FLOAT, ["n", SIDE, 3 * SIDE]))
    return Inspector(finished(nodes, tensors, outputs, card, golden=False))


MIRROR = mirror()


def seen(inspector, source):
    """The fitted pixels that the line judges, uint8 (16, 16, 3)."""
    heatmap = inspector(source).heatmap
    return np.round(heatmap * 255).astype(np.uint8).reshape(SIDE, SIDE, 3)


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def opened(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def threefold(grey):
    return np.repeat(grey[:, :, np.newaxis], 3, axis=2)


# Each form: random levels uint8 (h, w, 4) -> file name, bytes, and the RGB pixels that they mean by plain arithmetic.


def grey(levels, kind, suffix):
    return suffix, encoded(Image.fromarray(levels[:, :, 0]), kind), threefold(levels[:, :, 0])


def rgb(levels, kind, suffix, **options):
    picture = Image.fromarray(np.ascontiguousarray(levels[:, :, :3]))
    return suffix, encoded(picture, kind, **options), levels[:, :, :3]


def rgba(levels, kind, suffix, **options):
    return suffix, encoded(Image.fromarray(levels), kind, **options), levels[:, :, :3]


def grey_alpha(levels):
    picture = Image.fromarray(np.ascontiguousarray(levels[:, :, :2]), "LA")
    return "png", encoded(picture, "PNG"), threefold(levels[:, :, 0])


def one_bit(levels):
    white = levels[:, :, 0] > 127
    return "png", encoded(Image.fromarray(white), "PNG"), threefold(np.where(white, 255, 0).astype(np.uint8))


def palette(levels, kind, suffix, **options):
    index = levels[:, :, 0] // 16
    colours = np.random.default_rng(int(index.sum())).integers(0, 256, (16, 3), np.uint8)
    picture = Image.fromarray(index, "P")
    picture.putpalette(colours.tobytes())
    return suffix, encoded(picture, kind, **options), colours[index]


def cmyk(levels):
    c, nk = levels[:, :, :3].astype(int), 255 - levels[:, :, 3:].astype(int)
    product = c * nk + 128
    wanted = nk - ((product + (product >> 8)) >> 8)  # Pillow's rule, no ink profile
    return "tif", encoded(Image.fromarray(levels, "CMYK"), "TIFF"), wanted.astype(np.uint8)


def palette_alpha(levels):
    picture = Image.fromarray(np.ascontiguousarray(levels[:, :, :3])).convert("P").convert("PA")
    return "tif", encoded(picture, "TIFF"), np.asarray(picture.convert("RGB"))


def luma_chroma(levels):
    picture = Image.frombytes("YCbCr", levels.shape[1::-1], levels[:, :, :3].tobytes())
    return "tif", encoded(picture, "TIFF"), np.asarray(picture.convert("RGB"))


def padded(levels):
    return (
        "tif",
        encoded(Image.frombytes("RGBX", levels.shape[1::-1], levels.tobytes()), "TIFF"),
        levels[:, :, :3],
    )


def jpeg(levels, mode):
    """What a JPEG means is what Pillow makes of it; that both floors see that is what is tested."""
    smooth = Image.fromarray(np.ascontiguousarray(levels[:4, :4])).resize(levels.shape[1::-1])
    data = encoded(smooth.convert("RGB").convert(mode), "JPEG", quality=90)
    return "jpg", data, opened(data)


def preview(levels):
    picture = Image.fromarray(np.ascontiguousarray(levels[:, :, :3]))
    data = encoded(picture, "MPO", save_all=True, append_images=[picture.resize((2, 2))])
    return "jpg", data, opened(data)


TURNS = {
    1: lambda p: p,
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: p.swapaxes(0, 1),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
    8: np.rot90,
}


def turned(levels, kind, suffix, **options):
    orientation = int(levels[0, 0, 3]) % 8 + 1
    exif = Image.Exif()
    exif[0x0112] = orientation
    suffix, data, wanted = rgb(levels, kind, suffix, exif=exif, **options)
    return suffix, data, TURNS[orientation](opened(data) if kind == "JPEG" else wanted)


FORMS = {
    "grey png": lambda p: grey(p, "PNG", "png"),
    "grey pgm": lambda p: grey(p, "PPM", "pgm"),
    "grey tiff": lambda p: grey(p, "TIFF", "tif"),
    "grey jpeg": lambda p: jpeg(p, "L"),
    "grey alpha": grey_alpha,
    "one bit": one_bit,
    "rgb png": lambda p: rgb(p, "PNG", "png"),
    "rgb bmp": lambda p: rgb(p, "BMP", "bmp"),
    "rgb tiff": lambda p: rgb(p, "TIFF", "tiff", compression="tiff_lzw"),
    "rgb ppm": lambda p: rgb(p, "PPM", "ppm"),
    "rgb webp": lambda p: rgb(p, "WEBP", "webp", lossless=True),
    "rgb jpeg": lambda p: jpeg(p, "RGB"),
    "phone's jpeg": preview,
    "rgba png": lambda p: rgba(p, "PNG", "png"),
    "rgba tiff": lambda p: rgba(p, "TIFF", "tif"),
    "rgba webp": lambda p: rgba(p, "WEBP", "webp", lossless=True, exact=True),
    "palette png": lambda p: palette(p, "PNG", "png"),
    "palette png, one colour transparent": lambda p: palette(p, "PNG", "png", transparency=3),
    "palette png, all half transparent": lambda p: palette(p, "PNG", "png", transparency=bytes(range(16))),
    "palette gif": lambda p: palette(p, "GIF", "gif"),
    "palette bmp": lambda p: palette(p, "BMP", "bmp"),
    "palette with alpha": palette_alpha,
    "luma and chroma": luma_chroma,
    "padded rgb": padded,
    "cmyk tiff": cmyk,
    "cmyk jpeg": lambda p: jpeg(p, "CMYK"),
    "turned png": lambda p: turned(p, "PNG", "png"),
    "turned jpeg": lambda p: turned(p, "JPEG", "JPG"),
    "turned tiff": lambda p: turned(p, "TIFF", "TIF"),
    "turned webp": lambda p: turned(p, "WEBP", "webp", lossless=True),
}

quick = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def in_the_lab(root, suffix, data, *, window=None):
    """The pixels that training sees of this file, from a store and without one, and the file."""
    shutil.rmtree(root, ignore_errors=True)
    path = root / "parts" / "good" / f"part.{suffix}"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    found = read(root / "parts")
    [sample] = found.samples
    [plain] = load(found, FIT, window=window)
    [kept] = load(found, FIT, window=window, folder=root / "store")
    [again] = load(found, FIT, window=window, folder=root / "store")
    assert np.array_equal(plain, kept) and np.array_equal(plain, again)
    return plain, sample.path


@pytest.mark.parametrize("form", FORMS)
@quick
@given(
    size=st.just((SIDE, SIDE)) | st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 99)
)
def test_lab_and_line_see_the_same_pixels(form, size, seed, tmp_path):
    levels = np.random.default_rng(seed).integers(0, 256, (*size, 4), np.uint8)
    suffix, data, wanted = FORMS[form](levels)
    found, path = in_the_lab(tmp_path / "one", suffix, data)
    assert np.array_equal(found, FIT(np.ascontiguousarray(wanted)))
    if wanted.shape[:2] == (SIDE, SIDE):
        assert np.array_equal(found, wanted)
    assert np.array_equal(found, seen(MIRROR, path))
    assert np.array_equal(found, seen(MIRROR, data))
    assert np.array_equal(found, seen(MIRROR, np.ascontiguousarray(wanted)))  # a camera's own array


def pgm(deep):
    return b"P5 %d %d 65535\n" % deep.shape[::-1] + deep.astype(">u2").tobytes()


DEEP = {
    "png": lambda deep: encoded(Image.fromarray(deep), "PNG"),
    "tif": lambda deep: encoded(Image.fromarray(deep), "TIFF"),
    "tiff": lambda deep: encoded(Image.fromarray(deep.astype(">u2")), "TIFF"),  # big-endian
    "pgm": pgm,
}
windows = st.integers(0, 65534).flatmap(
    lambda low: st.tuples(st.just(low), st.integers(low + 1, min(65535, low + 9000)))
)


@pytest.mark.parametrize("suffix", DEEP)
@quick
@given(window=st.none() | st.just((0, 4095)) | windows, seed=st.integers(0, 99))
def test_sixteen_bits_go_through_the_cards_window_on_both_floors(suffix, window, seed, tmp_path):
    low, high = window or (0, 65535)
    random = np.random.default_rng(seed)
    deep = random.integers(max(0, low - 900), min(65535, high + 900), (SIDE, SIDE), np.uint16)
    deep[0, :3] = low, high, min(low + 1, high)
    clipped = deep.astype(int).clip(low, high) - low
    wanted = threefold(((510 * clipped + high - low) // (2 * (high - low))).astype(np.uint8))  # halves go up
    found, path = in_the_lab(tmp_path / "one", suffix, DEEP[suffix](deep), window=window)
    assert np.array_equal(found, wanted)
    line = mirror(window)
    assert line.card.input.window == window
    for source in (path, path.read_bytes(), deep, wanted):
        assert np.array_equal(found, seen(line, source))
    [verdict] = line.many([deep])
    assert np.array_equal(verdict.heatmap, line(path).heatmap)


def test_a_frame_of_unusual_extent_is_judged_like_any_other():
    """Its session gives the memory back (see Inspector); the answer is the same."""
    tall = np.random.default_rng(0).integers(0, 256, (2**17 + 1, 2, 3), np.uint8)
    assert np.array_equal(seen(MIRROR, tall), FIT(tall))
    assert np.array_equal(seen(MIRROR, tall[:40]), FIT(tall[:40]))


def test_the_window_of_another_card_gives_other_pixels(tmp_path):
    deep = np.full((SIDE, SIDE), 2048, np.uint16)
    assert (seen(mirror((0, 4095)), deep) == 128).all()
    assert (seen(MIRROR, deep) == 8).all()
    shallow = np.full((SIDE, SIDE), 77, np.uint8)
    assert (seen(mirror((0, 4095)), shallow) == 77).all()


def test_turning_and_windowing_go_together(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = np.arange(SIDE * SIDE, dtype=np.uint16).reshape(SIDE, SIDE) * 16
    data = encoded(Image.fromarray(deep), "PNG", exif=exif)
    found, path = in_the_lab(tmp_path / "one", "png", data, window=(0, 4080))
    assert np.array_equal(found, threefold(np.rot90(np.arange(256, dtype=np.uint8).reshape(16, 16), -1)))
    assert np.array_equal(found, seen(mirror((0, 4080)), path))


def test_measuring_looks_through_the_window_too(tmp_path):
    """`measure` decodes by itself, to time it."""
    from tests.line_models import table_model
    from visiontune.data.samples import Sample
    from visiontune.runtime.measure import measure

    severity = np.linspace(0, 1, 256)
    spec = replace(a_card().input, window=(1000, 1255))
    inspector = Inspector(table_model({"severity": severity}, replace(a_card(), input=spec)))
    parts = []
    for value, label in ((1000, "good"), (1255, "crack")):
        path = tmp_path / f"{value}.png"
        path.write_bytes(encoded(Image.fromarray(np.full((2, 2), value, np.uint16)), "PNG"))
        parts.append(Sample(id=path.name, path=path, label=label, group=path.name))
    found = measure(inspector, parts, bootstrap=0)
    assert found.escapes.hits == found.overkill.hits == found.review.hits == 0


# forms that have no one meaning in 8 bits are refused by both


def sixteen_bit_colour():
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    chunks = (header, b"IDAT" + zlib.compress(b"\0" + struct.pack(">6H", 0, 1, 2, 300, 4, 5)), b"IEND")
    packed = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(
    ("suffix", "data", "said"),
    [
        ("png", sixteen_bit_colour(), "expected 8 bits a colour channel, found 16"),
        ("tif", encoded(Image.new("F", (3, 3)), "TIFF"), "found mode F"),
        ("tif", encoded(Image.new("LAB", (3, 3)), "TIFF"), "found mode LAB"),
        ("tif", encoded(Image.new("I", (3, 3)), "TIFF"), "found mode I"),
    ],
)
def test_other_forms_are_refused_on_both_floors(tmp_path, suffix, data, said):
    from visiontune import BadFrame

    with pytest.raises(BadFrame, match=said):
        in_the_lab(tmp_path / "one", suffix, data)
    with pytest.raises(BadFrame, match=said):
        MIRROR(data)

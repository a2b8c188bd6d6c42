"""Every odd frame that a line sees gets a defined answer: the verdict of its RGB twin, or a refusal; none slips through as pass.

The model here would pass everything, so whatever is not refused and not the twin would show.
"""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests.line_models import a_card, line_model
from visiontune import BadFrame, Bands, Inspector
from visiontune.cli import main
from visiontune.runtime.frame import MAX_PIXELS

RGB = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)
GREY = RGB[:, :, 0]
DEEP = (GREY.astype(np.uint16) << 8) + RGB[:, :, 1]


def encoded(picture, kind, **options):
    stream = io.BytesIO()
    (Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture).save(stream, kind, **options)
    return stream.getvalue()


def grey(levels):
    return np.dstack([levels] * 3)


def lossy(picture, mode="RGB", **options):
    """A JPEG and the pixels that Pillow finds in it."""
    data = encoded(Image.fromarray(picture).convert(mode), "JPEG", quality=95, **options)
    return data, np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def rotated():
    """A JPEG that lies on its side, as a phone writes it, and how it is meant."""
    exif = Image.Exif()
    exif[0x0112] = 6
    data, lying = lossy(RGB, exif=exif)
    return data, np.rot90(lying, -1)


def header(width, height):
    """A PNG that claims to be huge and holds nothing."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


PALETTE = Image.fromarray(RGB).convert("P", palette=Image.Palette.ADAPTIVE)
ALPHA = np.dstack([RGB, GREY])
CMYK, CMYK_TWIN = lossy(RGB, "CMYK")
TURNED, TURNED_TWIN = rotated()
WINDOWED = grey(((DEEP.astype(np.int64) * 255 + 32767) // 65535).astype(np.uint8))

TWINS = {
    "grey array": (GREY, grey(GREY)),
    "grey array, one channel": (GREY[:, :, None], grey(GREY)),
    "grey file": (encoded(GREY, "PNG"), grey(GREY)),
    "one bit": (
        encoded(Image.fromarray(GREY).convert("1"), "PNG"),
        grey(np.asarray(Image.fromarray(GREY).convert("1")) * np.uint8(255)),
    ),
    "RGBA array": (ALPHA, RGB),
    "RGBA file": (encoded(ALPHA, "PNG"), RGB),
    "grey and alpha": (encoded(np.dstack([GREY, GREY[::-1]]), "PNG"), grey(GREY)),
    "palette": (encoded(PALETTE, "PNG"), np.asarray(PALETTE.convert("RGB"))),
    "16-bit array": (DEEP, WINDOWED),
    "16-bit file": (encoded(DEEP, "PNG"), WINDOWED),
    "CMYK": (CMYK, CMYK_TWIN),
    "rotated by EXIF": (TURNED, TURNED_TWIN),
    "not contiguous": (np.asfortranarray(RGB), RGB),
    "backwards view": (RGB[::-1, ::-1], RGB[::-1, ::-1].copy()),
    "one pixel": (RGB[:1, :1], RGB[:1, :1]),
    "one row": (np.tile(RGB[:1], (1, 40, 1)), np.tile(RGB[:1], (1, 40, 1))),
    "one column": (RGB[:, :1], RGB[:, :1].copy()),
}
PNG, JPEG = encoded(RGB, "PNG"), encoded(RGB, "JPEG")
REFUSED = {
    "nothing": None,
    "empty array": np.zeros((0, 0, 3), np.uint8),
    "no rows": np.zeros((0, 9, 3), np.uint8),
    "no bytes": b"",
    "text": b"no picture at all",
    "truncated PNG": PNG[: len(PNG) // 2],
    "truncated JPEG": JPEG[: len(JPEG) // 2],
    "truncated TIFF": encoded(RGB, "TIFF")[:-900],
    "flipped bit in a PNG": PNG[:200] + bytes([PNG[200] ^ 1]) + PNG[201:],
    "huge by its header": header(60_000, 60_000),
    "huge array": np.broadcast_to(np.uint8(0), (MAX_PIXELS // 10_000 + 1, 10_000, 3)),
    "16-bit colour": np.dstack([DEEP] * 3),
    "16-bit colour file": encoded(Image.new("I;16", (3, 3)), "PNG")[:24] + b"\x10\x02" + PNG[26:],
    "float 0..1": RGB / 255,
    "float 0..255": RGB.astype(np.float32),
    "float with NaN": np.full(RGB.shape, np.nan),
    "signed": RGB.astype(np.int16),
    "boolean": RGB > 9,
    "two channels": RGB[:, :, :2],
    "five channels": np.dstack([RGB, RGB[:, :, :2]]),
    "channels first": RGB.transpose(2, 0, 1),
    "a batch": RGB[None],
    "a list": RGB.tolist(),
    "animation": encoded(
        Image.fromarray(RGB), "GIF", save_all=True, append_images=[Image.fromarray(RGB[::-1])], duration=9
    ),
    "several pages": encoded(
        Image.fromarray(RGB), "TIFF", save_all=True, append_images=[Image.fromarray(RGB[::-1])]
    ),
}


@pytest.fixture(scope="module")
def lenient(tmp_path_factory):
    """A model that passes whatever it is shown."""
    path = tmp_path_factory.mktemp("models") / "lenient.onnx"
    path.write_bytes(line_model(a_card(bands=Bands(2.0, 2.0))))
    return path


@pytest.fixture(scope="module")
def inspector(lenient):
    return Inspector(lenient)


@pytest.mark.parametrize("name", TWINS)
def test_it_is_judged_as_its_rgb_twin(inspector, name):
    frame, twin = TWINS[name]
    verdict = inspector(frame)
    assert verdict == inspector(np.ascontiguousarray(twin)) and verdict.decision == "pass"
    assert inspector.many([frame, frame])[1].kinds == pytest.approx(verdict.kinds, abs=1e-6)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused(inspector, name):
    with pytest.raises(BadFrame) as caught:
        inspector(REFUSED[name])
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500
    with pytest.raises(BadFrame):
        inspector.many([RGB, REFUSED[name]])


def test_on_the_command_line_what_is_refused_is_reviewed(lenient, tmp_path, capsys):
    for table, folder in ((TWINS, "sound"), (REFUSED, "odd")):
        (tmp_path / folder).mkdir()
        for name, found in table.items():
            data = found[0] if folder == "sound" else found
            if isinstance(data, bytes):
                (tmp_path / folder / f"{name}.png").write_bytes(data)
    (tmp_path / "odd" / "cut off while it was written.png").touch()
    assert main(["inspect", str(lenient), str(tmp_path), "--json"]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    odd = [line for line in lines if "/odd/" in line["path"]]
    sound = [line for line in lines if "/sound/" in line["path"]]
    assert len(odd) >= 10 and len(sound) >= 7
    assert {line["decision"] for line in odd} == {"review"} and all(line["reason"] for line in odd)
    assert {line["decision"] for line in sound} == {"pass"} and not any("reason" in line for line in sound)

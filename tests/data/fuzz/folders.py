"""Hostile folders, the same ones every time: manifests and annotations gone wrong, names and links that lead elsewhere."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from PIL import Image

from tests.data.fuzz.pictures import deflated, ihdr, png

Build = Callable[[Path], None]
Named = tuple[str, Build]
SOUND = "path,label,split,lot\nimages/a.png,good,train,1\nimages/b.png,crack,test,2\n"


def folders(random: Random) -> Iterator[Named]:
    """Every hostile folder."""
    for name, text in manifests(random):
        yield f"manifest {name}", with_manifest(text)
    yield from names()
    yield from masks()
    for name, text in annotations(random):
        yield f"coco {name}", with_coco(text)


def pictures(root: Path) -> None:
    """Two sound pictures and a mask."""
    (root / "images").mkdir(parents=True)
    for name, level in (("a", 30), ("b", 200), ("mask", 0)):
        Image.new("L", (12, 9), level).save(root / f"images/{name}.png")


def with_manifest(content: bytes) -> Build:
    """A folder with this manifest."""

    def build(root: Path) -> None:
        pictures(root)
        (root / "manifest.csv").write_bytes(content)

    return build


def with_coco(content: bytes) -> Build:
    """A folder with this annotation."""

    def build(root: Path) -> None:
        pictures(root)
        (root / "instances.json").write_bytes(content)

    return build


def manifests(random: Random) -> Iterator[tuple[str, bytes]]:
    """Tables that are none, or say what cannot be."""
    yield "sound", SOUND.encode()
    yield from dressed()
    yield from rows()
    for turn in range(45):
        damaged = bytearray(SOUND.encode())
        for _ in range(random.choice((1, 2, 9))):
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
        yield f"flipped {turn}", bytes(damaged)
    for turn in range(10):
        yield f"cut {turn}", SOUND.encode()[: random.randrange(len(SOUND))]
    alphabet = "path,label\"'\n\r\t;|\\\0é\ufeff\u202e images/a.png none 0 1e999"
    for turn in range(25):
        text = "path,label" + "".join(random.choice(alphabet) for _ in range(random.randrange(200)))
        yield f"babble {turn}", text.encode("utf-8", "surrogatepass")
    for turn in range(5):
        yield f"noise {turn}", random.randbytes(2_000)


def dressed() -> Iterator[tuple[str, bytes]]:
    """Encodings, line ends, delimiters, headers."""
    for code in ("utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "shift_jis"):
        yield (
            f"in {code}",
            SOUND.replace("crack", "Sprünge" if "8" in code or "latin" in code else "crack").encode(
                code, "replace"
            ),
        )
    yield "twice with a byte order mark", b"\xef\xbb\xbf\xef\xbb\xbf" + SOUND.encode()
    for name, end in (
        ("crlf", "\r\n"),
        ("cr", "\r"),
        ("nel", "\x85"),
        ("separator", "\u2028"),
        ("blank", "\n\n\n"),
    ):
        yield f"lines end in {name}", SOUND.replace("\n", end).encode()
    for mark in (";", "\t", "|", ":", " ", ",;"):
        yield f"delimiter {mark!r}", SOUND.replace(",", mark).encode()
    yield "empty", b""
    yield "blanks", b" \n\t\n"
    yield "header only", b"path,label\n"
    yield "no header", SOUND.partition("\n")[2].encode()
    yield "no label", b"path\nimages/a.png\n"
    yield "columns twice", b"path,label,label\nimages/a.png,good,crack\n"
    yield "columns twice in two cases", b"path,Path,label\nimages/a.png,images/b.png,good\n"
    yield "attributes twice", b"path,label,lot,lot\nimages/a.png,good,1,2\n"
    yield "nameless columns", b"path,label,,,\nimages/a.png,good,1,2,3\n"
    yield (
        "50000 columns",
        b"path,label," + b",".join(b"c%d" % i for i in range(50_000)) + b"\nimages/a.png,good\n",
    )
    yield "header of a million", b"path,label," + b"x" * 10**6 + b"\nimages/a.png,good,1\n"
    yield "header over lines", b'path,label,"no\ntes"\nimages/a.png,good,"a\nb"\n'


def rows() -> Iterator[tuple[str, bytes]]:
    """Cells."""
    header = "path,label,mask,boxes,group,split,lot\n"
    paths = {
        "absolute": "/etc/hostname", "up": "../../etc/hostname", "up inside": "images/../images/a.png",
        "drive": "C:\\windows\\a.png", "share": "\\\\host\\a.png", "url": "file:///etc/hostname", "home": "~/a.png",
        "NUL": "images/a\0.png", "NUL at the end": "images/a.png\0", "escape": "images/\x1b[2Ja.png",
        "other direction": "images/\u202egnp.a", "surrogate": "images/\\ud800.png", "device": "/dev/zero",
        "folder": "images", "dot": ".", "long": "images/" + "a" * 5_000 + ".png", "deep": "a/" * 3_000 + "a.png",
        "percent": "images/%00%n%s.png", "format": "images/{0.__class__}.png", "blank": " ", "backslash": "images\\a.png",
        "trailing": "images/a.png/", "itself": "manifest.csv", "star": "images/*.png",
    }  # fmt: skip
    for name, path in paths.items():
        yield f"path {name}", f"path,label\n{path},good\nimages/b.png,crack\n".encode()
        yield f"mask {name}", f"path,label,mask\nimages/a.png,good,{path}\nimages/b.png,crack,\n".encode()
    labels = (
        "",
        " ",
        "good\0",
        "é" * 9,
        "\u202e",
        "a\nb",
        "=cmd()",
        "x" * 100_000,
        "NaN",
        "\x07",
        "none",
        "-1",
    )
    for label in labels:
        yield f"label {label[:9]!r}", f'path,label\nimages/a.png,"{label}"\nimages/b.png,crack\n'.encode()
    boxes = ("none", "crack 1 1 5 5", "crack nan 1 5 5", "crack inf 1 5 5", "crack 1e999 1 5 5", "1 1 5 5", "crack",
             "crack 5 5 1 1", "crack -9 -9 99 99", "crack " + "9" * 5_000 + " 1 5 5", "|" * 5_000, "crack 1 1 5 5|",
             "crack 0x1 1_0 5 5", "crack 1 1 5 5|none", "crack ٣ 1 5 5")  # fmt: skip
    for box in boxes:
        yield f"boxes {box[:20]!r}", f"{header}images/a.png,,,{box},,,\nimages/b.png,crack,,,,,\n".encode()
    for word in ("TRAIN", "validation", "holdout", "train,val", "\u00a0train", "tr\0ain"):
        yield f"split {word!r}", f'{header}images/a.png,good,,,,"{word}",\n'.encode()
    for name, lines in {
        "open quote": 'images/a.png,"good\nimages/b.png,crack\n',
        "quotes": 'images/a.png,""good""\n"images/b.png",cr"ack\n',
        "quoted lines": '"images/a.png","go\nod"\n',
        "cells missing": "images/a.png\n",
        "cells too many": "images/a.png,good,1,2,3\n",
        "a cell of a million": f"images/a.png,{'x' * 10**6}\n",
        "a quoted cell of a million": f'images/a.png,"{"x" * 10**6}"\n',
        "a million commas": f"images/a.png,good{',' * 10**6}\n",
        "50000 times the same": "images/a.png,good\n" * 50_000,
        "50000 that are not there": "".join(f"images/{i}.png,good\n" for i in range(50_000)),
        "a million blank lines": "\n" * 10**6 + "images/a.png,good\n",
        "only bad": "nowhere.png,good\n",
    }.items():
        yield name, f"path,label\n{lines}".encode()


def names() -> Iterator[Named]:
    """What lies in a folder besides honest files."""

    def named(name: str | bytes) -> Build:
        def build(root: Path) -> None:
            pictures(root)
            target = (
                os.fsencode(root / "images") + b"/" + (name if isinstance(name, bytes) else os.fsencode(name))
            )
            Path(os.fsdecode(target)).write_bytes((root / "images/a.png").read_bytes())

        return build

    for name in ("new\nline.png", "quo'te\".png", "x" * 250 + ".png", "🙂.png", "a\u202egnp.png", " .png", "%s%n.png",
                 "-rf.png", ".hidden.png",
                 "a\\b.png", "CON.png", "tab\t.png", "\x1b[31m.png", "é.png", "e\u0301.png"):  # fmt: skip
        yield f"file called {name[:20]!a}", named(name)
    yield "file called in no encoding", named(b"\xff\xfe.png")

    def linked(target: str, *, name: str = "images/link.png", folder: bool = False) -> Build:
        def build(root: Path) -> None:
            pictures(root)
            outside = root.parent / "outside"
            outside.mkdir(exist_ok=True)
            Image.new("L", (7, 7), 99).save(outside / "secret.png")
            (root / name).symlink_to(target, target_is_directory=folder)

        return build

    yield "link out of the folder", linked("../../outside/secret.png")
    yield "link to an absolute path", linked("/dev/zero")
    yield "link inside", linked("a.png")
    yield "link to itself", linked("link.png")
    yield "link to nothing", linked("gone.png")
    yield "class folder that leads outside", linked("../outside", name="stolen", folder=True)
    yield "class folder that leads to itself", linked(".", name="round", folder=True)
    yield "class folder that leads to the root", linked("/", name="everything", folder=True)

    def special(make: Callable[[Path], object]) -> Build:
        def build(root: Path) -> None:
            pictures(root)
            make(root / "images/special.png")

        return build

    def listening(path: Path) -> None:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path may only be short
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.bind(path.name)
        finally:
            os.chdir(here)

    yield "pipe", special(os.mkfifo)
    yield "socket", special(listening)
    yield "folder called like a picture", special(Path.mkdir)
    yield "file that nobody may read", special(lambda path: (path.write_bytes(b"x"), path.chmod(0)))
    yield "nothing at all", lambda root: root.mkdir()
    yield "a file", lambda root: (root.parent.mkdir(exist_ok=True), root.write_bytes(b"x"))[0]
    yield "600 folders deep", lambda root: os.makedirs(os.path.join(root, *["d"] * 600))  # noqa: PTH103, PTH118


def masks() -> Iterator[Named]:
    """Masks, whose content is the label, that are none or too much."""

    def build(data: bytes) -> Build:
        def built(root: Path) -> None:
            pictures(root)
            (root / "images/mask.png").unlink()
            (root / "masks").mkdir()
            (root / "images/a.png").rename(root / "masks/b.png")
            (root / "masks/b.png").write_bytes(data)

        return built

    row = b"\0" + bytes(4 * 13_000)
    for name, data in (
        (
            "bomb, 100 megapixels",
            png(ihdr(10_000, 10_000, 8, 6), b"IDAT" + deflated(row[:40_001], 10_000), b"IEND"),
        ),
        ("bomb, 169 megapixels", png(ihdr(13_000, 13_000, 8, 6), b"IDAT" + deflated(row, 13_000), b"IEND")),
        ("no bytes", b""),
        ("text", b"all good here"),
        ("cut", png(ihdr(12, 9, 8, 0), b"IDAT", b"IEND")),
    ):
        yield f"mask {name}", build(data)


def annotations(random: Random) -> Iterator[tuple[str, bytes]]:
    """COCO files that are none."""
    box = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4]}
    sound = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "annotations": [box],
        "categories": [{"id": 1, "name": "crack"}],
    }
    text = json.dumps(sound).encode()
    yield "sound", text
    yield "deep", b"[" * 200_000
    yield "deep objects", b'{"images":' * 100_000
    yield "number without end", text.replace(b'"id": 1', b'"id": ' + b"9" * 10_000, 1)
    for value in (
        None,
        [],
        [1, 2],
        ["a"] * 4,
        [1e308] * 4,
        [float("nan")] * 4,
        [-5, -5, 1, 1],
        {"x": 1},
        "1 2 3 4",
        [[1]] * 4,
    ):
        yield f"bbox {value!r}"[:40], json.dumps({**sound, "annotations": [{**box, "bbox": value}]}).encode()
    for name in ("../../etc/hostname", "/dev/zero", "a.png\0", "", None, 7, ["a.png"]):
        yield f"file name {name!r}", json.dumps({**sound, "images": [{"id": 1, "file_name": name}]}).encode()
    for turn in range(15):
        damaged = bytearray(text)
        for _ in range(random.choice((1, 3))):
            damaged[random.randrange(len(damaged))] ^= 1 << random.randrange(8)
        yield f"flipped {turn}", bytes(damaged)

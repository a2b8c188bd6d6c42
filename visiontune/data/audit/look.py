"""One look at every picture file: read once, decoded once, streamed; what stays is a row of facts and a print."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visiontune.data.audit import fingerprint
from visiontune.data.audit.describe import describe
from visiontune.data.audit.hashes import difference_hash
from visiontune.runtime.errors import BadFrame
from visiontune.runtime.frame import FORMATS, decode

SPAN = 32  # pictures that one task of the thread pool looks at
IN_MEMORY = 256 * 2**20  # bytes of prints beyond which they lie in a temporary file

Progress = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be said of one file without knowing what it shows. `error` is why it cannot be read, else None.

    `width` and `height` in pixels as decoded; `brightness` and `contrast` mean and deviation of the grey levels, 0..255;
    `quality` the JPEG quality 1..100 that its tables mean, None for other formats; `camera` what EXIF calls it.
    """

    digest: bytes
    size: int
    error: str | None = None
    format: str = ""
    mode: str = ""
    width: int = 0
    height: int = 0
    quality: int | None = None
    camera: str = ""
    brightness: float = 0.0
    contrast: float = 0.0


@dataclass(kw_only=True)
class Looks:
    """The facts of all pictures, in the order given, and three arrays with a row for each.

    hashes        uint64 (n,), the difference hash.
    prints        int8 (n, c, c), the texture at the upper left of its canvas; on disk where it would fill the memory.
    extents       int16 (n, 2), height and width of the texture; 0 where the picture cannot be read.
    descriptions  float32 (n, k), or None where nobody asked for them.
    """

    facts: list[Facts]
    hashes: NDArray[np.uint64]
    prints: NDArray[np.int8]
    extents: NDArray[np.int16]
    descriptions: NDArray[np.float32] | None
    _file: Any = field(default=None, repr=False)  # keeps the temporary file of the prints open


def look(paths: Sequence[Path], *, describing: bool, progress: Progress | None = None) -> Looks:
    """Reads and decodes every file once, in threads; memory for the pictures of as many spans as there are threads.

    `progress(done)` is called with the number of pictures that were looked at since the last call.
    """
    n = len(paths)
    side = fingerprint.print_side(n)
    prints, file = _room(n, fingerprint.canvas_side(side))
    looks = Looks(
        facts=[],
        hashes=np.zeros(n, np.uint64),
        prints=prints,
        extents=np.zeros((n, 2), np.int16),
        descriptions=None,
        _file=file,
    )
    width = len(describe(np.zeros((16, 16, 3), np.uint8))) if describing else 0
    described = np.zeros((n, width), np.float32)
    task = _Task(paths, looks, side, described if describing else None)
    with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
        for facts in pool.map(task.run, range(0, n, SPAN)):
            looks.facts += facts
            if progress:
                progress(len(facts))
    looks.descriptions = described if describing else None
    return looks


def _room(n: int, canvas: int) -> tuple[NDArray[np.int8], Any]:
    shape = (n, canvas, canvas)
    if n * canvas * canvas <= IN_MEMORY:
        return np.zeros(shape, np.int8), None
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the looks
    return np.memmap(file, np.int8, "w+", shape=shape), file


@dataclass(slots=True)
class _Task:
    """Looks at one span of pictures; each picture has rows of its own, so that tasks do not meet."""

    paths: Sequence[Path]
    looks: Looks
    side: int
    described: NDArray[np.float32] | None

    def run(self, start: int) -> list[Facts]:
        """The facts of pictures start .. start + SPAN."""
        facts = []
        greys: dict[tuple[int, int], list[tuple[int, NDArray[np.uint8]]]] = {}  # by shape
        for i in range(start, min(start + SPAN, len(self.paths))):
            found, frame = _facts(self.paths[i])
            facts.append(found)
            if frame is not None:
                grey = self._keep(i, frame)
                greys.setdefault(grey.shape, []).append((i, grey))
        for shape, members in greys.items():
            where = [i for i, _ in members]
            height, width = shape
            textures = fingerprint.residual(np.stack([grey for _, grey in members]))
            self.looks.prints[where, :height, :width] = textures
            self.looks.extents[where] = shape
        return facts

    def _keep(self, i: int, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Keeps hash and description; gives the small grey picture."""
        grey = Image.fromarray(frame).convert("L")
        shape = np.asarray(grey.resize((9, 8), Image.Resampling.BOX))
        self.looks.hashes[i] = difference_hash(shape)
        if self.described is not None:
            self.described[i] = describe(frame)
        size = fingerprint.print_size(*grey.size, self.side)
        small = np.asarray(grey.resize(size, Image.Resampling.BILINEAR))
        return fingerprint.middle(small, fingerprint.canvas_side(self.side))


def _facts(path: Path) -> tuple[Facts, NDArray[np.uint8] | None]:
    """The facts of one file and its frame; no frame where it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        return Facts(b"", 0, str(error.strerror or error)), None
    digest = hashlib.sha256(data).digest()
    try:
        frame = decode(data)
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            header = str(picture.format), str(picture.mode), _quality(picture), _camera(picture)
    except BadFrame as error:
        return Facts(digest, len(data), _reason(error)), None
    form, mode, quality, camera = header
    height, width = frame.shape[:2]
    grey = frame[:: max(1, height // 256), :: max(1, width // 256)].mean(2)
    return Facts(
        digest, len(data), None, form, mode, width, height, quality, camera,
        float(grey.mean()), float(grey.std()),
    ), frame  # fmt: skip


def _reason(error: BadFrame) -> str:
    """What was found, without the name that `decode` gives to bytes."""
    text = str(error).partition(": ")[2]
    return text.partition("found: ")[2].partition(";")[0] or text.partition(";")[0]


def _quality(picture: Image.Image) -> int | None:
    """The quality by the luminance table, as libjpeg would have scaled its own (sum 3688 at quality 50)."""
    table: list[int] | None = (getattr(picture, "quantization", None) or {}).get(0)
    if picture.format not in ("JPEG", "MPO") or not table:
        return None
    scale = 100 * sum(table) / 3688
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale
    return max(1, min(100, round(quality)))


def _camera(picture: Image.Image) -> str:
    if picture.format == "PNG" and "exif" not in picture.info:
        return ""  # Pillow would decode the whole picture to look for EXIF behind the pixels
    exif = picture.getexif()
    return " ".join(str(exif[tag]).strip("\0 ") for tag in (0x010F, 0x0110) if tag in exif)

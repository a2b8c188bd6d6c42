"""A folder of painted parts in the manifest layout, written whole or not at all."""

import csv
import io
import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from visiontune.data.painter.parts import KINDS, Painted, paint_part
from visiontune.data.samples import Box
from visiontune.runtime.errors import BadData

VERSION = 1  # of the pictures: raised whenever the same seed paints other pictures
SETTINGS = "painter.json"
BLOCK = 10  # parts among which the kinds are shuffled
COLUMNS = ("path", "label", "mask", "boxes", "group", "camera", "lot", "exposure")


def paint_folder(
    folder: str | Path,
    *,
    parts: int = 60,
    exposures: int = 3,
    size: tuple[int, int] = (192, 192),
    seed: int = 0,
    defective: float = 0.5,
    style: str | None = "turned",
    difficulty: float = 0.5,
    products: int = 1,
    progress: Callable[[int], object] | None = None,
) -> Path:
    """Paint `parts` parts, `exposures` times each, into `folder`; returns it.

    Writes `images/*.png`, `masks/*.png` (0 / 255, defective parts only), `manifest.csv` (path, label, mask,
    boxes, group = the part, camera, lot, exposure) and `painter.json` (the settings). The share `defective` of the
    parts carries a defect, the kinds in turn. Part i is the same in every set of the same seed, however many parts
    it has. `products`: how many products the set mixes; one is the narrow job of a real station, more are harder
    to learn. `style`, `difficulty`: see `paint_part`. `progress(done)` is called after each part.

    A folder that already holds the very same set is left as it is. Raises BadData where `folder` holds
    anything else, or a setting is outside its range.
    """
    folder = Path(folder)
    if min(parts, products) < 1 or not 0 <= defective <= 1:
        raise BadData(
            f"expected at least 1 part, 1 product and a defective share from 0 to 1, "
            f"found {parts}, {products} and {defective}"
        )
    settings = {
        "version": VERSION, "parts": parts, "exposures": exposures, "size": list(size), "seed": seed,
        "defective": defective, "style": style, "difficulty": difficulty, "products": products,
    }  # fmt: skip
    if _holds(folder, settings):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        for name in ("images", "masks"):
            (draft / name).mkdir(parents=True)
        rows: list[dict[str, str]] = []
        for index in range(parts):
            kind = _kind(seed, index, defective)
            painted = paint_part(
                _seed(seed, 0, index), kind, exposures=exposures, size=size, style=style, difficulty=difficulty,
                product=_seed(seed, 2, index % products),
            )  # fmt: skip
            rows += [_write(draft, replace(shot, part=f"part_{index:04d}")) for shot in painted]
            if progress:
                progress(index + 1)
        _write_manifest(draft / "manifest.csv", rows)
        (draft / SETTINGS).write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        if folder.is_dir():
            folder.rmdir()  # it is empty; not every system renames onto a folder
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _holds(folder: Path, settings: dict[str, object]) -> bool:
    """True where the set is already there, False where there is room for it."""
    if not folder.exists():
        return False
    if not folder.is_dir():
        raise BadData(f"{folder}: expected a folder to paint into, found a file; name another place")
    found = {path.name for path in folder.iterdir()}
    if not found:
        return False
    if SETTINGS in found:
        try:
            old = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        except ValueError:
            old = None
        if old == settings and _complete(folder):
            return True
        what = "another set of painted parts" if old != settings else "a painted set with files missing"
        raise BadData(f"{folder}: expected an empty folder, found {what}; remove it or name another place")
    raise BadData(f"{folder}: expected an empty folder, found {len(found)} entries; name another place")


def _complete(folder: Path) -> bool:
    """Every file that the manifest names is there."""
    try:
        with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
            named = [
                row[column] for row in csv.DictReader(file) for column in ("path", "mask") if row[column]
            ]
    except (OSError, KeyError):
        return False
    return all((folder / name).is_file() for name in named)


def _seed(seed: int, stream: int, index: int) -> int:
    """The seed of part (stream 0) or product (stream 2) number `index`: the set's seed and that number say it all."""
    return int(np.random.SeedSequence(seed, spawn_key=(stream, index)).generate_state(1, np.uint64)[0])


def _kind(seed: int, index: int, defective: float) -> str:
    """The kind of part `index`: of every ten parts the wanted share has defects, each kind in its turn, shuffled."""
    start = index // BLOCK * BLOCK
    kinds = []
    for place in range(start, start + BLOCK):
        before, after = int(place * defective + 1e-9), int((place + 1) * defective + 1e-9)
        kinds.append(KINDS[1 + before % (len(KINDS) - 1)] if after > before else KINDS[0])
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, start))).permutation(BLOCK)
    return kinds[int(order[index - start])]


def _write(draft: Path, shot: Painted) -> dict[str, str]:
    """Write one exposure; returns its row of the manifest."""
    name = f"{shot.part}_{shot.exposure}.png"
    Image.fromarray(shot.image).save(draft / "images" / name, compress_level=3)
    masked = bool(shot.mask.any())
    if masked:
        Image.fromarray(shot.mask.astype(np.uint8) * 255).save(draft / "masks" / name)
    return {
        "path": f"images/{name}",
        "label": shot.kind,
        "mask": f"masks/{name}" if masked else "",
        "boxes": "|".join(_box(box) for box in shot.boxes) or "none",
        "group": shot.part,
        "camera": shot.camera,
        "lot": shot.lot,
        "exposure": str(shot.exposure),
    }


def _box(box: Box) -> str:
    return f"{box.kind} {box.x0:g} {box.y0:g} {box.x1:g} {box.y1:g}"


def _write_manifest(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")

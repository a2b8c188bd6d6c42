"""Paints large frames with small defects, for recipes/large_frames.py: a manifest with masks, the same bytes for the same seed.

    python scripts/paint_large.py DIR [--frames 60] [--size 2048x2448] [--seed 0]

A frame is a painted part, enlarged, with grain of one pixel. On half of them lie one to three defects of one kind, as small as
they are on parts of 192 pixels: pits from 6 pixels across, scratches, stains, cracks and dents. Each is the difference of a
painted part with the defect and the very same part without it.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image

from visiontune.data.painter.noise import fractal
from visiontune.data.painter.parts import KINDS, paint_part
from visiontune.runtime.whole import whole

SMALL = 192  # pixels of the parts whose defects are taken
LEAST = 28  # pixels of the smallest defect: a disc of 6 across


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(2048, 2448))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for name in ("images", "masks"):
        (given.folder / name).mkdir(parents=True, exist_ok=True)
    rows = [written(given.folder, index, given.size, given.seed) for index in range(given.frames)]
    with whole(given.folder / "manifest.csv") as draft, draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def written(folder, index, size, seed):
    """Paints one frame; its row of the manifest."""
    rng = np.random.default_rng([seed, index])
    kind = KINDS[1 + index // 2 % (len(KINDS) - 1)] if index % 2 else KINDS[0]
    frame = background(rng, size)
    mask = np.zeros(size, bool)
    for _ in range(0 if kind == KINDS[0] else int(rng.integers(1, 4))):
        damage(rng, frame, mask, kind)
    name = f"{index:04d}.png"
    pixels = np.clip(frame + rng.normal(0, 2, size)[..., None], 0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "images" / name, compress_level=1)
    if mask.any():
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / name)
    return {
        "path": f"images/{name}",
        "label": kind,
        "mask": f"masks/{name}" if mask.any() else "",
        "group": f"part {index:04d}",
    }


def background(rng, size):
    """A good part, four times enlarged, and grain: float32 (h, w, 3)."""
    coarse = tuple(max(64, side // 4) for side in size)
    (part,) = paint_part(
        int(rng.integers(2**31)), "good", exposures=1, size=coarse, difficulty=0.2, style="ground", product=1
    )
    large = Image.fromarray(part.image).resize(size[::-1], Image.Resampling.BICUBIC)
    grain = np.float32(3) * fractal(rng, size, 6.0)
    return np.asarray(large, np.float32) + grain[..., None]


def damage(rng, frame, mask, kind):
    """Lays one defect somewhere on the frame and marks it."""
    while True:
        seed = int(rng.integers(2**31))
        parts = [
            paint_part(
                seed, name, exposures=1, size=(SMALL, SMALL), difficulty=0.2, severity=0.8, style="ground"
            )[0]
            for name in (kind, "good")
        ]
        if parts[0].mask.sum() >= LEAST:
            break
    change = parts[0].image.astype(np.float32) - parts[1].image
    y, x = (int(rng.integers(side // 10, side - side // 10 - SMALL)) for side in mask.shape)
    frame[y : y + SMALL, x : x + SMALL] += change
    mask[y : y + SMALL, x : x + SMALL] |= parts[0].mask


if __name__ == "__main__":
    main()

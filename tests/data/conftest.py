"""A small folder of painted pictures that a test builds as it likes."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visiontune.data.samples import Dataset, Sample


class Tree:
    """A folder under construction."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def picture(self, name: str, size: tuple[int, int] = (20, 10), **options: object) -> Path:
        """A grey noise picture of `size` (width, height), different for each name."""
        pixels = np.random.default_rng(zlib.crc32(name.encode())).integers(
            0, 256, (size[1], size[0]), dtype=np.uint8
        )
        return self.save(name, pixels, **options)

    def mask(self, name: str, size: tuple[int, int] = (20, 10), *, marked: bool = True) -> Path:
        """A mask with a 4 x 3 patch of 255, or all black."""
        pixels = np.zeros((size[1], size[0]), np.uint8)
        pixels[2:5, 3:7] = 255 if marked else 0
        return self.save(name, pixels)

    def save(self, name: str, pixels: np.ndarray, **options: object) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, **options)
        return path

    def text(self, name: str, text: str, encoding: str = "utf-8") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode(encoding))
        return path

    def manifest(self, *rows: str) -> Path:
        """manifest.csv with these lines, the header first."""
        return self.text("manifest.csv", "\n".join(rows) + "\n")


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "parts")


@pytest.fixture
def dataset_of(tmp_path: Path):
    """Builds a Dataset without files from (id, label, group, split) rows."""

    def build(rows, classes=None, good=None) -> Dataset:
        samples = tuple(
            Sample(id=id, path=tmp_path / id, label=label, group=group, split=split)
            for id, label, group, split in rows
        )
        found = classes or tuple(sorted({sample.label for sample in samples if sample.label is not None}))
        return Dataset(root=tmp_path, layout="made by a test", samples=samples, classes=found, good=good)

    return build

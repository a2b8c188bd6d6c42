"""A clean set of painted parts, and a bench on which a test plants its faults in a copy of it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visiontune.data.audit import audit
from visiontune.data.painter import paint_part

KINDS = {"good": 40, "scratch": 24, "stain": 24}  # parts; two exposures of each
COLUMNS = ("path", "label", "mask", "boxes", "group", "camera", "lot")
SIZE = 96


class Bench:
    """A folder in the manifest layout under construction."""

    def __init__(self, root: Path, rows: dict[str, dict[str, str]]) -> None:
        self.root = root
        self.rows = rows

    def parts(self, kind: str) -> list[list[str]]:
        """The pictures of each part of a kind, part by part."""
        found: dict[str, list[str]] = {}
        for name, row in self.rows.items():
            if row["label"] == kind:
                found.setdefault(row["group"], []).append(name)
        return [names for names in found.values() if len(names) == 2]

    def pixels(self, name: str) -> np.ndarray:
        return np.asarray(Image.open(self.root / name))

    def add(
        self, name: str, pixels: np.ndarray | bytes, label: str, group: str = "", **options: object
    ) -> str:
        """A further picture; bytes are written as they are."""
        path = self.root / name
        if isinstance(pixels, bytes):
            path.write_bytes(pixels)
        else:
            Image.fromarray(pixels).save(path, **options)
        self.rows[name] = {**dict.fromkeys(COLUMNS, ""), "path": name, "label": label, "group": group}
        self.rows[name] |= {"camera": "cam_1", "lot": "A"}
        return name

    def mask(self, name: str, mask: np.ndarray | bytes) -> str:
        """Another mask for a picture."""
        path = f"masks/planted_{Path(name).name}"
        if isinstance(mask, bytes):
            (self.root / path).write_bytes(mask)
        else:
            Image.fromarray(mask).save(self.root / path)
        self.rows[name]["mask"] = path
        return name

    def write(self) -> Path:
        with (self.root / "manifest.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows.values())
        return self.root


@pytest.fixture(scope="session")
def painted(tmp_path_factory) -> Bench:
    """88 painted parts, two exposures each; cameras and lots at random. Nobody writes into it."""
    root = tmp_path_factory.mktemp("audited") / "clean"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    bench = Bench(root, {})
    kinds = [kind for kind, parts in KINDS.items() for _ in range(parts)]
    for seed, kind in enumerate(kinds):
        shots = paint_part(
            seed, kind, exposures=2, size=(SIZE, SIZE), style="cast", product=4, severity=1.0, difficulty=0.0
        )
        for shot in shots:
            name = f"p{seed:03}_{shot.exposure}.png"
            bench.add(f"images/{name}", shot.image, kind, f"part_{seed}")
            row = bench.rows[f"images/{name}"]
            row |= {"camera": shot.camera, "lot": shot.lot}
            row["boxes"] = " | ".join(f"{b.kind} {b.x0} {b.y0} {b.x1} {b.y1}" for b in shot.boxes) or "none"
            if kind != "good":
                Image.fromarray(shot.mask.astype(np.uint8) * 255).save(root / "masks" / name)
                row["mask"] = f"masks/{name}"
    bench.write()
    return bench


@pytest.fixture(scope="session")
def clean(painted):
    """The audit of the clean set."""
    return audit(painted.root)


@pytest.fixture(scope="session")
def bench(painted, tmp_path_factory):
    """Makes a copy of the clean set to plant faults in."""

    def copied() -> Bench:
        root = tmp_path_factory.mktemp("planted") / "set"
        shutil.copytree(painted.root, root)
        return Bench(root, {name: dict(row) for name, row in painted.rows.items()})

    return copied

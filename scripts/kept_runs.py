"""Runs of a measuring script that can be cut off: each that ends is a line of JSON in --keep FILE, and is not run again."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Rows = dict[tuple[Any, int], dict[str, Any]]
Measure = Callable[[Any, int, Path], dict[str, Any]]


def kept(file: Path, settings: list[Any]) -> Rows:
    """What `file` holds of runs with these settings, by name and seed."""
    lines = file.read_text().splitlines() if file.exists() else []
    rows = [json.loads(line) for line in lines]
    return {(row["name"], row["seed"]): row for row in rows if row["of"] == settings}


def run_missing(file: Path, settings: list[Any], names: Iterable[Any], seeds: int, measure: Measure) -> Rows:
    """Runs what `file` lacks, seed by seed, and gives all it then holds.

    `measure(name, seed, store)` gives a row without its settings, name and seed; `store` is a folder for what runs may share.
    """
    names = list(names)
    store = Path(tempfile.mkdtemp(prefix="measured-"))
    try:
        for seed in range(seeds):
            for name in names:
                if (name, seed) in kept(file, settings):
                    continue
                row = {"of": settings, "name": name, "seed": seed, **measure(name, seed, store)}
                with file.open("a") as lines:
                    lines.write(json.dumps(row) + "\n")
    finally:
        shutil.rmtree(store)
    return kept(file, settings)


def missing(rows: Rows, names: Iterable[Any], seeds: int) -> list[str]:
    """The runs that are not there yet, as words."""
    return [f"{name} seed {seed}" for name in names for seed in range(seeds) if (name, seed) not in rows]

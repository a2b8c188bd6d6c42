"""Made-up findings: as large as a small real run, decided by a seed, changed field by field."""

import numpy as np
import pytest
from PIL import Image

from visiontune.report.findings import Findings
from visiontune.runtime.bands import Bands

EVIDENCE = {
    "method": "fixed-sequence Learn-then-Test, exact binomial, unit: part",
    "confidence": 0.95,
    "escapes": {"parts": 40, "misses": 0, "asked": 0.01, "certified": 0.07216, "missing_parts": 259},
    "overkill": {"parts": 70, "misses": 1, "asked": 0.1, "certified": 0.0660, "missing_parts": 0},
}
HISTORY = tuple(
    {
        "epoch": epoch,
        "open": max(0, epoch - 2),
        "lr": 0.002,
        "train_loss": 2.0 / (epoch + 1),
        "val_loss": 2.2 / (epoch + 1),
        "val_accuracy": 1 - 0.5 / (epoch + 1),
        "val_balanced_accuracy": 1 - 0.6 / (epoch + 1),
        "seconds": 12.5,
        "cpu_seconds": 20.0,
    }
    for epoch in range(6)
)


def judged(n, size, *, seed=0, right=0.9):
    """Labels and probabilities of n pictures of `size` classes, about `right` of them named rightly."""
    stream = np.random.default_rng(seed)
    labels = np.arange(n) % size
    named = np.where(stream.random(n) < right, labels, stream.integers(size, size=n))
    kinds = stream.random((n, size)) * 0.3
    kinds[np.arange(n), named] += size * stream.random(n) ** 0.3
    kinds = (kinds / kinds.sum(axis=1, keepdims=True)).astype(np.float32)
    return labels, kinds


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Twelve picture files."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = []
    for index in range(12):
        paths.append(folder / f"part_{index:02}.png")
        Image.new("RGB", (300 + index, 200), (20 * index, 90, 120)).save(paths[-1])
    return paths


@pytest.fixture(scope="session")
def made(pictures):
    """A function that makes findings; keywords replace their fields, `size` and `n` the number of classes and pictures."""

    def make(*, n=150, size=4, right=0.9, inspects=True, **changes):
        labels, kinds = judged(n, size, right=right)
        classes = ("good", "crack", "dent", "scratch", *(f"kind {i}" for i in range(4, size)))[:size]
        fields = {
            "title": "brackets",
            "created": "2026-03-01T09:30:00+00:00",
            "made_by": "visiontune 0.1.0",
            "classes": classes,
            "good": classes[0] if inspects else None,
            "recipe": {
                "backbone": "some_net",
                "unfreeze": {"at": [3, 6], "decay": 0.6},
                "policy": {
                    "name": "flat",
                    "steps": [{"transform": "Flip", "params": {"p": 0.5, "axes": [0, 1]}}],
                },
                "roi": None,
            },
            "data": {
                "layout": "class folders",
                "digest": "ab" * 32,
                "counts": {"train": dict.fromkeys(classes, 7), "val": dict.fromkeys(classes, 2)},
                "groups": {"train": 14, "val": 4},
                "notes": ["two pictures are alike"],
                "split_seed": 5,
            },
            "severity": 1 - (kinds[:, 0] if inspects else kinds.max(axis=1)),
            "kinds": kinds,
            "labels": labels,
            "groups": [f"part {index // 3}" for index in range(n)],
            "paths": [pictures[index % len(pictures)] for index in range(n)],
            "history": HISTORY,
            "best": 4,
            "stages": (
                {"name": "stem", "parameters": 1234, "lr": 1e-4, "opened": None},
                {"name": "head", "parameters": 77, "lr": 2e-3, "opened": 0},
            ),
            "bands": Bands(0.3, 0.8, EVIDENCE),
            "temperature": 1.25,
            "proof": {"frames": n, "max_severity_difference": 2.5e-7, "flips": 0},
            "versions": {"torch": "2.9"},
        }
        return Findings(**{**fields, **changes})

    return make

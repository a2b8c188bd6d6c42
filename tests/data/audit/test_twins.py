"""Exposures of one part are linked, parts that only look alike are not, and where that cannot be told it is said."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from visiontune.data.audit import audit
from visiontune.data.painter import paint_part


def painted_set(root, shots):
    """A manifest of (name, picture) without groups."""
    (root / "images").mkdir()
    rows = [("path", "label")]
    for name, image in shots:
        Image.fromarray(image).save(root / "images" / name)
        rows.append((f"images/{name}", "good"))
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


def test_parts_of_one_product_are_no_exposures(tmp_path):
    """Turned parts of one drawing differ in little more than their noise: the hash alone would join them all."""
    shots = [
        (
            f"{seed}.png",
            paint_part(seed, "good", exposures=1, size=(96, 96), style="turned", product=1)[0].image,
        )
        for seed in range(60)
    ]
    found = audit(painted_set(tmp_path, shots))
    assert "exposures" not in found.by_code and "random-split-leaks" not in found.by_code
    assert not found.serious


def test_a_mix_of_products_is_not_judged_and_that_is_said(tmp_path):
    shots = [
        (f"{style}{seed}.png", paint_part(seed, "good", exposures=1, size=(64, 64), style=style)[0].image)
        for style in ("turned", "brushed", "cast")
        for seed in range(30)
    ]
    found = audit(painted_set(tmp_path, shots))
    assert "exposures" not in found.by_code
    assert any("several products" in left.why for left in found.left_out)


@pytest.mark.parametrize("change", ["light", "shift", "noise", "scale", "jpeg"])
def test_a_second_picture_is_linked(tmp_path, change):
    rng = np.random.default_rng(0)
    shots = []
    for seed in range(40):
        image = paint_part(seed, "good", exposures=1, size=(128, 128), style="ground")[0].image
        shots.append((f"{seed}.png", image))
    first = shots[0][1]
    other = {
        "light": lambda: (first * np.linspace(0.4, 0.9, 128)[:, None]).astype(np.uint8),
        "shift": lambda: first[5:, 4:],
        "noise": lambda: np.clip(first + rng.normal(0, 4, first.shape), 0, 255).astype(np.uint8),
        "scale": lambda: np.asarray(Image.fromarray(first).resize((96, 96), Image.Resampling.BILINEAR)),
        "jpeg": lambda: first,
    }[change]()
    shots.append((f"again.{'jpg' if change == 'jpeg' else 'png'}", other))
    (finding,) = audit(painted_set(tmp_path, shots)).by_code["exposures"]
    again = {"images/again.jpg", "images/again.png"}
    assert any("images/0.png" in names and set(names) & again for names in finding.sets)
    assert finding.count <= 2


def test_a_few_pictures_are_not_compared(tmp_path):
    shots = [("a.png", np.zeros((20, 20), np.uint8)), ("b.png", np.full((20, 20), 9, np.uint8))]
    found = audit(painted_set(tmp_path, shots))
    assert any("fewer than" in left.why for left in found.left_out)


def test_blank_pictures_are_no_twins(tmp_path):
    shots = [(f"{i}.png", np.full((40, 40), i, np.uint8)) for i in range(60)]
    found = audit(painted_set(tmp_path, shots))
    assert "exposures" not in found.by_code and "copies" not in found.by_code

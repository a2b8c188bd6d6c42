"""Shortcuts: what gives the class away without showing the part, against chance that knows of exposures."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from visiontune.data.audit import audit
from visiontune.data.audit.guess import guess


@pytest.fixture(scope="module")
def told(bench):
    """Scratches saved as JPEG by camera scope, stains all of lot Z, larger by a border and darker."""
    b = bench()
    for name in [name for names in b.parts("scratch") for name in names]:
        row = b.rows.pop(name)
        stream = io.BytesIO()
        Image.fromarray(b.pixels(name)).save(stream, "JPEG", quality=80)
        new = name.replace(".png", ".jpg")
        (b.root / new).write_bytes(stream.getvalue())
        b.rows[new] = {**row, "path": new, "camera": "scope"}
    for name in [name for names in b.parts("stain") for name in names]:
        pixels = np.pad(b.pixels(name) // 2, ((0, 8), (0, 0), (0, 0)))
        Image.fromarray(pixels).save(b.root / name)
        b.rows[name] |= {"lot": "Z", "mask": ""}
    return audit(b.write())


def shortcut(found, fact):
    return next(f for f in found.by_code["shortcut"] if f.numbers["fact"] == fact)


@pytest.mark.parametrize(
    "fact", ["file format", "JPEG quality", "picture height", "aspect", "attribute camera", "attribute lot"]
)
def test_what_gives_the_class_away_is_named(told, fact):
    finding = shortcut(told, fact)
    assert finding.harm == "serious"
    assert finding.numbers["balanced_accuracy"] > finding.numbers["best_of_shuffled"]
    assert finding.numbers["balanced_accuracy"] > 0.6
    assert f"{fact} alone tells" in finding.title and "by chance" in finding.title


def test_brightness_may_be_the_defect_itself(told):
    assert shortcut(told, "mean brightness").harm == "check"


def test_a_class_of_one_lot_or_camera(told):
    found = {
        (f.numbers["class"], f.numbers["attribute"], f.numbers["value"]): f
        for f in told.by_code["one-source-class"]
    }
    assert set(found) == {("scratch", "camera", "scope"), ("stain", "lot", "Z")}
    assert all(finding.harm == "serious" and finding.count == 48 for finding in found.values())


def test_the_clean_set_gives_nothing_away(clean):
    assert "shortcut" not in clean.by_code and "one-source-class" not in clean.by_code


def test_a_fact_that_is_the_class_tells_all():
    labels = ["a", "b", "c"] * 40
    found = guess([float("abc".index(label)) for label in labels], labels, range(120))
    assert found.accuracy == 1 and found.gain == 1 and found.beyond_chance


def test_noise_tells_nothing():
    rng = np.random.default_rng(0)
    for seed in range(10):
        labels = list(rng.choice(["a", "b"], 200, p=[0.8, 0.2]))
        found = guess(list(rng.random(200)), labels, range(200), seed=seed)
        assert not (found.beyond_chance and found.gain > 0.25)
        assert abs(found.accuracy - 0.5) < 0.15


def test_many_exposures_of_few_parts_are_no_proof():
    """Each part has a value of its own, so that by pictures it seems to tell the class; by parts it does not."""
    rng = np.random.default_rng(1)
    parts = np.repeat(np.arange(24), 25)
    value = rng.random(24)[parts] + 1e-6 * rng.random(len(parts))
    labels = [("a", "b")[part % 2] for part in parts]
    found = guess(list(value), labels, list(parts))
    assert not found.beyond_chance


def test_too_few_parts_are_not_asked():
    assert guess([1.0, 2.0, 3.0, 4.0], ["a", "a", "b", "b"], [0, 1, 2, 3]) is None
    assert guess([], [], []) is None

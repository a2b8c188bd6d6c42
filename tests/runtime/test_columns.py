"""What parts are compared by: kinds, sizes from masks, attributes."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visiontune.runtime.columns import columns_of
from visiontune.runtime.errors import BadData


@dataclass
class Sample:
    label: str
    attributes: dict = field(default_factory=dict)
    mask: Path | None = None
    path: Path = Path("x.png")
    group: str = ""


def columns(parts, good="good", by=None):
    return columns_of(parts, np.arange(len(parts)), good, by)


def test_kinds_are_those_of_defective_parts():
    found, left_out = columns([Sample("good"), Sample("crack"), Sample("scratch")])
    assert found == {"kind": [None, "crack", "scratch"]}
    assert left_out == ()


def test_a_model_that_sorts_has_attributes_only():
    found, _ = columns([Sample("a", {"lot": "1"}), Sample("b", {"lot": "2"})] * 2, good=None)
    assert list(found) == ["lot"]


def test_sizes_are_those_of_the_masks(tmp_path):
    mask = np.zeros((10, 10), np.uint8)
    Image.fromarray(mask).save(tmp_path / "empty.png")
    mask[0, :5] = 1
    Image.fromarray(mask).save(tmp_path / "five.png")
    parts = [
        Sample("good", mask=tmp_path / "five.png"),
        Sample("crack", mask=tmp_path / "five.png"),
        Sample("crack", mask=tmp_path / "empty.png"),
        Sample("crack"),
    ]
    assert columns(parts)[0]["size"] == [None, "1% to 10%", None, None]


def test_attributes_that_divide_the_parts():
    parts = [Sample("good", {"camera": str(i % 2), "serial": str(i), "plant": "1"}) for i in range(8)]
    parts.append(Sample("good", {"camera": ""}))
    found, left_out = columns(parts)
    assert found["camera"] == ["0", "1"] * 4 + [None]
    assert left_out == ("serial", "plant")
    assert list(columns(parts, by=["serial"])[0]) == ["kind", "serial"]


def test_attributes_called_like_ours_stay_apart():
    parts = [Sample("good", {"kind": str(i % 2), "size": str(i % 2)}) for i in range(8)]
    assert list(columns(parts)[0]) == ["kind", "attribute kind", "attribute size"]


def test_an_unknown_attribute_names_the_known():
    with pytest.raises(BadData, match="found colour; there are camera, lot"):
        columns([Sample("good", {"camera": "1", "lot": "2"})], by=["colour"])
    with pytest.raises(BadData, match="there are none"):
        columns([Sample("good")], by=["colour"])

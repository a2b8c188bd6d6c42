"""Measuring a model that gives boxes: rows of the table, JSON, and parts without boxes."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.line_models import a_card, level, table_model
from visiontune import Inspector
from visiontune.data.samples import Box
from visiontune.runtime import binomial
from visiontune.runtime.measure import measure
from visiontune.runtime.measurement import table
from visiontune.runtime.region_bands import RegionBands


@dataclass
class Part:
    path: Path
    label: str
    group: str
    boxes: tuple[Box, ...] | None = None
    mask: Path | None = None


@pytest.fixture
def boxed(tmp_path):
    """Ten cracks, of which frames 100..107 show a box that overlaps theirs by 0.8, and 50 good parts of which 7 shows one too."""
    boxes = np.zeros((256, 3, 4), np.float32)
    boxes[:, 0] = 10, 10, 20, 18
    boxes[:, 1] = 30, 30, 40, 40
    scores = np.zeros((256, 3), np.float32)
    scores[100:108, 0], scores[7, 0], scores[:, 1] = 0.9, 0.8, 0.2
    kinds = np.tile([1, 2, 0], (256, 1))
    severity = np.where(np.arange(256) >= 100, 0.9, 0.1)
    rows = {"severity": severity, "kinds": np.column_stack([1 - severity, severity, 0 * severity])}
    rows |= {"boxes": boxes, "box_scores": scores, "box_kinds": kinds, "heatmap": np.zeros((256, 4, 4))}
    parts = []
    for value in [*range(50), *range(100, 110)]:
        path = tmp_path / f"{value}.png"
        Image.fromarray(level(value, (40, 40))).save(path)
        box = (Box("crack", 10, 10, 20, 20),)
        parts.append(Part(path, *(("crack", str(value), box) if value >= 100 else ("good", str(value), ()))))
    return parts, rows


def model(rows, high=0.5):
    return Inspector(table_model(rows, a_card(regions=RegionBands(low=high, high=high))))


def test_boxes_are_measured_against_boxes(boxed):
    parts, rows = boxed
    found = measure(model(rows), parts)
    where = found.detection
    assert (where.pictures, where.good, where.objects) == (60, 50, 10)
    assert (where.found.hits, where.found.of) == (8, 10)
    assert (where.found.low, where.found.high) == binomial.interval(8, 10)
    assert (where.named.hits, where.right.hits, where.right.of) == (8, 8, 9)
    assert (where.false_boxes.count, where.false_boxes.frames, where.good_with_false.hits) == (1, 50, 1)
    assert where.found_at.found.hits == 8 and where.found_at.above == pytest.approx(0.8)
    # strongest first: eight right ones, then a false one: precision 1 up to a recall of 0.8; so from IoU 0.50 to 0.80
    assert where.ap50 == pytest.approx(81 / 101)
    assert where.map == pytest.approx(0.7 * 81 / 101)
    assert where.ar == pytest.approx(0.7 * 0.8)
    assert json.loads(json.dumps(found.as_dict(), allow_nan=False))["detection"]["found"]["hits"] == 8
    lines = {line.split()[0]: line for line in table(found).splitlines() if line}
    assert "8/10" in lines["found"] and "8/9" in lines["right"] and "boxes a good picture" in lines["false"]
    assert "56.14%" in lines["mAP"] and "AP50 80.20%, AR 56.00%" in lines["mAP"]
    assert max(map(len, table(found).splitlines())) < 150


def test_the_bands_in_the_card_decide_what_is_shown_and_not_the_averages(boxed):
    parts, rows = boxed
    high, low = (measure(model(rows, band), parts).detection for band in (0.95, 0.1))
    assert (high.found.hits, high.false_boxes.count, high.right.of) == (0, 0, 0)
    assert (low.found.hits, low.false_boxes.count, low.right.of) == (8, 51, 8 + 1 + 60)
    assert high.map == low.map and high.found_at == low.found_at
    assert "-" in next(
        line for line in table(measure(model(rows, 0.95), parts)).splitlines() if "named" in line
    )


def test_without_boxes_on_either_side_nothing_is_said(boxed):
    parts, rows = boxed
    plain = {name: row for name, row in rows.items() if "box" not in name}
    for part in parts:
        part.mask = None
    silent = measure(Inspector(table_model(plain)), parts)
    for part in parts:
        part.boxes = None
    unknown = measure(model(rows), parts)
    for found in (silent, unknown):
        assert found.detection is None and "detection" not in found.as_dict()
        assert "where:" not in table(found)


def test_the_heatmap_of_a_model_of_boxes_is_not_cut_into_regions(boxed):
    parts, rows = boxed
    mask = parts[0].path.parent / "mask.png"
    Image.fromarray(np.full((40, 40), 255, np.uint8)).save(mask)
    for part in parts[50:]:
        part.mask = mask
    found = measure(model(rows), parts)
    assert found.localisation is None and found.detection.objects == 10

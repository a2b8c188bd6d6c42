"""Label suspects: labels that were swapped on purpose are named, and few others."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from visiontune.data.audit import audit
from visiontune.data.painter import paint_part

STYLES = ("turned", "brushed", "cast")
SWAPPED = {"images/turned_3.png": "cast", "images/brushed_7.png": "turned", "images/cast_11.png": "brushed"}


@pytest.fixture(scope="module")
def finishes(tmp_path_factory):
    """Parts of three finishes, 30 of each, a class each; three labels are swapped."""
    root = tmp_path_factory.mktemp("suspects")
    (root / "images").mkdir()
    rows = []
    for number, style in enumerate(STYLES):
        for k in range(30):
            name = f"images/{style}_{k}.png"
            (shot,) = paint_part(
                1000 * number + k, "good", exposures=1, size=(64, 64), style=style, difficulty=0
            )
            Image.fromarray(shot.image).save(root / name)
            rows.append((name, style))
    return root, rows


def written(root, rows):
    with (root / "manifest.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("path", "label"), *rows])
    return root


def test_swapped_labels_are_named(finishes):
    root, rows = finishes
    found = audit(written(root, [(name, SWAPPED.get(name, label)) for name, label in rows]))
    (finding,) = found.by_code["label-suspects"]
    assert set(SWAPPED) <= set(finding.files)
    assert len(finding.files) <= 5
    assert "looks like turned" in finding.details["images/turned_3.png"]
    assert finding.harm == "check"


def test_right_labels_are_not_doubted(finishes):
    root, rows = finishes
    found = audit(written(root, rows))
    assert "label-suspects" not in found.by_code
    assert not any(left.what.startswith("labels") for left in found.left_out)


def test_features_that_tell_nothing_doubt_nothing(finishes):
    root, rows = finishes
    labels = np.random.default_rng(0).choice(["left", "right"], len(rows))
    found = audit(written(root, [(name, label) for (name, _), label in zip(rows, labels, strict=True)]))
    assert "label-suspects" not in found.by_code
    assert any("--embed" in left.why for left in found.left_out)


@pytest.mark.slow
def test_an_embedding_may_be_named(finishes, tmp_path):
    """A network from random weights, saved in timm's own layout."""
    import timm
    from timm.models import save_for_hf

    model = timm.create_model("test_resnet", pretrained=False)
    save_for_hf(model, tmp_path / "net")
    root, rows = finishes
    found = audit(written(root, rows), embed=str(tmp_path / "net"))
    assert found.evidence.embedding.shape[0] == len(rows)
    assert np.isfinite(found.evidence.embedding).all()


@pytest.mark.slow
def test_an_embedding_that_cannot_be_had(finishes):
    from visiontune.runtime.errors import BadModel

    root, rows = finishes
    with pytest.raises(BadModel, match="--embed no_such_net"):
        audit(written(root, rows), embed="no_such_net")

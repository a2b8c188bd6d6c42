"""A policy that pushes the defect out of the picture is named; one that keeps it is not."""

from __future__ import annotations

import pytest

from visiontune.data.audit import audit
from visiontune.data.policies import fixed_part, flat_sheet, natural


@pytest.fixture(scope="module")
def corner(bench):
    """Defects in the picture's corner."""
    import numpy as np

    b = bench()
    for names in b.parts("scratch") + b.parts("stain"):
        for name in names:
            mask = np.zeros((96, 96), np.uint8)
            mask[:6, :6] = 255
            b.mask(name, mask)
    return b.write()


def test_a_crop_that_loses_the_defect(corner):
    (found,) = audit(corner, augment=natural(crop=0.5)).by_code["view-loses-defect"]
    assert found.harm == "serious" and "natural" in found.title
    assert 0.3 < found.numbers["lost"] / found.numbers["views"] < 1
    assert found.details[found.files[0]] == "lost in 8 of 8 views"


@pytest.mark.parametrize("policy", [flat_sheet(), fixed_part()], ids=lambda policy: policy.name)
def test_a_policy_that_keeps_it(corner, policy):
    assert "view-loses-defect" not in audit(corner, augment=policy).by_code


def test_without_masks_it_says_so(bench):
    b = bench()
    for row in b.rows.values():
        row |= {"mask": "", "boxes": ""}
    left = audit(b.write(), augment=flat_sheet()).left_out
    assert any("flat_sheet" in entry.what for entry in left)

"""Findings on an augmentation policy: views from which the marked defect is gone, while the label still says defective."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visiontune.data.audit.evidence import Evidence
from visiontune.data.audit.finding import Finding, LeftOut
from visiontune.data.policy import Policy, view_seed
from visiontune.data.samples import Sample
from visiontune.runtime.errors import BadFrame
from visiontune.runtime.frame import decode

VIEWS = 8  # of each picture
MOST = 200  # defective pictures, evenly chosen
SIDE = 224  # pixels of the longer side; policies run at the model's size
LEFT = 0.25  # share of the defect that a view must still show
LOST, SERIOUS = 0.01, 0.05  # share of the views that lose it, from which it is said, and is serious


def findings(evidence: Evidence, policy: Policy) -> Iterator[Finding | LeftOut]:
    """How often the policy moves the defect out of the picture, judged by masks or boxes."""
    good = evidence.dataset.good
    marked = [
        i
        for i in evidence.readable
        if evidence.samples[i].label != good and (evidence.samples[i].mask or evidence.samples[i].boxes)
    ]
    if not marked:
        yield LeftOut(f"what the policy {policy.name} does to defects", "needs masks or boxes that mark them")
        return
    lost: dict[int, int] = {}
    views = 0
    kinds: Counter[str] = Counter()
    for i in sorted({marked[k] for k in np.linspace(0, len(marked) - 1, MOST).astype(int)}):
        sample = evidence.samples[i]
        outlined = _outlined(sample)
        if outlined is None:
            continue
        gone = sum(_is_gone(policy, *outlined, view_seed(0, sample.id, v)) for v in range(VIEWS))
        views += VIEWS
        if gone:
            lost[i] = gone
            kinds[str(sample.label)] += gone
    total = sum(lost.values())
    if not views or total < LOST * views:
        return
    places = sorted(lost, key=lambda i: -lost[i])
    yield Finding(
        code="view-loses-defect",
        harm="serious" if total >= SERIOUS * views else "check",
        title=f"the policy {policy.name} pushes the defect out of {total / views:.0%} of the views, still labelled defective",
        count=len(lost),
        files=evidence.ids(places),
        numbers={
            "policy": policy.to_json(),
            "views": views,
            "lost": total,
            "kinds": dict(kinds.most_common()),
        },
        details={evidence.samples[i].id: f"lost in {lost[i]} of {VIEWS} views" for i in places},
        advice="shift, zoom and crop less, or choose a policy that keeps the picture whole",
    )


def _outlined(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """The picture at SIDE, uint8 (h, w, 3), and its defect as a mask of 0 and 255, uint8 (h, w); None if there is none."""
    try:
        frame = Image.fromarray(decode(sample.path))
        if sample.mask is not None:
            area = Image.fromarray((decode(sample.mask).max(2) > 0).astype(np.uint8) * 255)
        else:
            area = _painted(sample, frame.size)
    except BadFrame:
        return None
    if area.size != frame.size:
        return None
    scale = SIDE / max(frame.size)
    size = (max(16, round(frame.width * scale)), max(16, round(frame.height * scale)))
    # Box averages, then everything that is not 0: a speck must not fall between the pixels.
    mask = (np.asarray(area.resize(size, Image.Resampling.BOX)) > 0).astype(np.uint8) * 255
    return (np.asarray(frame.resize(size, Image.Resampling.BILINEAR)), mask) if mask.any() else None


def _painted(sample: Sample, size: tuple[int, int]) -> Image.Image:
    area = np.zeros(size[::-1], np.uint8)
    for box in sample.boxes or ():
        x0, y0 = int(box.x0), int(box.y0)
        area[y0 : max(y0 + 1, int(box.y1)), x0 : max(x0 + 1, int(box.x1))] = 255
    return Image.fromarray(area)


def _is_gone(policy: Policy, image: NDArray[np.uint8], mask: NDArray[np.uint8], seed: int) -> bool:
    view = policy(image, seed=seed, mask=mask).mask
    return view is not None and bool(np.count_nonzero(view) < LEFT * np.count_nonzero(mask))

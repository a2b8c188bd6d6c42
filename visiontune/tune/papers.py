"""The metadata beside the card: what viewers and other tools look for, and what the bare core leaves to the app."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visiontune.runtime.card import ModelCard
from visiontune.runtime.frame import Frame
from visiontune.runtime.golden import hashes
from visiontune.runtime.regions import roi_pixels

CORE_KEY = "visiontune.core"  # the metadata key of the core's JSON
INSIDE = (
    "Input `frames`: RGB uint8 (N, H, W, 3) of any size. Region of interest, resize, normalisation, temperature and thresholds "
    "are inside the graph: do not resize or normalise outside. Outputs: severity, kinds, decision (0 pass, 1 review, 2 reject)."
)
OUTSIDE = (
    "The bare network of a visiontune model, for engines that cannot run the whole one. It does not resize, normalise or "
    f"decide: the metadata key {CORE_KEY} says what the app must do."
)


def for_viewers(card: ModelCard, description: str = INSIDE) -> dict[str, str]:
    """Texts under the keys that viewers and runners of other projects read. `names` and `imgsz` are Python literals, as there.

    imgsz is what the network sees, h and w; mean and std are of values 0..1, R, G, B.
    """
    return {
        "description": description,
        "names": str(dict(enumerate(card.classes))),
        "task": card.task,
        "imgsz": str(list(card.input.size)),
        "mean": json.dumps(card.input.mean),
        "std": json.dumps(card.input.std),
        "date": card.created,
    }


def for_core(card: ModelCard, digest: str, *, fitted: NDArray[np.uint8], difference: float) -> dict[str, str]:
    """The metadata of the bare network that belongs to the model file with this digest.

    fitted      the golden frames at the network's size, uint8 (N, h, w, 3)
    difference  of severity and kinds on the golden frames, if Pillow resizes instead of the graph
    """
    return {CORE_KEY: json.dumps(core_papers(card, digest, fitted, difference)), **for_viewers(card, OUTSIDE)}


def core_papers(card: ModelCard, digest: str, fitted: NDArray[np.uint8], difference: float) -> dict[str, Any]:
    """What stands under CORE_KEY."""
    spec, golden = card.input, card.golden
    high, wide = spec.size
    assert golden is not None
    return {
        "schema": 1,
        "of": {"name": card.name, "sha256": digest},
        "classes": list(card.classes),
        "good": card.good,
        "input": {"name": "pictures", "dtype": "float32", "shape": ["n", 3, high, wide], "channels": "RGB"},
        "steps": [
            "upright frame, RGB, uint8 (H, W, 3)" + _window(spec.window),
            _cut(spec.roi),
            f"resize to {high} x {wide} (h x w): bilinear with antialiasing, half-pixel centres, weights normalised at the "
            "border, rounded to whole levels 0..255; as Pillow's Image.resize(BILINEAR) or torchvision v2 antialias=True, "
            "not as OpenCV's INTER_LINEAR",
            "x = (level / 255 - mean) / std for each channel, float32",
            f"reorder to (n, 3, {high}, {wide})",
            "run; severity (n,) and kinds (n, classes) need no further arithmetic: temperature and softmax are inside",
            "decision = (not severity < review_from) + (severity >= reject_from), in float32: 0 pass, 1 review, 2 reject",
        ],
        "roi": spec.roi,
        "window": spec.window,
        "mean": spec.mean,
        "std": spec.std,
        "bands": {"review_from": card.bands.review_from, "reject_from": card.bands.reject_from},
        "golden": {
            "frames": {name: getattr(golden, name) for name in ("seed", "frames", "size", "sha256")},
            "resized_sha256": hashes(fitted),
            "severity": golden.severity,
            "kinds": golden.kinds,
            "decision": golden.decision,
            "tolerance": golden.tolerance,
            "tolerance_with_pillow": max(golden.tolerance, 2 * difference),
        },
    }


def by_pillow(frame: Frame, card: ModelCard) -> NDArray[np.float32]:
    """What an app of Pillow and numpy feeds the core for one frame uint8 (H, W, 3): float32 (3, h, w)."""
    x0, y0, x1, y1 = roi_pixels(frame.shape[0], frame.shape[1], card.input.roi)
    high, wide = card.input.size
    small = Image.fromarray(frame[y0:y1, x0:x1]).resize((wide, high), Image.Resampling.BILINEAR)
    mean, std = np.array(card.input.mean, np.float32), np.array(card.input.std, np.float32)
    normal = (np.asarray(small, np.float32) / 255 - mean) / std
    return np.ascontiguousarray(normal.transpose(2, 0, 1), np.float32)


def _window(window: tuple[int, int] | None) -> str:
    low, high = window or (0, 65535)
    return f"; 16-bit grey g becomes (clip(g - {low}, 0, {high - low}) * 255 + {(high - low) // 2}) // {high - low} first"


def _cut(roi: tuple[float, float, float, float] | None) -> str:
    if roi is None:
        return "no region of interest: the whole frame"
    x0, y0, x1, y1 = roi
    return (
        f"cut columns floor({x0} * W) to floor({x1} * W) and rows floor({y0} * H) to floor({y1} * H), "
        "products in float32, ends excluded"
    )

"""Runs a policy's steps with albumentations 2.0, so that a view depends on picture and seed and nothing else.

albumentations keeps its random state in the transform objects and seeds every transform of a Compose alike;
in workers it repeats its stream (AlbumentationsX issue 266). Here each thread has its own transform objects,
and each step is reseeded from (seed, position of the step) before every picture. The allowed transforms use
no global random state; GaussNoise draws from OpenCV's per-thread generator, which it seeds from ours each
time (2**16 different noise fields).
"""

from __future__ import annotations

import hashlib
import os
import random
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visiontune.data.policy import Augmented, Step
from visiontune.data.transforms import DEFECT, KINDS
from visiontune.runtime.errors import MissingExtra

# The import would otherwise ask pypi.org for a newer release, which is not ours to do on a user's machine.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
try:
    import albumentations
    import cv2

    from visiontune.data.masks import PLANTED
    from visiontune.data.opencv import one_thread
    from visiontune.data.planting import plant
except ImportError as error:
    raise MissingExtra(
        f'augmentation needs albumentations ({error}); pip install "visiontune[train]"'
    ) from error
if not albumentations.__version__.startswith("2.0."):
    # Other releases draw differently, and those after 2.0 are under another licence.
    raise MissingExtra(
        f"augmentation needs albumentations 2.0, found {albumentations.__version__}; "
        'pip install "visiontune[train]"'
    )

FIXED: dict[str, dict[str, Any]] = {  # what a policy may not choose
    # Mirrored borders: black corners would tell the network how far a picture was turned. REFLECT and not
    # REFLECT_101, because its mirror lies on the picture's edge, where that of the boxes lies. Cubic, because
    # linear takes more from a fine crack: of its contrast the weakest view of 100 keeps 53 %, with cubic 59 %.
    "Affine": {
        "border_mode": cv2.BORDER_REFLECT,
        "interpolation": cv2.INTER_CUBIC,
        "mask_interpolation": cv2.INTER_NEAREST,
    },
    # A crop is a part of the picture and is brought back to its size: it never shrinks, so it needs no
    # antialias. OpenCV's INTER_NEAREST is half a pixel off, _EXACT is not. The size is set for every picture.
    "RandomResizedCrop": {"size": (1, 1), "mask_interpolation": cv2.INTER_NEAREST_EXACT},
    # "linear" darkens at most angles in 2.0.8: its gradient leaves 0..1.
    "Illumination": {"mode": "gaussian"},
    # A blur that shifts the picture would leave mask and boxes behind.
    "MotionBlur": {"allow_shifted": False, "direction_range": (0.0, 0.0)},
    # The same noise in all channels: a grey camera's picture stays grey.
    "GaussNoise": {"per_channel": False},
}
WHOLE = {"MotionBlur": ("blur_limit",)}  # parameters albumentations wants as whole numbers
KEPT = 32  # policies whose transforms a thread keeps ready
LEAST_SIDE = 1.0  # pixels: a box of which less is left is gone

Boxes = NDArray[np.float64]


def augment(
    steps: tuple[Step, ...],
    image: NDArray[np.uint8],
    seed: int,
    mask: NDArray[np.uint8] | None,
    boxes: NDArray[np.floating[Any]] | None,
    kinds: Sequence[Any] | None,
) -> Augmented:
    """Take the steps; the arguments and the result are those of `Policy.__call__`, already checked."""
    height, width = image.shape[:2]
    scale = np.array([width, height, width, height], np.float64)
    data: dict[str, Any] = {"image": image}
    if mask is not None:
        data["mask"] = mask
    source = np.arange(0 if boxes is None else len(boxes))
    left = np.ones(len(source))
    if boxes is not None:
        data["bboxes"] = numbered(np.clip(np.asarray(boxes, np.float64) / scale, 0, 1))
    with one_thread():
        for position, (step, transform) in enumerate(zip(steps, transforms(steps), strict=True)):
            if step.transform == "Transpose" and height != width:
                continue
            if step.transform == DEFECT:
                planted(data, dict(step.params), seed, position)
                continue
            if step.transform == "RandomResizedCrop":
                low, high = dict(step.params)["ratio"]  # type: ignore[misc]
                transform.size = height, width
                transform.ratio = low * width / height, high * width / height
            reseed(transform, seed, position)
            before = data.get("bboxes")
            data = transform(**data)
            if before is not None and data["bboxes"] is not before:
                data["bboxes"], rows, seen = tidied(data["bboxes"], scale)
                source, left = source[rows], left[rows] * seen
    return Augmented(
        image=own(data["image"], image),
        mask=None if mask is None else own(data["mask"], mask),
        boxes=None if boxes is None else data["bboxes"][:, :4] * scale,
        kinds=None if kinds is None else tuple(kinds[index] for index in source.tolist()),
        left=None if boxes is None else left,
    )


def planted(data: dict[str, Any], params: dict[str, Any], seed: int, position: int) -> None:
    """Draws a defect on the picture, marked PLANTED in the mask, unless the mask says that there is one, or may be."""
    rng = np.random.Generator(np.random.PCG64(stream(seed, position)))
    if rng.random() >= params["p"] or ("mask" in data and data["mask"].any()):
        return
    shares = {kind: params[kind] for kind in KINDS}
    found = plant(data["image"], rng, strength=params["strength"], size=params["size"], shares=shares)
    if found is not None:
        data["image"], marked = found
        if "mask" in data:
            data["mask"] = np.where(marked, np.uint8(PLANTED), data["mask"])


def own(result: NDArray[np.uint8], given: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`result`, contiguous, in memory of its own: writing to it must not reach the store behind `given`."""
    if np.may_share_memory(result, given):
        return result.copy()
    return np.ascontiguousarray(result)


def reseed(transform: Any, seed: int, position: int) -> None:
    """Fresh generators for one step of one view, independent of every other step's."""
    state = stream(seed, position)
    transform.set_random_state(np.random.Generator(np.random.PCG64(state)), random.Random(state))


def stream(seed: int, position: int) -> int:
    """The state in which a step of a view begins to draw."""
    digest = hashlib.blake2b(f"{seed}:{position}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


local = threading.local()


def transforms(steps: tuple[Step, ...]) -> list[Any]:
    """This thread's own transform objects for `steps`, made once."""
    ready: dict[tuple[Step, ...], list[Any]] = local.__dict__.setdefault("ready", {})
    if steps not in ready:
        while len(ready) >= KEPT:
            del ready[next(iter(ready))]
        ready[steps] = [made(step) for step in steps]
    return ready[steps]


def made(step: Step) -> Any:
    """The albumentations transform of a step; None for a step that is ours."""
    if step.transform == DEFECT:
        return None
    params: dict[str, Any] = {**dict(step.params), **FIXED.get(step.transform, {})}
    for name in WHOLE.get(step.transform, ()):
        params[name] = tuple(int(value) for value in params[name])
    return getattr(albumentations, step.transform)(**params)


def numbered(boxes: Boxes) -> Boxes:
    """`boxes` (K, 4), fractions of the sides as albumentations has them, with their row number as fifth."""
    return np.column_stack([boxes, np.arange(len(boxes))])


def tidied(boxes: Boxes, scale: Boxes) -> tuple[Boxes, NDArray[np.int64], Boxes]:
    """Boxes after a step (K', 5), clipped, numbered anew, without those that left the picture; the numbers they had, and what
    share of each the step left in the picture.

    A mirrored border gives a second box to a defect near it. Where the two touch they are one thing to look
    at, and become one box; as much is left of it as of the one of which more is.
    """
    inside = np.clip(boxes[:, :4], 0, 1)
    sides = inside[:, 2:4] - inside[:, :2]
    some = (sides > 0).all(1)
    left = sides[some].prod(1) / (boxes[some, 2:4] - boxes[some, :2]).prod(1)
    clipped = joined(np.column_stack([inside[some], boxes[some, 4], left]), 1 / scale[:2])
    sides = (clipped[:, 2:4] - clipped[:, :2]) * scale[:2]
    clipped = clipped[(sides >= LEAST_SIDE).all(1)]
    return numbered(clipped[:, :4]), clipped[:, 4].astype(np.int64), clipped[:, 5]


def joined(boxes: Boxes, slack: Boxes) -> Boxes:
    """`boxes` with those of one number (fifth) that touch (within `slack`, one pixel) as one box; of their sixth the larger."""
    if len(np.unique(boxes[:, 4])) == len(boxes):
        return boxes
    kept: list[Boxes] = []
    for box in boxes:
        for other in kept:
            low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:4], other[2:4])
            if box[4] == other[4] and (low <= high + slack).all():
                other[:2], other[2:] = np.minimum(box[:2], other[:2]), np.maximum(box[2:], other[2:])
                break
        else:
            kept.append(box.copy())
    return np.array(kept)

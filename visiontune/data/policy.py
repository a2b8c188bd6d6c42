"""An augmentation policy: plain data on how training pictures may vary; the same seed gives the same view."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visiontune.data.transforms import DEFECT, Value, checked, nearest
from visiontune.runtime.errors import BadData, BadRecipe

if TYPE_CHECKING:
    from PIL import Image

# Raise it when `augment` comes to give other pixels for the same steps: what is cached under a digest goes.
EXECUTION = 1
LEAST_SIDE = 8  # pixels; the transforms are not made for less


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Step:
    """One transform and its parameters: `Step("Affine", rotate=(-2, 2), p=0.8)`.

    `transform` is a name of `transforms.TRANSFORMS`. Parameters that are not given take their neutral value,
    `p` (the probability that the step is taken) is then 1, so that a step is complete data. Raises BadRecipe
    for an unknown transform or parameter (with the nearest name) and for a value out of range.
    """

    transform: str
    params: tuple[tuple[str, Value], ...]

    def __init__(self, transform: str, /, **params: object) -> None:
        complete = checked(transform, params)
        object.__setattr__(self, "transform", transform)
        object.__setattr__(self, "params", tuple(complete.items()))

    def __repr__(self) -> str:
        given = [f"{name}={value!r}" for name, value in self.params]
        return f"Step({', '.join([repr(self.transform), *given])})"


@dataclass(frozen=True, eq=False, slots=True)
class Augmented:
    """One view of a picture, with the labels that moved along.

    image   uint8 (H, W, 3), the size that went in; always an array of its own, contiguous and writable.
    mask    uint8 (H, W), or None where none was given. Only values of the given mask occur, and 2 where a defect was planted.
    boxes   float64 (K', 4), x0 y0 x1 y1 in pixels, inside the picture; None where none were given. A box that
            left the picture is gone; where the border mirrors a part of a defect, a box away from the
            original one is its own.
    kinds   one entry per box of `boxes`, from the entries given; None where none were given.
    left    float64 (K',), above 0 and at most 1: what share of its area the view's edge left of each box; None as `boxes`.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8] | None = None
    boxes: NDArray[np.float64] | None = None
    kinds: tuple[Any, ...] | None = None
    left: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Policy:
    """A named sequence of steps, taken in order. Equal when name and steps are; hashable; to JSON and back.

    Raises BadRecipe when made from anything else than a name and steps.
    """

    name: str
    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        if not isinstance(self.name, str) or not self.name:
            raise BadRecipe(f"Policy.name: expected a name, found {self.name!r}")
        for step in self.steps:
            if not isinstance(step, Step):
                raise BadRecipe(f"Policy.steps: expected Step(...), found {step!r}")

    @property
    def plants(self) -> bool:
        """Whether it draws defects on good parts."""
        return any(step.transform == DEFECT for step in self.steps)

    def __call__(
        self,
        image: NDArray[np.uint8],
        *,
        seed: int,
        mask: NDArray[np.uint8] | None = None,
        boxes: NDArray[np.floating[Any]] | None = None,
        kinds: Sequence[Any] | None = None,
    ) -> Augmented:
        """One view of `image`: bit for bit the same for the same picture and seed, in any thread or order.

        image   uint8 (H, W, 3), RGB, at the model's size, H and W at least 8. It is not changed.
        seed    any integer; see `view_seed`.
        mask    uint8 (H, W), any values. A defect is planted only where it is 0 all over, or not given.
        boxes   float (K, 4), x0 y0 x1 y1 in pixels.
        kinds   K entries of any sort, carried along with their boxes.

        Raises BadData where the arrays are not of these shapes and types or a box has no area in the picture,
        and MissingExtra where albumentations 2.0 is not installed.
        """
        checked_arrays(image, mask, boxes, kinds)
        from visiontune.data.augment import augment  # albumentations: part of the train extra, slow to import

        return augment(self.steps, image, int(seed), mask, boxes, kinds)

    def to_json(self) -> dict[str, Any]:
        """As plain dicts, lists, numbers and strings."""
        return {
            "name": self.name,
            "steps": [
                {"transform": step.transform, "params": {name: plain(value) for name, value in step.params}}
                for step in self.steps
            ],
        }

    @classmethod
    def from_json(cls, data: object) -> Policy:
        """The policy that `to_json` wrote. Raises BadRecipe where `data` is anything else."""
        whole = fields(data, "a policy", {"name": str, "steps": list})
        steps = [
            fields(step, "a policy's step", {"transform": str, "params": dict}) for step in whole["steps"]
        ]
        return cls(whole["name"], tuple(Step(step["transform"], **step["params"]) for step in steps))

    def digest(self) -> str:
        """Hex sha256 of what the policy does, not of its name: equal digests give the same views."""
        text = json.dumps([EXECUTION, self.to_json()["steps"]], sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def sheet(
        self, sample: Any, *, seed: int = 0, n: int = 12, columns: int = 4, size: int = 224
    ) -> Image.Image:
        """A contact sheet of a Sample, a picture file or a picture uint8 (H, W, 3): first itself, then views.

        A picture whose longer side exceeds `size` pixels is shrunk to it, since policies run at the model's
        size.
        """
        from visiontune.data.contact import contact_sheet, picture

        return contact_sheet(self, picture(sample, size), seed=seed, n=n, columns=columns)


def view_seed(run_seed: int, sample_id: str, view: int) -> int:
    """The seed of one view of one sample in one run: 64 bits of blake2b, the same on every machine."""
    text = f"{int(run_seed)}:{int(view)}:{sample_id}"  # the id last: it alone may hold a colon
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little"
    )


def plain(value: Value) -> Any:
    """A parameter's value as JSON knows it."""
    return list(value) if isinstance(value, tuple) else value


def fields(data: object, what: str, kinds: Mapping[str, type]) -> dict[str, Any]:
    """`data` as a dict with exactly the fields of `kinds`, each of its type, or BadRecipe."""
    if not isinstance(data, Mapping):
        raise BadRecipe(f"{what}: expected a dict with {', '.join(kinds)}, found {data!r}")
    for name in data:
        if name not in kinds:
            raise BadRecipe(f"{what} has no field {name!r}; {nearest(name, kinds)}")
    for name, kind in kinds.items():
        if not isinstance(data.get(name), kind):
            raise BadRecipe(f"{what}: expected {name} as {kind.__name__}, found {data.get(name)!r}")
    return dict(data)


def checked_arrays(image: object, mask: object, boxes: object, kinds: Sequence[Any] | None) -> None:
    """Raise BadData where the arguments of a policy are not what its docstring says."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise BadData(f"a policy expects a picture uint8 (H, W, 3), found {described(image)}")
    if min(image.shape[:2]) < LEAST_SIDE:
        raise BadData(
            f"a policy expects at least {LEAST_SIDE} x {LEAST_SIDE} pixels, found {described(image)}"
        )
    if mask is not None and (
        not isinstance(mask, np.ndarray) or mask.dtype != np.uint8 or mask.shape != image.shape[:2]
    ):
        raise BadData(
            f"a policy expects a mask uint8 {image.shape[:2]} for this picture, found {described(mask)}"
        )
    if boxes is None:
        if kinds is not None:
            raise BadData("a policy was given kinds and no boxes; give boxes= too")
        return
    if not isinstance(boxes, np.ndarray) or boxes.dtype.kind not in "fiu" or boxes.shape[1:] != (4,):
        raise BadData(f"a policy expects boxes float (K, 4), found {described(boxes)}")
    if kinds is not None and len(kinds) != len(boxes):
        raise BadData(f"a policy expects one kind per box, found {len(kinds)} kinds for {len(boxes)} boxes")
    height, width = image.shape[:2]
    x0, y0, x1, y1 = boxes.T
    sound = (
        (x0 < x1) & (y0 < y1) & (x1 > 0) & (y1 > 0) & (x0 < width) & (y0 < height) & np.isfinite(boxes).all(1)
    )
    if not sound.all():
        bad = boxes[np.argmin(sound)].tolist()
        raise BadData(
            f"a policy expects boxes x0 y0 x1 y1 with area inside {width}x{height} pixels, found {bad}"
        )


def described(thing: object) -> str:
    """An array's type and shape, or a thing's type."""
    return f"{thing.dtype} {thing.shape}" if isinstance(thing, np.ndarray) else type(thing).__name__

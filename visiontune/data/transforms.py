"""The closed list of transforms a policy may name, each with the parameters and ranges that are tested.

The names are those of albumentations, so that they can be looked up; `Defect` is ours; what a policy may not choose (borders,
interpolation, noise per colour channel) is fixed in `augment`. Nothing here imports albumentations: a policy
can be read, compared and printed without it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from visiontune.runtime.errors import BadRecipe

DEFECT = "Defect"
KINDS = ("scratch", "pit", "stain", "crack", "paste", "texture")  # of planted defects
Value = float | bool | tuple[float, float]


class Parameter(Protocol):
    """What a parameter may be."""

    @property
    def rest(self) -> Value | None:
        """The value that changes nothing, taken where none is given; None where one has to be given."""

    def read(self, value: object) -> Value | None:
        """`value` in its one canonical form, or None where it is not allowed."""


def number(value: object) -> float | None:
    """`value` as a float where it is a finite number (True and False are none), else None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


@dataclass(frozen=True)
class Span:
    """Two numbers, (low, high), between which each view draws its own; both inside `least`..`most`."""

    least: float
    most: float
    rest: tuple[float, float] | None = None

    def read(self, value: object) -> tuple[float, float] | None:
        """(low, high) as floats, or None."""
        if not isinstance(value, (tuple, list)) or len(value) != 2:
            return None
        low, high = number(value[0]), number(value[1])
        if low is None or high is None or not self.least <= low <= high <= self.most:
            return None
        return low, high

    def __str__(self) -> str:
        return f"two numbers (low, high) within {self.least:g}..{self.most:g}"


@dataclass(frozen=True)
class Chance:
    """A probability."""

    rest: float = 1.0

    def read(self, value: object) -> float | None:
        """The probability as a float, or None."""
        chance = number(value)
        return chance if chance is not None and 0 <= chance <= 1 else None

    def __str__(self) -> str:
        return "a probability within 0..1"


@dataclass(frozen=True)
class Weight:
    """How often something comes beside others, in any unit."""

    rest: float = 1.0

    def read(self, value: object) -> float | None:
        """The weight as a float, or None."""
        weight = number(value)
        return weight if weight is not None and 0 <= weight <= 1000 else None

    def __str__(self) -> str:
        return "a number within 0..1000"


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    rest: bool = False

    def read(self, value: object) -> bool | None:
        """The bool, or None."""
        return value if isinstance(value, bool) else None

    def __str__(self) -> str:
        return "true or false"


TRANSFORMS: Mapping[str, Mapping[str, Parameter]] = {
    # geometry: moves picture, mask and boxes together
    "HorizontalFlip": {},
    "VerticalFlip": {},
    "Transpose": {},  # left out for a picture that is not square: it would change its shape
    "Affine": {  # about the centre; shrinking stops at 0.8 because the warp does not antialias
        "rotate": Span(-180, 180, rest=(0, 0)),  # degrees
        "scale": Span(0.8, 1.5, rest=(1, 1)),
        "keep_ratio": Switch(),  # one scale for both sides, or one for each
        "shear": Span(-30, 30, rest=(0, 0)),  # degrees
        "translate_percent": Span(-0.5, 0.5, rest=(0, 0)),  # a fraction of the side, whatever its name says
    },
    "RandomResizedCrop": {
        "scale": Span(0.05, 1),  # share of the area that stays
        "ratio": Span(0.5, 2, rest=(1, 1)),  # the crop's width:height against the picture's own
    },
    # light
    "ColorJitter": {
        "brightness": Span(0, 3, rest=(1, 1)),  # factor on every level: exposure
        "contrast": Span(0, 3, rest=(1, 1)),  # factor about the picture's mean grey
        "saturation": Span(0, 3, rest=(1, 1)),
        "hue": Span(-0.5, 0.5, rest=(0, 0)),  # turns round the colour circle
    },
    "RandomGamma": {"gamma_limit": Span(20, 500)},  # percent: 100 is no change
    "Illumination": {  # one soft lamp (or shadow) somewhere over the picture
        "intensity_range": Span(0.01, 0.2),
        "sigma_range": Span(0.2, 1, rest=(0.5, 1)),  # its width, in longer sides of the picture
        "center_range": Span(0, 1, rest=(0, 1)),  # fractions of the sides
    },
    # lens and sensor
    "GaussianBlur": {"sigma_limit": Span(0.1, 10)},  # pixels
    "MotionBlur": {"blur_limit": Span(3, 31)},  # pixels
    "GaussNoise": {"std_range": Span(0, 0.5)},  # 1.0 is the whole range of levels
    # a defect on a good part; this one is ours (data.planting), the weights say how often each kind comes
    DEFECT: {
        "strength": Span(0.01, 1),  # levels by which it differs from what is beneath; 1.0 is the whole range
        "size": Span(0.01, 1),  # its extent, in shorter sides of the picture
        **{kind: Weight() for kind in KINDS},
    },
}


def checked(transform: object, given: Mapping[str, object]) -> dict[str, Value]:
    """The complete parameters of `transform` in canonical form, in alphabetical order.

    Raises BadRecipe for a transform or a parameter that is not on the list (with the nearest name), a
    parameter missing that has no neutral value, and a value out of range.
    """
    if not isinstance(transform, str) or transform not in TRANSFORMS:
        raise BadRecipe(f"a policy has no transform {transform!r}; {nearest(transform, TRANSFORMS)}")
    known: dict[str, Parameter] = {**TRANSFORMS[transform], "p": Chance()}
    for name in given:
        if name not in known:
            raise BadRecipe(f"{transform} has no parameter {name!r}; {nearest(name, known)}")
    found = {name: value(transform, name, known[name], given) for name in sorted(known)}
    if transform == DEFECT and not any(found[kind] for kind in KINDS):
        raise BadRecipe(f"{DEFECT}: expected a weight above 0 for one of {', '.join(KINDS)}, found none")
    return found


def value(transform: str, name: str, parameter: Parameter, given: Mapping[str, object]) -> Value:
    """The checked value of one parameter, or its neutral one where it is not given."""
    if name not in given and parameter.rest is None:
        raise BadRecipe(f"{transform} needs {name}: expected {parameter}, found nothing; give {name}=")
    read = parameter.read(given.get(name, parameter.rest))
    if read is None:
        raise BadRecipe(f"{transform}.{name}: expected {parameter}, found {given[name]!r}")
    return read


def nearest(name: object, known: Iterable[str]) -> str:
    """A hint: the known name nearest to `name`."""
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0)
    return f"did you mean {near[0]}?"

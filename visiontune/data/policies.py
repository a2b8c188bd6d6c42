"""The named augmentation policies: each says for which part and camera it is right, and what it must not do.

Choose by asking of every change: could this camera have taken this picture, and would the inspector have said
the same about it? Look at `policy.sheet(sample)` before training. Each policy runs at the model's size, keeps
height and width and costs at most a millisecond a picture of 224 x 224 (one core; `planted` three).
"""

from __future__ import annotations

from visiontune.data.contact import contact_sheet
from visiontune.data.policy import Augmented, Policy, Step, view_seed
from visiontune.data.transforms import DEFECT
from visiontune.runtime.errors import BadRecipe

__all__ = [
    "Augmented",
    "Policy",
    "Step",
    "contact_sheet",
    "fixed_part",
    "flat_sheet",
    "natural",
    "none",
    "planted",
    "road_signs",
    "view_seed",
    "xray",
]


def none() -> Policy:
    """The pictures as they are: to measure what augmentation is worth, or for pictures painted as wanted."""
    return Policy("none")


def flat_sheet(*, light: float = 0.25, blur: float = 0.6, noise: float = 0.015) -> Policy:
    """Surfaces without an up: tiles, sheet metal, foil, fabric under a camera that looks straight down.

    All eight orientations (a picture that is not square keeps the four that fit it), light that wanders in
    level, contrast and place, a little blur and grain. No shift, no rotation by a few degrees, no crop and no
    scaling: a crack one pixel wide stays one pixel wide and stays in the picture.

    Not for parts with a front, a text or a given position (`fixed_part`), nor where brightness itself is the
    defect (a burn, a missing coat): lower `light` until the sheet shows none of the good pictures as a bad
    one.

    light   largest relative change of exposure and contrast, 0..0.5; 0 leaves the light alone.
    blur    largest blur, standard deviation in pixels, 0..3; 0 leaves it out.
    noise   largest grain, standard deviation as a share of the range of levels, 0..0.1; 0 leaves it out.

    Raises BadRecipe for a value out of range.
    """
    turns = (Step("HorizontalFlip", p=0.5), Step("VerticalFlip", p=0.5), Step("Transpose", p=0.5))
    return Policy("flat_sheet", (*turns, *lamp(light), *lens(blur), *grain(noise)))


def fixed_part(
    *, shift: float = 0.03, turn: float = 2.0, light: float = 0.2, blur: float = 0.5, noise: float = 0.01
) -> Policy:
    """A part in a fixture, a printed label: the same face and way up, a little off its place every time.

    Small shifts and rotations, light, a trace of blur and grain. Never a flip, a crop or a scaling: where
    left and right or a missing hole are the question, a mirrored part is another part. What comes in at the
    border is mirrored picture.

    Not for parts that lie as they fall (`flat_sheet`), nor where the position is what is inspected (set
    shift=0, turn=0).

    shift   largest shift, as a share of each side, 0..0.2.
    turn    largest rotation in degrees, 0..15.
    light, blur, noise   as in `flat_sheet`.

    Raises BadRecipe for a value out of range.
    """
    within("shift", shift, 0.2)
    within("turn", turn, 15)
    place = Step("Affine", translate_percent=(-shift, shift), rotate=(-turn, turn), p=0.9)
    return Policy(
        "fixed_part", ((place,) if shift or turn else ()) + (*lamp(light), *lens(blur), *grain(noise))
    )


def planted(
    policy: Policy,
    *,
    share: float = 0.5,
    strength: tuple[float, float] = (0.08, 0.5),
    size: tuple[float, float] = (0.03, 0.4),
    **kinds: float,
) -> Policy:
    """`policy` with a defect drawn on good parts first, for heads that learn from good parts (TrainedAnomaly).

    A scratch, pit, stain or crack, a piece pasted from elsewhere in the picture, or an area of another texture, on the part
    where the picture shows a plain background round it; picture and mask then go through the steps of `policy` together. Where
    nothing can be seen of it none is said to be there. It takes some three milliseconds a picture of 224 x 224. Look at its
    sheet: what it draws should be what an inspector would reject, and what the camera could have taken.

    Where good parts differ among themselves as much as a faint defect does, raise the lower strength.

    share     of the views of good parts that get one, 0..1.
    strength  levels by which it differs from what is beneath, as a share of their range, (low, high) within 0.01..1.
    size      its extent in shorter sides of the picture, (low, high) within 0.01..1.
    kinds     scratch, pit, stain, crack, paste, texture: how often each comes, in any unit; 1 each if not given.

    Raises BadRecipe for a value out of range, and for a policy that plants already.
    """
    within("share", share, 1)
    if policy.plants:
        raise BadRecipe(f"policy argument policy: expected one that plants no defects, found {policy.name!r}")
    step = Step(DEFECT, p=share, strength=strength, size=size, **kinds)
    return Policy(f"planted {policy.name}", (step, *policy.steps))


def natural(*, crop: float = 0.5, light: float = 0.3, hue: float = 0.03) -> Policy:
    """Photographs of things, camera in hand: the thing fills a good part of the picture, anywhere in it.

    Left-right flip, a random crop brought back to the picture's size, exposure, contrast, saturation and a
    little hue.

    Not for inspection: the crop may cut the only defect away and leave the label "defective" on a good
    surface. Not where the side matters, nor for reading text.

    crop    smallest share of the area that a crop keeps, 0.2..1; 1 never crops.
    light   largest relative change of exposure, contrast and saturation, 0..0.5.
    hue     largest turn round the colour circle, 0..0.5; 0 where colour decides the class.

    Raises BadRecipe for a value out of range.
    """
    within("crop", crop, 1, least=0.2)
    within("light", light, 0.5)
    within("hue", hue, 0.5)
    span = (1 - light, 1 + light)
    return Policy(
        "natural",
        (
            Step("HorizontalFlip", p=0.5),
            *([Step("RandomResizedCrop", scale=(crop, 1), ratio=(0.8, 1.25), p=0.9)] if crop < 1 else []),
            Step("ColorJitter", brightness=span, contrast=span, saturation=span, hue=(-hue, hue), p=0.8),
        ),
    )


def xray(*, exposure: float = 0.15, turn: float = 5.0, noise: float = 0.015) -> Policy:
    """Radiographs: another exposure, another patient's position, the same anatomy.

    Exposure, contrast and gamma, small rotation, shift and one scale for both sides (proportions are
    findings), grain. Never a flip: the heart lies on the left and the side marker says so. No local light: a
    shadow on one lung is a finding. No blur: it hides what is looked for.

    Not for CT slices or colour pictures. Exposure is clipped at white: with strongly exposed films keep it
    low.

    exposure   largest relative change of level and contrast, 0..0.5.
    turn       largest rotation in degrees, 0..15.
    noise      as in `flat_sheet`.

    Raises BadRecipe for a value out of range.
    """
    within("turn", turn, 15)
    place = Step(
        "Affine",
        rotate=(-turn, turn),
        scale=(0.95, 1.08),
        keep_ratio=True,
        translate_percent=(-0.03, 0.03),
        p=0.9,
    )
    return Policy("xray", (place, *dimmer("exposure", exposure), *grain(noise)))


def road_signs(*, light: float = 0.4, blur: float = 1.5, noise: float = 0.04) -> Policy:
    """Crops of signs from a moving car: dusk and glare, motion, distance, seen aslant, boxed a little off.

    Exposure, contrast, saturation and gamma, shear and separate scales (what perspective does to a small flat
    thing), small rotation and shift, motion blur, lens blur, noise.

    Never a flip (keep left and keep right are two signs), never much rotation (an arrow's direction is its
    meaning), never another hue (red forbids, blue commands).

    light   largest relative change of exposure and contrast, 0..0.5.
    blur    largest lens blur, standard deviation in pixels, 0..3; 0 leaves motion blur out too.
    noise   as in `flat_sheet`.

    Raises BadRecipe for a value out of range.
    """
    view = Step(
        "Affine",
        rotate=(-6, 6),
        shear=(-6, 6),
        scale=(0.88, 1.15),
        keep_ratio=False,
        translate_percent=(-0.06, 0.06),
        p=0.9,
    )
    motion = (Step("MotionBlur", blur_limit=(3, 9), p=0.25),) if blur else ()
    faded = Step("ColorJitter", saturation=(0.6, 1.3), p=0.5)
    return Policy("road_signs", (view, *dimmer("light", light), faded, *motion, *lens(blur), *grain(noise)))


def dimmer(name: str, most: float) -> tuple[Step, ...]:
    """Exposure, contrast and gamma of the whole picture, up to the share `most`; a grey one stays grey."""
    within(name, most, 0.5)
    if not most:
        return ()
    span = (1 - most, 1 + most)
    return (
        Step("ColorJitter", brightness=span, contrast=span, p=0.9),
        Step("RandomGamma", gamma_limit=(100 / (1 + most), 100 * (1 + most)), p=0.5),
    )


def lamp(most: float) -> tuple[Step, ...]:
    """`dimmer`, and a soft lamp or shadow somewhere over the picture."""
    level = dimmer("light", most)
    if not most:
        return level
    return (*level, Step("Illumination", intensity_range=(0.01, max(0.01, min(0.2, 0.6 * most))), p=0.5))


def lens(blur: float) -> tuple[Step, ...]:
    """A lens out of focus by up to `blur` pixels."""
    within("blur", blur, 3)
    return (Step("GaussianBlur", sigma_limit=(0.1, max(0.1, blur)), p=0.3),) if blur else ()


def grain(noise: float) -> tuple[Step, ...]:
    """The sensor's noise, the same in all colours."""
    within("noise", noise, 0.1)
    return (Step("GaussNoise", std_range=(0, noise), p=0.3),) if noise else ()


def within(name: str, value: float, most: float, *, least: float = 0.0) -> None:
    """Raise BadRecipe where an argument is no number within `least`..`most`."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise BadRecipe(
            f"policy argument {name}: expected a number within {least:g}..{most:g}, found {value!r}"
        )

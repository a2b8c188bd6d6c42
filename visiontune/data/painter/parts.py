"""One painted part: several exposures that share the part and its defect and differ in light, pose and noise."""

from dataclasses import dataclass
from math import cos, exp, pi, sin

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from visiontune.data.painter.camera import CAMERAS, Camera, Pose, cover, expose, look, meter
from visiontune.data.painter.defects import damage
from visiontune.data.painter.distractors import litter
from visiontune.data.painter.light import rig, shade
from visiontune.data.painter.machining import STYLES, machine
from visiontune.data.painter.surface import Surface
from visiontune.data.samples import Box
from visiontune.runtime.errors import BadData

KINDS = ("good", "scratch", "pit", "stain", "crack", "dent")
LOTS = ("A", "B", "C", "D", "E", "F")
SMALLEST = 32  # pixels; below, a defect would be smaller than a pixel
METER_STEP = 8  # the exposure is set from every eighth canvas pixel

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Painted:
    """One exposure: `image` uint8 (h, w, 3) RGB, `mask` bool (h, w), True on the defect, a box per separate
    defect in pixels (() for a good part), and where it comes from."""

    image: NDArray[np.uint8]
    mask: Mask
    boxes: tuple[Box, ...]
    kind: str
    part: str
    exposure: int
    camera: str
    lot: str


def paint_part(
    seed: int,
    kind: str,
    *,
    exposures: int = 3,
    size: tuple[int, int] = (192, 192),
    style: str | None = None,
    severity: float | None = None,
    difficulty: float = 0.5,
    product: int | None = None,
) -> list[Painted]:
    """Paint a part of `kind` (one of `KINDS`) `exposures` times, each of `size` (h, w).

    The kind only adds the defect: `paint_part(seed, "good")` with the same settings is the same part, in the
    same light and pose and with the same noise, without it. Exposure k does not depend on how many there are.
    `style`: one of `STYLES`, None draws one. `product`: parts of one number share drawing, machine settings and
    the station's light; None makes each seed a product of its own. `severity` 0..1 of the defect, None
    draws it. `difficulty` 0..1: how faint defects may be and how much harmless litter all parts carry.

    The same arguments give the same bytes on one build of numpy and scipy; between builds and processors
    single grey levels may differ by one. Raises BadData on a value outside its range.
    """
    _check(kind, exposures, size, style, severity, difficulty)
    plan = _stream(seed if product is None else product, 3)
    drawn = str(plan.choice(STYLES, p=(0.34, 0.24, 0.22, 0.20)))
    station = int(plan.integers(2**32))
    make = _stream(seed, 0)
    camera, lot = CAMERAS[int(make.integers(len(CAMERAS)))], str(make.choice(LOTS))
    surface = machine(plan, make, style or drawn, size)
    _drift(surface, lot)
    rest = np.clip(make.standard_normal(3), -2, 2)
    litter(make, surface, difficulty)
    part = _Part(seed, kind, lot, camera, station, rest, surface, surface, np.zeros(surface.shape, bool))
    if kind != KINDS[0]:
        chance = _stream(seed, 1)
        part.surface = surface.copy()
        drawn_severity = _severity(chance, difficulty)
        part.touched = damage(chance, part.surface, kind, drawn_severity if severity is None else severity)
    return [_take(part, exposure) for exposure in range(exposures)]


@dataclass(slots=True)
class _Part:
    """What the exposures of a part share: its surface with and without the defect, how it lies (shift and turn,
    in deviations), its camera and the seed of its station's light."""

    seed: int
    kind: str
    lot: str
    camera: Camera
    station: int
    rest: NDArray[np.float64]
    flawless: Surface
    surface: Surface
    touched: Mask


def _stream(seed: int, *key: int) -> np.random.Generator:
    """An independent random stream: (0,) makes the part, (1,) damages it, (2, k) exposes it, (3,) is its product."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def _severity(chance: np.random.Generator, difficulty: float) -> float:
    """Mostly plain defects; the harder, the more of them are faint, and the fainter they may be."""
    low = 0.6 * (1 - difficulty) ** 2
    return float(low + (1 - low) * chance.random() ** (0.3 + 0.8 * difficulty))


def _check(
    kind: str,
    exposures: int,
    size: tuple[int, int],
    style: str | None,
    severity: float | None,
    difficulty: float,
) -> None:
    if kind not in KINDS:
        raise BadData(f"expected a kind of {', '.join(KINDS)}, found {kind!r}")
    if style is not None and style not in STYLES:
        raise BadData(f"expected a style of {', '.join(STYLES)} or None, found {style!r}")
    if exposures < 1:
        raise BadData(f"expected at least 1 exposure, found {exposures}")
    if min(size) < SMALLEST:
        raise BadData(f"expected a size of at least {SMALLEST} pixels, found {size[0]} x {size[1]}")
    for name, value in (("severity", severity), ("difficulty", difficulty)):
        if value is not None and not 0 <= value <= 1:
            raise BadData(f"expected a {name} from 0 to 1, found {value}")


def _drift(part: Surface, lot: str) -> None:
    """Lots differ a little in finish and alloy, as deliveries do."""
    chance = np.random.default_rng(ord(lot))
    part.gloss *= np.float32(exp(chance.normal(0, 0.06)))
    part.across *= np.float32(exp(chance.normal(0, 0.08)))
    part.along *= np.float32(exp(chance.normal(0, 0.08)))
    part.warmth += np.float32(chance.normal(0, 0.15))


def _take(part: _Part, exposure: int) -> Painted:
    """One picture: the part lies a little differently, the light has wandered, the sensor makes its noise."""
    chance = _stream(part.seed, 2, exposure)
    surface = part.surface
    pose = _pose(part, chance)
    lights = rig(np.random.default_rng(part.station), chance)
    # A camera is set up on good parts: its exposure must not know of the defect.
    gain = meter(part.flawless, shade(part.flawless, lights, pose.turn, METER_STEP), METER_STEP)
    gain *= exp(chance.normal(0, 0.2))
    lamp = (cos(lights[0].azimuth), sin(lights[0].azimuth))
    image = expose(part.camera, surface, shade(surface, lights, pose.turn), pose, gain, lamp, chance)
    mask = _see(part.touched, surface, pose)
    boxes = _boxes(mask, part.kind)
    return Painted(image, mask, boxes, part.kind, f"part_{part.seed}", exposure, part.camera.name, part.lot)


def _pose(part: _Part, chance: np.random.Generator) -> Pose:
    """The fixture holds a part to a few pixels and degrees; taken out and put back it lies 1 to 3 pixels off."""
    pixel = min(part.surface.size) / 192
    shift, way = chance.uniform(1, 3) * pixel, chance.uniform(0, 2 * pi)
    x, y = 2.5 * pixel * part.rest[0] + shift * cos(way), 2.5 * pixel * part.rest[1] + shift * sin(way)
    return Pose(x, y, 0.03 * part.rest[2] + float(np.clip(chance.normal(0, 0.008), -0.02, 0.02)))


def _see(touched: Mask, surface: Surface, pose: Pose) -> Mask:
    """The canvas mask as the camera sees it, on the part only; a speck keeps its brightest pixels."""
    if not touched.any():
        return np.zeros(surface.size, bool)
    seen = look(touched.astype(np.float32), surface.size, pose) * (cover(surface, pose) > 0.3)
    return np.asarray(seen > min(0.4, 0.6 * float(seen.max())), bool)


def _boxes(mask: Mask, kind: str) -> tuple[Box, ...]:
    """A tight box per pit; one box around the whole of any other defect, whose pieces belong together."""
    if not mask.any():
        return ()
    pieces = ndimage.label(mask, np.ones((3, 3)))[0] if kind == "pit" else mask.astype(np.intp)
    return tuple(
        Box(kind, float(cols.start), float(rows.start), float(cols.stop), float(rows.stop))
        for rows, cols in ndimage.find_objects(pieces)
    )

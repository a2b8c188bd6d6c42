"""Plants defects on good pictures, lets the Inspector judge every one, and draws a curve for each kind and contrast."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from visiontune.runtime.errors import BadData
from visiontune.runtime.frame import Frame, Window, decode
from visiontune.runtime.inspector import Inspector
from visiontune.runtime.rate import exact_rate
from visiontune.runtime.regions import roi_pixels
from visiontune.study.planted import Area, Mask, plant
from visiontune.study.pod import curve
from visiontune.study.series import PASS, Find, Good, Series, Survey
from visiontune.study.shapes import SHAPES

LEAST = 10  # good pictures that pass: on fewer nothing can be learnt
PLANTINGS = 120
SMALLEST = 1.0  # pixels
LARGEST = 1 / 4  # of the shorter side of where defects may lie
SHOWN = 8  # plantings of a series that are kept as pictures
AROUND = 24  # pixels shown round a defect


@dataclass(frozen=True)
class Asked:
    """What to plant: every kind at every contrast (grey levels, not 0), `plantings` each, sizes (pixels) from low to high.

    where  a picture, white where defects may lie, or a folder of such pictures, PNG, each called like the picture it is for;
           None is all of the model's region of interest, background included
    """

    kinds: tuple[str, ...] = ("spot", "scratch")
    contrasts: tuple[float, ...] = (-25.0, -60.0)
    sizes: tuple[float, float] | None = None
    plantings: int = PLANTINGS
    where: Path | None = None
    pixel_mm: float | None = None
    seed: int = 0
    confidence: float = 0.95

    def __post_init__(self) -> None:
        if unknown := [kind for kind in self.kinds if kind not in SHAPES] or not self.kinds:
            raise BadData(f"expected kinds of {', '.join(SHAPES)}, found {unknown if self.kinds else 'none'}")
        if not self.contrasts or any(not 1 <= abs(contrast) <= 255 for contrast in self.contrasts):
            raise BadData(
                f"expected contrasts of 1 to 255 grey levels, darker below 0, found {self.contrasts}"
            )
        if self.sizes is not None and not 0.5 <= self.sizes[0] < self.sizes[1] < math.inf:
            raise BadData(f"expected sizes 0.5 <= low < high in pixels, found {self.sizes}")
        if self.plantings < LEAST:
            raise BadData(f"expected at least {LEAST} plantings, found {self.plantings}; 60 are asked for")


def survey(
    inspector: Inspector,
    pictures: Sequence[Good],
    asked: Asked | None = None,
    *,
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """Judges every picture as it is, then the planted ones.

    Within a series each part bears one defect where there are parts enough, so that its defects are independent; where there
    are not, parts come again in turn and the curve's bound counts parts. Sizes are spread evenly over their logarithm and dealt
    out at random. The same seed gives the same pictures. `progress` is called with 1 for each verdict.

    Raises BadData where fewer than ten pictures pass as they are, where the mask does not fit a picture, or where for more than
    half of a series no place is found; BadFrame, with the path, for a picture that cannot be read.
    """
    asked = asked or Asked()
    tell = progress or (lambda _: None)
    passed, shapes = [], []
    window = inspector.card.input.window
    for picture in pictures:
        frame = decode(picture.path, window=window)
        if inspector(frame).decision == PASS:
            passed.append(picture)
            shapes.append(frame.shape)
        tell(1)
    if len(passed) < LEAST:
        raise BadData(
            f"expected at least {LEAST} good pictures that the model passes, found {len(passed)} of {len(pictures)}; "
            "add good pictures, or set other bands"
        )
    low, high = asked.sizes or (SMALLEST, _largest(inspector, shapes))
    planter = _Planter(inspector, passed, asked, window)
    series = []
    for number, (kind, contrast) in enumerate((k, c) for k in asked.kinds for c in asked.contrasts):
        series.append(planter.series(number, kind, contrast, low, high, tell))
    calls = len(pictures) - len(passed)
    return Survey(
        model=inspector.card.name,
        pictures=len(pictures),
        parts=len({picture.group for picture in pictures}),
        false_calls=exact_rate(calls, len(pictures), asked.confidence),
        series=tuple(series),
        pixel_mm=asked.pixel_mm,
        masked=asked.where is not None,
    )


class _Planter:
    """Plants and judges the series, on the pictures that pass."""

    def __init__(
        self, inspector: Inspector, passed: Sequence[Good], asked: Asked, window: Window | None
    ) -> None:
        self.inspector, self.asked, self.window = inspector, asked, window
        self.parts: dict[str, list[Good]] = {}
        for picture in passed:
            self.parts.setdefault(picture.group, []).append(picture)
        self.areas: dict[tuple[Path | None, tuple[int, int]], Area] = {}

    def series(
        self, number: int, kind: str, contrast: float, low: float, high: float, tell: Callable[[int], None]
    ) -> Series:
        """Plants one kind at one contrast."""
        stream = np.random.default_rng([self.asked.seed, number])
        many = self.asked.plantings
        share = (stream.permutation(many) + stream.random(many)) / many
        sizes = low * (high / low) ** share
        keep = set(np.argsort(sizes)[np.linspace(0, many - 1, min(SHOWN, many)).astype(int)].tolist())
        finds = []
        for place, (picture, size) in enumerate(zip(self._dealt(stream, many), sizes.tolist(), strict=True)):
            find = self._planted(picture, kind, size, contrast, stream, place in keep)
            finds += [find] if find else []
            tell(1)
        if len(finds) < max(many / 2, 2):
            raise BadData(
                f"expected places for {many} defects ({kind}, contrast {contrast:g}, {low:.3g} to {high:.3g} pixels), "
                f"found {len(finds)}; name smaller --sizes, another contrast, or a larger --where"
            )
        found = curve(
            [find.size for find in finds],
            [find.found for find in finds],
            [find.group for find in finds],
            confidence=self.asked.confidence,
        )
        return Series(kind, contrast, found, tuple(finds), many - len(finds))

    def _dealt(self, stream: np.random.Generator, many: int) -> list[Good]:
        """A picture for every planting: all parts once before any comes again."""
        names = sorted(self.parts)
        dealt: list[Good] = []
        while len(dealt) < many:
            for place in stream.permutation(len(names))[: many - len(dealt)]:
                several = self.parts[names[int(place)]]
                dealt.append(several[int(stream.integers(len(several)))])
        return dealt

    def _planted(
        self, picture: Good, kind: str, size: float, contrast: float, stream: np.random.Generator, keep: bool
    ) -> Find | None:
        frame = decode(picture.path, window=self.window)
        done = plant(frame, self._area(frame, picture), kind, size, contrast, stream)
        if done is None:
            return None
        verdict = self.inspector(done.frame)
        crop = _around(done.frame, done.box) if keep else None
        return Find(
            str(picture.path), picture.group, size, done.box, verdict.severity, verdict.decision, crop
        )

    def _area(self, frame: Frame, picture: Good) -> Area:
        shape, where = (frame.shape[0], frame.shape[1]), self.asked.where
        if where is not None and where.is_dir():
            where = where / f"{picture.path.stem}.png"
        if (where, shape) not in self.areas:
            mask = _region(self.inspector, shape)
            if where is not None:
                mask &= _white(where, picture.path, shape)
            if self.asked.where != where:  # a mask for every picture: keep but the last
                self.areas.clear()
            self.areas[where, shape] = Area.of(mask)
        return self.areas[where, shape]


def _white(path: Path, picture: Path, shape: tuple[int, int]) -> Mask:
    """Where a mask is white. Raises BadData where it is not of the picture's size."""
    mask: Mask = decode(path)[..., 0] > 127
    if mask.shape != shape:
        raise BadData(f"{path}: expected a mask of {picture}'s size {shape}, found {mask.shape}; redraw it")
    return mask


def _region(inspector: Inspector, shape: tuple[int, int]) -> Mask:
    x0, y0, x1, y1 = roi_pixels(*shape, inspector.card.input.roi)
    mask = np.zeros(shape, bool)
    mask[y0:y1, x0:x1] = True
    return mask


def _largest(inspector: Inspector, shapes: Sequence[tuple[int, ...]]) -> float:
    """The largest size that is planted unless told: a quarter of the region's shorter side, on the smallest picture."""
    sides = []
    for height, width, _ in shapes:
        x0, y0, x1, y1 = roi_pixels(height, width, inspector.card.input.roi)
        sides.append(min(x1 - x0, y1 - y0))
    return max(SMALLEST * 2, LARGEST * min(sides))


def _around(frame: Frame, box: tuple[int, int, int, int]) -> Frame:
    x0, y0, x1, y1 = box
    half = max(x1 - x0, y1 - y0) // 2 + AROUND
    top = max(0, min((y0 + y1) // 2 - half, frame.shape[0] - 2 * half))
    left = max(0, min((x0 + x1) // 2 - half, frame.shape[1] - 2 * half))
    return frame[top : top + 2 * half, left : left + 2 * half].copy()

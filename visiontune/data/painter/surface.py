"""The maps of one part, from which any light can be computed."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from visiontune.data.painter.noise import Array

FINE = 2  # canvas pixels per frame pixel: grooves finer than a pixel still steer the highlight


def margin(size: tuple[int, int]) -> int:
    """Frame pixels painted beyond a frame of `size`, so that a moved part brings its own surroundings."""
    return max(8, round(0.085 * max(size)))


@dataclass(slots=True)
class Surface:
    """What light meets on a part: float32 maps (h, w) on a canvas of `FINE` pixels per frame pixel.

    `depth`: distance to the nearest edge in canvas pixels, negative outside. `tilt_x`, `tilt_y`: minus the
    height's gradient, so that the normal is (tilt_x, tilt_y, 1). `grain_x`, `grain_y`: unit direction of
    the grooves. `along`, `across`: roughness (deviation of the facets' slope) along the grooves and across
    them. `gloss`, `matte`: specular and diffuse reflectance. `warmth`: colour, 0 grey, 1 straw. `unit`: canvas
    pixels per 1/192 of the frame's shorter side.
    """

    size: tuple[int, int]
    unit: float
    depth: Array
    tilt_x: Array
    tilt_y: Array
    grain_x: Array
    grain_y: Array
    along: Array
    across: Array
    gloss: Array
    matte: Array
    warmth: Array

    @classmethod
    def blank(cls, size: tuple[int, int], depth: Array, along: float, across: float) -> "Surface":
        """A flat, even surface with grooves along x."""

        def flat(value: float) -> Array:
            return np.full(depth.shape, value, np.float32)

        return cls(
            size, unit_of(size), depth, flat(0), flat(0), flat(1), flat(0),
            flat(along), flat(across), flat(1), flat(0.12), flat(0),
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """Canvas height and width."""
        return self.depth.shape[0], self.depth.shape[1]

    def copy(self) -> "Surface":
        """A surface whose maps can be changed without changing this one."""
        maps = {f.name: getattr(self, f.name).copy() for f in fields(self) if f.name not in ("size", "unit")}
        return replace(self, **maps)

    def in_view(self, inset: float) -> NDArray[np.bool_]:
        """Canvas pixels at least `inset` canvas pixels inside the part and well inside the frame."""
        view = np.zeros(self.shape, bool)
        pad = int(FINE * (margin(self.size) + 0.085 * min(self.size)))
        view[pad:-pad, pad:-pad] = True
        return view & (self.depth > inset)


def unit_of(size: tuple[int, int]) -> float:
    """Canvas pixels per 1/192 of the shorter side: the unit in which parts and defects are drawn."""
    return FINE * min(size) / 192


def canvas(size: tuple[int, int]) -> tuple[Array, Array]:
    """Canvas coordinates for a frame of `size` (h, w): x (1, W) and y (H, 1) from the middle, canvas pixels."""
    h, w = (FINE * (n + 2 * margin(size)) for n in size)
    y = np.arange(h, dtype=np.float32)[:, None] - np.float32((h - 1) / 2)
    x = np.arange(w, dtype=np.float32)[None, :] - np.float32((w - 1) / 2)
    return x, y

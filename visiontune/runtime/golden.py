"""Golden frames: painted from a seed, with the expected answers in the card, so that any engine can test itself.

The painting is plain integer arithmetic, meant to be repeated in any language. Divisions round down.

random(n)  the next value of xorshift32 (Marsaglia 2003), modulo n: s ^= s << 13; s ^= s >> 17; s ^= s << 5 in
           32 bits, unsigned. Each frame starts with s = seed * 2654435761 + frame * 40503 + 1 modulo 2^32, or 1
           where that is 0.
lattice    L, 9 x 9 points of three channels, drawn row by row, point by point, channel by channel: random(256).
blobs      Pixel (y, x) stands at p = y * 2048 / max(H - 1, 1), in 1/256 of a cell; i = min(p / 256, 7),
           f = p - 256 i. Likewise q, j, g from x and W. Each channel is (upper * (256 - f) + lower * f) / 65536
           with upper = L[i][j] * (256 - g) + L[i][j+1] * g, and lower the same from row i + 1.
edges      Three times: x0 = random(W), y0 = random(H), w = 1 + random(W), h = 1 + random(H), c = random(3), in
           this order; its values v become 255 - v where x0 <= x < x0 + w and y0 <= y < y0 + h.
grain      a = 1 + random(7), b = 1 + random(7); every channel v becomes v * 3 / 4 + ((a * x + b * y) modulo 8) * 8.
           It is finer than the model's input, so an engine that resizes without antialiasing is found out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visiontune.runtime import fields as check
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bands import Bands

LATTICE = 9
MASK = 0xFFFFFFFF
TOLERANCE = 1e-4  # engines of the same precision differ by 1e-6, those that change decisions by 1e-3 and more


@dataclass(frozen=True, kw_only=True)
class Golden:
    """Which frames to paint and what the model answered to them at export.

    size       (h, w) of the frames in pixels, larger than the model's input so that the resize is tested too
    severity   one per frame; kinds one row per frame; decision one per frame, index into DECISIONS
    tolerance  largest allowed difference of severity and kinds

    Raises BadModel when a value is of another type or the lists are not one entry per frame.
    """

    seed: int
    frames: int
    size: tuple[int, int]
    severity: tuple[float, ...]
    kinds: tuple[tuple[float, ...], ...]
    decision: tuple[int, ...]
    tolerance: float = TOLERANCE

    def __post_init__(self) -> None:
        where, n = "card.golden", check.whole(self.frames, "card.golden.frames", least=1)
        rows = check.items(self.kinds, f"{where}.kinds", count=n)
        decisions = tuple(
            check.whole(item, f"{where}.decision") for item in check.items(self.decision, where, count=n)
        )
        if not set(decisions) <= set(range(len(DECISIONS))):
            check.refuse(f"{where}.decision", "indices 0, 1 or 2", decisions)
        checked = {
            "seed": check.whole(self.seed, f"{where}.seed", least=0),
            "frames": n,
            "size": check.size(self.size, f"{where}.size"),
            "severity": check.reals(self.severity, f"{where}.severity", count=n),
            "kinds": tuple(check.reals(row, f"{where}.kinds") for row in rows),
            "decision": decisions,
            "tolerance": check.real(self.tolerance, f"{where}.tolerance", above=0),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def paint(self) -> NDArray[np.uint8]:
        """The frames, uint8 (N, H, W, 3)."""
        return golden_frames(self.seed, self.frames, self.size)

    def difference(self, severity: ArrayLike, kinds: ArrayLike) -> float:
        """Largest difference from the expected severity (N,) and kinds (N, C); inf for NaN or another shape."""
        worst = 0.0
        for given, expected in ((severity, self.severity), (kinds, self.kinds)):
            got, wanted = np.asarray(given, np.float64), np.asarray(expected, np.float64)
            if got.shape != wanted.shape or not np.isfinite(got).all():
                return float("inf")
            worst = max(worst, float(np.abs(got - wanted).max()))
        return worst

    def flips(self, decision: ArrayLike, bands: Bands) -> int:
        """How many decisions (N,) differ from the expected ones.

        A frame whose expected severity lies within the tolerance of a threshold does not count: two engines
        that agree may fall on different sides of it.
        """
        given, expected = np.asarray(decision), np.asarray(self.decision)
        if given.shape != expected.shape:
            return self.frames
        severity = np.asarray(self.severity, np.float64)
        edges = np.array([bands.review_from, bands.reject_from])
        tied = (np.abs(severity[:, np.newaxis] - edges) <= self.tolerance).any(axis=1)
        return int(((given != expected) & ~tied).sum())


def golden_frames(seed: int, frames: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The painted frames, uint8 (frames, H, W, 3), RGB; `size` is (H, W) in pixels, `seed` 0..2^32-1."""
    return np.stack([_paint(seed, index, *size) for index in range(frames)])


def _paint(seed: int, index: int, height: int, width: int) -> NDArray[np.uint8]:
    draw = _Xorshift((seed * 2654435761 + index * 40503 + 1) & MASK or 1)
    lattice = np.array([draw(256) for _ in range(LATTICE * LATTICE * 3)], np.int64).reshape(
        LATTICE, LATTICE, 3
    )
    frame = _blobs(lattice, height, width)
    y, x = np.arange(height)[:, np.newaxis], np.arange(width)[np.newaxis, :]
    for _ in range(3):
        x0, y0, w, h, channel = draw(width), draw(height), 1 + draw(width), 1 + draw(height), draw(3)
        patch = frame[y0 : y0 + h, x0 : x0 + w, channel]
        patch[:] = 255 - patch
    a, b = 1 + draw(7), 1 + draw(7)
    grain = (a * x + b * y) % 8 * 8
    return (frame * 3 // 4 + grain[:, :, np.newaxis]).astype(np.uint8)


def _blobs(lattice: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """The lattice (9, 9, 3) blended to (H, W, 3) by integer bilinear weights."""
    i, f = _steps(height)
    j, g = _steps(width)
    f, g = f[:, np.newaxis, np.newaxis], g[np.newaxis, :, np.newaxis]
    upper, lower = lattice[i], lattice[i + 1]
    top = (256 - g) * upper[:, j] + g * upper[:, j + 1]
    bottom = (256 - g) * lower[:, j] + g * lower[:, j + 1]
    blended: NDArray[np.int64] = ((256 - f) * top + f * bottom) // 65536
    return blended


def _steps(pixels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each pixel of a side: the lattice cell it stands in, and how far into it, 0..256."""
    cells = LATTICE - 1
    at = np.arange(pixels, dtype=np.int64) * (cells * 256) // max(pixels - 1, 1)
    cell = np.minimum(at // 256, cells - 1)
    return cell, at - 256 * cell


class _Xorshift:
    """Marsaglia's xorshift32; call it with n for the next value modulo n."""

    def __init__(self, state: int) -> None:
        self.state = state

    def __call__(self, n: int) -> int:
        s = self.state
        s ^= s << 13 & MASK
        s ^= s >> 17
        s ^= s << 5 & MASK
        self.state = s
        return s % n

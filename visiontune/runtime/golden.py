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

import hashlib
import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visiontune.runtime import fields as check
from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bands import Bands

HEX = re.compile("[0-9a-f]{64}")
LATTICE = 9
MOST_PIXELS = 2_000_000  # of a painted frame that tries a resize: painting one takes a tenth of a second
MASK = 0xFFFFFFFF
TOLERANCE = 1e-4  # engines of the same precision differ by 1e-6, those that change decisions by 1e-3 and more


@dataclass(frozen=True, kw_only=True)
class Golden:
    """Which frames to paint and what the model answered to them at export.

    size       (h, w) of the frames in pixels, larger than the model's input so that the resize is tested too
    severity   one per frame; kinds one row per frame; decision one per frame, index into DECISIONS
    tolerance  largest allowed difference of severity and kinds
    sha256     of each frame's bytes, 64 hex digits, so that a painter in another language can test itself; empty in
               cards from before there were any

    Raises BadModel when a value is of another type or the lists are not one entry per frame.
    """

    seed: int
    frames: int
    size: tuple[int, int]
    severity: tuple[float, ...]
    kinds: tuple[tuple[float, ...], ...]
    decision: tuple[int, ...]
    tolerance: float = TOLERANCE
    sha256: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        where, n = "card.golden", check.whole(self.frames, "card.golden.frames", least=1)
        rows = check.items(self.kinds, f"{where}.kinds", count=n)
        decisions = tuple(
            check.whole(item, f"{where}.decision") for item in check.items(self.decision, where, count=n)
        )
        if not set(decisions) <= set(range(len(DECISIONS))):
            check.refuse(f"{where}.decision", "indices 0, 1 or 2", decisions)
        hashes = tuple(check.items(self.sha256, f"{where}.sha256"))
        if not all(isinstance(text, str) and HEX.fullmatch(text) for text in hashes) or len(hashes) not in (
            0,
            n,
        ):
            check.refuse(f"{where}.sha256", f"64 hex digits for each of {n} frames", self.sha256)
        checked = {
            "sha256": hashes,
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

    def misprints(self, frames: NDArray[np.uint8]) -> int:
        """How many of the painted frames (N, H, W, 3) are not the very pixels that were painted at export."""
        return (
            sum(one != two for one, two in zip(hashes(frames), self.sha256, strict=True))
            if self.sha256
            else 0
        )

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


def frame_sizes(
    size: tuple[int, int], roi: tuple[float, float, float, float] | None, *, most: int = MOST_PIXELS
) -> list[tuple[int, int]]:
    """Sizes (H, W) of painted frames that try a model's resize, the general case first: down, none, up, odd mixes of them.

    size  (h, w) of the model's input in pixels
    roi   the region of interest: what it cuts out has the intended size
    most  pixels of a frame; where the region is so small that more were needed the frame stays at that
    """
    x0, y0, x1, y1 = roi or (0.0, 0.0, 1.0, 1.0)
    h, w = size
    regions = [
        (h * 3 // 2 + 1, w * 2 + 1),
        (h, w),
        (h * 2 // 3 + 1, w // 2 + 1),
        (h * 3 + 2, w + 3),
        (h - 1, w * 4 + 3),
    ]
    return [_scaled(max(1, high) / (y1 - y0), wide / (x1 - x0), most) for high, wide in regions]


def _scaled(height: float, width: float, most: int) -> tuple[int, int]:
    """These sides, rounded up, or both shrunk alike so that they hold `most` pixels."""
    shrink = max(1.0, math.sqrt(height * width / most))
    return math.ceil(height / shrink - 1e-9), math.ceil(width / shrink - 1e-9)


def hashes(frames: NDArray[np.uint8]) -> tuple[str, ...]:
    """The sha256, 64 hex digits, of each frame's bytes: row by row, pixel by pixel, R, G, B."""
    return tuple(hashlib.sha256(frame.tobytes()).hexdigest() for frame in frames)


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
    grain = ((a * x + b * y) % 8 * 8).astype(np.uint8)
    # v - ceil(v / 4) is v * 3 / 4 rounded down. numpy 1 and 2 do not agree on the type of a sum of two types: it is said.
    frame -= ((frame.astype(np.uint16) + 3) // 4).astype(np.uint8)
    frame += grain[:, :, np.newaxis]
    return frame


def _blobs(lattice: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8]:
    """The lattice (9, 9, 3) blended to (H, W, 3) by integer bilinear weights, row by row to save memory."""
    i, f = _steps(height)
    j, g = (side[:, np.newaxis] for side in _steps(width))
    across = (256 - g) * lattice[:, j[:, 0]] + g * lattice[:, j[:, 0] + 1]
    frame = np.empty((height, width, 3), np.uint8)
    for y in range(height):
        frame[y] = ((256 - f[y]) * across[i[y]] + f[y] * across[i[y] + 1]) // 65536
    return frame


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

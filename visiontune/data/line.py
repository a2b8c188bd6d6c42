"""Gives every group its fixed place on the line from 0 to 1, which the split's fractions cut into shares."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from itertools import accumulate

Fractions = tuple[float, float, float]


def place(seed: int, group: str) -> float:
    """Where a group lies in 0..1 (1 excluded): the first 53 bits of blake2b over "seed NUL group", the name in Unicode NFC."""
    name = group if group.isascii() else unicodedata.normalize("NFC", group)
    digest = blake2b(f"{seed}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


class Line:
    """The line 0..1 on which every group has its place, cut into the open shares (positions in SPLITS)."""

    def __init__(self, seed: int, shares: Sequence[int], fractions: Fractions) -> None:
        self.seed = seed
        self.shares = tuple(shares)
        width = sum(fractions[share] for share in shares)
        self._cuts = [*accumulate(fractions[share] / width for share in shares)][:-1]

    def share(self, group: str) -> int:
        """The share whose stretch of the line the group lies in."""
        return self.shares[bisect_right(self._cuts, place(self.seed, group))]

    def distance(self, group: str, share: int) -> float:
        """How far the group lies from the stretch of `share`, 0 inside."""
        i, at = self.shares.index(share), place(self.seed, group)
        low, high = [0.0, *self._cuts, 1.0][i : i + 2]
        return max(low - at, at - high, 0.0)

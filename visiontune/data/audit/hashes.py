"""64-bit difference hashes of the coarse shape, and all pairs that differ in few bits, in less than all comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BITS = 64
CROWD = 200  # pictures in one bucket beyond which sharing it says nothing: parts of one product look alike


def difference_hash(small: NDArray[np.uint8]) -> int:
    """uint8 (8, 9) grey -> 64 bits, each telling whether a pixel is brighter than its left neighbour (Krawetz 2013)."""
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), "big")


def pairs_within(hashes: NDArray[np.uint64], distance: int) -> NDArray[np.intp]:
    """Pairs (i, j), i < j, of hashes that differ in at most `distance` bits, intp (m, 2), sorted.

    By multi-index hashing (Norouzi, Punjani, Fleet 2012): cut into distance + 1 bands, two such hashes agree in at
    least one. Buckets of more than CROWD pictures are passed over: use another test where all pictures look alike.
    Equal hashes count as a bucket too.
    """
    found = [np.empty((0, 2), np.intp)]
    for band in _bands(hashes, distance + 1):
        found += [_close(hashes, members, distance) for members in _buckets(band)]
    return np.unique(np.concatenate(found), axis=0)


def _bands(hashes: NDArray[np.uint64], bands: int) -> Iterator[NDArray[np.uint64]]:
    """Each hash's bits of one band after the other."""
    edges = [round(i * BITS / bands) for i in range(bands + 1)]
    for low, high in pairwise(edges):
        yield (hashes >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)


def _buckets(band: NDArray[np.uint64]) -> Iterator[NDArray[np.intp]]:
    """The indices that share a value, value by value."""
    order = np.argsort(band, kind="stable")
    edges = np.flatnonzero(np.diff(band[order])) + 1
    yield from (members for members in np.split(order, edges) if 1 < len(members) <= CROWD)


def _close(hashes: NDArray[np.uint64], members: NDArray[np.intp], distance: int) -> NDArray[np.intp]:
    """The pairs among members that differ in few enough bits."""
    first, second = np.triu_indices(len(members), 1)
    pairs = np.stack((members[first], members[second]), axis=1)
    near = hamming(hashes[pairs[:, 0]], hashes[pairs[:, 1]]) <= distance
    return np.sort(pairs[near], axis=1)


def hamming(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint8]:
    """In how many bits the hashes differ."""
    bits = (a ^ b)[:, None] >> (np.arange(8, dtype=np.uint64) * np.uint64(8))
    found: NDArray[np.uint8] = _ONES[(bits & np.uint64(255)).astype(np.intp)].sum(1, dtype=np.uint8)
    return found


_ONES = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)

"""How well the prints of two pictures match where they match best: correlation over small shifts."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from visiontune.data.audit.fingerprint import Float
from visiontune.data.audit.template import peaks, reach

BLOCK = 128  # pairs that one task compares
KEPT = 2048  # pictures up to which all transforms are held


class Matcher:
    """Compares prints int8 (n, c, c)."""

    def __init__(self, prints: NDArray[np.int8]) -> None:
        self._prints = prints
        self._side = prints.shape[1]
        self._most = reach(self._side)
        self._kept: NDArray[np.complex64] | None = None
        if len(prints) <= KEPT:
            blocks = [
                self._made(np.arange(i, min(i + BLOCK, len(prints)))) for i in range(0, len(prints), BLOCK)
            ]
            self._kept = np.concatenate(blocks) if blocks else None

    def __call__(self, pairs: NDArray[np.intp]) -> Float:
        """The correlation, -1 .. 1, of each pair (m, 2) at its best shift, float32 (m,); 0 where a print is blank."""
        blocks = [pairs[i : i + BLOCK] for i in range(0, len(pairs), BLOCK)]
        with ThreadPoolExecutor(max(1, min(8, os.cpu_count() or 1))) as pool:
            found = list(pool.map(self._compared, blocks))
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def _compared(self, pairs: NDArray[np.intp]) -> Float:
        product = self._transforms(pairs[:, 0]) * np.conj(self._transforms(pairs[:, 1]))
        correlation = np.fft.irfft2(product, s=(self._side, self._side)).astype(np.float32)
        found: Float = peaks(correlation, self._most).max(1)
        return found

    def _transforms(self, rows: NDArray[np.intp]) -> NDArray[np.complex64]:
        if self._kept is not None:
            return self._kept[rows]
        unique, place = np.unique(rows, return_inverse=True)
        return self._made(unique)[place]

    def _made(self, rows: NDArray[np.intp]) -> NDArray[np.complex64]:
        """The transforms of prints scaled to length 1."""
        texture = self._prints[rows].astype(np.float32)
        texture -= texture.mean((1, 2), keepdims=True)
        length = np.sqrt((texture**2).sum((1, 2), keepdims=True))
        return np.fft.rfft2(texture / np.maximum(length, 1e-6)).astype(np.complex64)

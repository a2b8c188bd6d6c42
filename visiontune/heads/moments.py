"""Mean and spread of vectors at each place, of pictures that come batch by batch."""

from __future__ import annotations

import torch
from torch import Tensor

LARGEST = 8_000_000  # numbers for all places together, 32 MB; beyond it only variances are kept


class Moments:
    """Sums over vectors float (P, N, d) of N pictures at P places: covariances where P d d are not too many, else variances.

    Its memory stays the same however many pictures come.
    """

    def __init__(self) -> None:
        self.whole = False
        self.count = 0
        self._about = self._total = self._squares = torch.zeros(())

    def add(self, vectors: Tensor) -> None:
        """Takes up the vectors of some more pictures."""
        first = not self.count
        if first:
            # where parts lie alike, spreads are small beside means, and squares would drown them
            self._about = vectors.mean(dim=1, keepdim=True)
            self.whole = len(vectors) * vectors.shape[2] ** 2 <= LARGEST
        away = vectors - self._about
        sums = away.sum(dim=1)
        squares = away.transpose(1, 2) @ away if self.whole else away.square().sum(dim=1)
        self._total = sums.double() if first else self._total.add_(sums)
        self._squares = squares.double() if first else self._squares.add_(squares)
        self.count += vectors.shape[1]

    @property
    def mean(self) -> Tensor:
        """float32 (P, d)."""
        return (self._total / self.count + self._about[:, 0]).float()

    @property
    def spread(self) -> Tensor:
        """Covariances float64 (P, d, d), or variances (P, d)."""
        mean = self._total / self.count
        return self._squares / self.count - (
            mean[:, :, None] * mean[:, None] if self.whole else mean.square()
        )

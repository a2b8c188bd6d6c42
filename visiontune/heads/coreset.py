"""A few vectors that stand for many: greedy k-centre."""

from __future__ import annotations

import torch
from torch import Tensor


def coreset(vectors: Tensor, count: int) -> Tensor:
    """Positions int64 (m,) of at most `count` of the vectors float (n, d), so that none of the others lies far from all.

    Greedy k-centre (Gonzalez 1985, doi 10.1016/0304-3975(85)90224-5): first the vector nearest the mean, then again and again
    the one that lies farthest from those taken; the largest distance left is at most twice the smallest possible. It ends early
    where only copies are left. The same vectors give the same answer.
    """
    if not len(vectors) or count < 1:
        return torch.zeros(0, dtype=torch.int64)
    squares = vectors.square().sum(dim=1)
    taken = int((vectors - vectors.mean(dim=0)).square().sum(dim=1).argmin())
    left = torch.full_like(squares, torch.inf)
    found: list[int] = []
    while len(found) < count:
        found.append(taken)
        left = torch.minimum(left, squares + squares[taken] - 2 * (vectors @ vectors[taken]))
        left[taken] = -torch.inf  # rounding must not bring it back
        taken = int(left.argmax())
        if not float(left[taken]) > 0:
            break
    return torch.tensor(found)

"""A rate that was seen, with its exact bounds."""

from __future__ import annotations

from dataclasses import dataclass

from visiontune.runtime import binomial


@dataclass(frozen=True)
class Rate:
    """`hits` of `of` parts, with exact (Clopper-Pearson) bounds.

    rate       hits / of; None if there were no such parts
    low, high  two-sided bounds
    upper      one-sided upper bound: what the parts certify
    """

    hits: int
    of: int
    rate: float | None
    low: float
    high: float
    upper: float


def exact_rate(hits: int, of: int, confidence: float) -> Rate:
    """The rate of `hits` in `of`. Raises ValueError unless 0 <= hits <= of and 0 < confidence < 1."""
    low, high = binomial.interval(hits, of, confidence)
    return Rate(hits, of, hits / of if of else None, low, high, binomial.upper(hits, of, confidence))

"""A control chart of a rate, such as that of rejects: subgroup after subgroup, with exact limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

TAIL = 0.00135  # beyond each limit: what lies outside three standard deviations of a normal distribution on one side
PHASE_ONE = 25  # subgroups from which a chart learns its centre, if it is not given (Montgomery, "Introduction to SQC")


class Rate(NamedTuple):
    """What is known of a rate: a Beta(a, b) distribution. `a / (a + b)` is its mean."""

    a: float
    b: float

    @classmethod
    def seen(cls, hits: int, count: int) -> Rate:
        """The rate after `hits` in `count`, from Jeffreys' prior."""
        return cls(hits + 0.5, count - hits + 0.5)

    @property
    def mean(self) -> float:
        """0..1."""
        return self.a / (self.a + self.b)

    def mixed(self, other: Rate, share: float) -> Rate:
        """The rate where `share` of the parts, 0..1, follow `other`: the Beta with the mixture's mean and variance."""
        mean = (1 - share) * self.mean + share * other.mean
        variance = (1 - share) ** 2 * self._variance() + share**2 * other._variance()
        strength = mean * (1 - mean) / variance - 1
        return Rate(mean * strength, (1 - mean) * strength)

    def _variance(self) -> float:
        return self.mean * (1 - self.mean) / (self.a + self.b + 1)

    def limits(self, size: int) -> tuple[int, int]:
        """The least and the most hits in `size` parts to be expected: each side of them has a chance of at most 0.00135.

        Exact beta-binomial tails, so that what is not known of the rate widens them; where the rate is small a normal
        distribution would not do.
        """
        chances = [math.exp(self._log_chance(hits, size)) for hits in range(size + 1)]
        low, below = 0, chances[0]
        while below <= TAIL:
            low += 1
            below += chances[low]
        high, above = size, chances[size]
        while above <= TAIL:
            high -= 1
            above += chances[high]
        return low, high

    def _log_chance(self, hits: int, size: int) -> float:
        choose = math.lgamma(size + 1) - math.lgamma(hits + 1) - math.lgamma(size - hits + 1)
        return choose + _log_beta(hits + self.a, size - hits + self.b) - _log_beta(self.a, self.b)


@dataclass(frozen=True, slots=True)
class Outside:
    """A subgroup outside the limits: `hits` of `size`, expected `low` to `high`; `rate` is the centre, 0..1."""

    hits: int
    size: int
    low: int
    high: int
    rate: float


class PChart:
    """Counts hits in subgroups of `size` parts and says which subgroups lie outside the limits.

    rate  what is known before; None learns it from the first 25 subgroups (phase I), which raise no alarm themselves

    A process that does not change leaves the limits in at most 0.27 % of its subgroups, one in 370, on average over what is
    not known of the rate. That is a promise for one subgroup, not for a life: a line sees many, and after a year of them a
    point outside is no news by itself. Small rates need large subgroups: a doubled rate is only likely to be seen soon where
    a subgroup holds about ten hits or more. Not thread-safe.
    """

    def __init__(self, size: int, rate: Rate | None = None) -> None:
        if size < 1:
            raise ValueError(f"size: expected a subgroup of at least one part, found {size}")
        self._size = size
        self._given = rate is not None
        self._set(rate)
        self._hits = self._count = 0
        self._learnt = (0, 0)  # hits and parts of phase I
        self._subgroups = self._outside = 0
        self._last: int | None = None

    def observe(self, hit: bool) -> Outside | None:
        """Takes one part; what it found if that part completes a subgroup outside the limits."""
        self._hits += hit
        self._count += 1
        if self._count < self._size:
            return None
        hits, self._hits, self._count = self._hits, 0, 0
        self._subgroups += 1
        self._last = hits
        if self._rate is None:
            self._learn(hits)
            return None
        if self._low <= hits <= self._high:
            return None
        self._outside += 1
        return Outside(hits, self._size, self._low, self._high, self._rate.mean)

    def status(self) -> dict[str, Any]:
        """Subgroups so far, how many outside, hits in the last, limits and centre (None while it learns)."""
        rate = self._rate
        return {
            "subgroup": self._size,
            "subgroups": self._subgroups,
            "outside": self._outside,
            "last": self._last,
            "limits": None if rate is None else [self._low, self._high],
            "rate": None if rate is None else rate.mean,
        }

    def state(self) -> dict[str, Any]:
        """JSON-able; `restore` goes on from it."""
        return {
            "rate": None if self._rate is None else list(self._rate),
            "hits": self._hits,
            "count": self._count,
            "learnt": list(self._learnt),
            "subgroups": self._subgroups,
            "outside": self._outside,
            "last": self._last,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state` gave, of a chart with the same subgroups. Raises ValueError for another."""
        count, hits = int(state["count"]), int(state["hits"])
        if not 0 <= hits <= count < self._size or (self._given and state["rate"] is None):
            raise ValueError(f"expected a chart of subgroups of {self._size}, found another")
        self._set(None if state["rate"] is None else Rate(*map(float, state["rate"])))
        self._hits, self._count = hits, count
        self._learnt = (int(state["learnt"][0]), int(state["learnt"][1]))
        self._subgroups, self._outside = int(state["subgroups"]), int(state["outside"])
        self._last = None if state["last"] is None else int(state["last"])

    def _learn(self, hits: int) -> None:
        self._learnt = (self._learnt[0] + hits, self._learnt[1] + self._size)
        if self._subgroups >= PHASE_ONE:
            self._set(Rate.seen(*self._learnt))

    def _set(self, rate: Rate | None) -> None:
        self._rate = rate
        if rate is not None:
            self._low, self._high = rate.limits(self._size)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

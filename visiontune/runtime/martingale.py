"""A bet against "nothing has changed": when its capital grows, the line's values are no longer those of validation."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

CELLS = 512  # a value counts by its cell alone: constant memory, on a grid that no data had a say in
CAP = 1e100  # capital beyond which nobody needs to tell
# What is bet on: densities Beta(a, b) of the rank from the top, 0..1, each with the word for it.
BETAS = (
    ("higher", 0.25, 1.0),
    ("higher", 0.5, 1.0),
    ("higher", 0.8, 1.0),
    ("higher", 1.0, 2.0),
    ("lower", 1.0, 0.25),
    ("lower", 1.0, 0.5),
    ("lower", 1.0, 0.8),
    ("lower", 2.0, 1.0),
    ("wider", 0.5, 0.5),
    ("narrower", 2.0, 2.0),
    ("narrower", 4.0, 4.0),
)
STUCK = 8  # and as many that the rank stays within one eighth, as it does when a camera is frozen
# the outermost eighths are called what they also are
WORDS = (*(word for word, _, _ in BETAS), "higher", *["stuck"] * (STUCK - 2), "lower")
_A, _B = (np.array([beta[side] for beta in BETAS]) for side in (1, 2))
_LOG_NORM = np.array([math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b) for _, a, b in BETAS])


class Martingale:
    """A conformal test martingale: tests without end whether values come as the reference came.

    reference  the values of validation, at least one
    low, high  the values that the grid of 512 cells spans; those outside count as its first and last cell
    alpha      0..1: if values and reference are exchangeable, the chance of an alarm, ever, is at most this (Ville 1939)
    seed       of the draws that split ties

    Each value gets its rank among the reference and all values before it, ties split at random. Were the values
    exchangeable with the reference, these ranks would be independent and uniform on 0..1 exactly, not only on average
    over references, for the reference grows with the line (Vovk, Nouretdinov and Gammerman 2003, "Testing exchangeability
    on-line"). A fixed reference would not do: its own deviation from the truth would in the end raise an alarm.

    The capital begins as 1. At every value a share of what is still kept back is staked, in equal parts on densities of
    the rank; a stake multiplies by its density. So there is fresh capital whenever a change comes, early or after a million
    values, and the sum of all stakes and of what is kept back stays a martingale (cf. Shin, Ramdas and Rinaldo 2022, arXiv
    2203.03532). What is kept back after t values is 1 / (1 + ln(1 + t)).

    Memory and time do not depend on how many values there were. Not thread-safe. Raises ValueError for an empty reference
    and numbers out of range.
    """

    def __init__(
        self, reference: Iterable[float], *, low: float, high: float, alpha: float, seed: int = 0
    ) -> None:
        if not 0 < alpha < 1 or not low < high:
            raise ValueError(f"expected 0 < alpha < 1 and low < high, found {alpha}, {low} and {high}")
        self._low, self._scale = low, CELLS / (high - low)
        self._limit = 1 / alpha
        self._seed = seed
        self._counts: NDArray[np.int64] = np.bincount(
            np.array([self._cell(value) for value in reference], np.int64), minlength=CELLS
        )
        self._total = int(self._counts.sum())
        if not self._total:
            raise ValueError("reference: expected at least one value, found none")
        self._stakes = np.zeros(len(WORDS))
        self.seen = 0
        self.alarm_at: int | None = None  # which value raised the alarm
        self.alarm_word = ""
        self.highest = 1.0

    @property
    def capital(self) -> float:
        """What 1 has become; the evidence against "nothing has changed"."""
        return float(self._stakes.sum()) + _kept_back(self.seen)

    @property
    def word(self) -> str:
        """What most capital is on: the values are "higher", "lower", "wider" or "narrower" spread, or "stuck"."""
        on: dict[str, float] = dict.fromkeys(WORDS, 0.0)
        for word, stake in zip(WORDS, self._stakes.tolist(), strict=True):
            on[word] += stake
        return max(on, key=on.__getitem__)

    def observe(self, value: float) -> bool:
        """Takes the next value; whether it raises the alarm. That happens once: from then on the alarm stands."""
        cell = self._cell(value)
        self._counts[cell] += 1
        self._total += 1
        same = int(self._counts[cell])
        above = int(self._counts[cell + 1 :].sum())
        rank = min((above + same * _uniform(self._seed, self.seen)) / self._total, 1 - 2**-53)
        staked = _kept_back(self.seen) - _kept_back(self.seen + 1)
        self._stakes += staked / len(WORDS)
        self._stakes *= densities(rank)
        self.seen += 1
        capital = self.capital
        if capital > CAP:
            self._stakes *= CAP / capital
        self.highest = max(self.highest, capital)
        if self.alarm_at is None and capital >= self._limit:
            self.alarm_at, self.alarm_word = self.seen, self.word
            return True
        return False

    def state(self) -> dict[str, Any]:
        """JSON-able; `restore` goes on from it, to the last bit."""
        return {
            "seen": self.seen,
            "counts": self._counts.tolist(),
            "stakes": self._stakes.tolist(),
            "highest": self.highest,
            "alarm_at": self.alarm_at,
            "alarm_word": self.alarm_word,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state` gave, of a martingale with the same arguments. Raises ValueError for another."""
        counts = np.array(state["counts"], np.int64)
        stakes = np.array(state["stakes"], np.float64)
        sound = counts.shape == (CELLS,) and stakes.shape == (len(WORDS),)
        reference = self._total - self.seen
        if (
            not sound
            or counts.min() < 0
            or counts.sum() != reference + state["seen"]
            or not stakes.min() >= 0
        ):
            raise ValueError("expected counts and stakes of a martingale with this reference, found others")
        self._counts, self._stakes, self._total = counts, stakes, int(counts.sum())
        self.seen, self.highest = int(state["seen"]), float(state["highest"])
        self.alarm_at = None if state["alarm_at"] is None else int(state["alarm_at"])
        self.alarm_word = str(state["alarm_word"])

    def _cell(self, value: float) -> int:
        if math.isnan(value):
            raise ValueError("expected a number, found NaN")
        place = (value - self._low) * self._scale
        return 0 if place < 0 else CELLS - 1 if place >= CELLS else int(place)


def densities(rank: float) -> NDArray[np.float64]:
    """What a stake of 1 on each of WORDS becomes at `rank`, 0 < rank < 1: probability densities of it."""
    found = np.full(len(WORDS), 0.5)  # the last ones bet half, so that they cannot be ruined at once
    found[: len(BETAS)] = np.exp((_A - 1) * math.log(rank) + (_B - 1) * math.log1p(-rank) - _LOG_NORM)
    found[len(BETAS) + int(rank * STUCK)] += STUCK / 2
    return found


def _kept_back(t: int) -> float:
    """The share of the capital that is not staked yet after t values."""
    return 1 / (1 + math.log1p(t))


def _uniform(seed: int, turn: int) -> float:
    """Draw number `turn` of a stream, uniform on 0..1, both excluded: SplitMix64 (Steele et al. 2014), a pure function."""
    mask = 2**64 - 1
    mixed = (_scrambled(seed & mask) + (turn + 1) * 0x9E3779B97F4A7C15) & mask
    return ((_scrambled(mixed) >> 12) + 0.5) / 2**52


def _scrambled(value: int) -> int:
    mask = 2**64 - 1
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & mask
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & mask
    return value ^ (value >> 31)

"""The table by which a study is judged: AIAG, Measurement Systems Analysis, 4th edition (2010), attribute study."""

from __future__ import annotations

ACCEPTABLE, MARGINAL, NOT_ACCEPTABLE = "acceptable", "marginal", "not acceptable"
GRADES = (ACCEPTABLE, MARGINAL, NOT_ACCEPTABLE)  # best first
EFFECTIVENESS = (0.90, 0.80)  # at least, for acceptable and for marginal
MISSES = (0.02, 0.05)  # at most
FALSE_ALARMS = (0.05, 0.10)  # at most


def effectiveness(rate: float | None) -> str | None:
    """The grade of a share of parts judged rightly in all trials; None for None."""
    if rate is None:
        return None
    return GRADES[sum(rate < edge - 1e-12 for edge in EFFECTIVENESS)]


def misses(rate: float | None) -> str | None:
    """The grade of a share of trials on defective parts that were passed; None for None."""
    return _at_most(rate, MISSES)


def false_alarms(rate: float | None) -> str | None:
    """The grade of a share of trials on good parts that were rejected; None for None."""
    return _at_most(rate, FALSE_ALARMS)


def worst(grades: list[str | None]) -> str | None:
    """The worst of these grades; None where there is none."""
    return max((grade for grade in grades if grade is not None), key=GRADES.index, default=None)


def _at_most(rate: float | None, edges: tuple[float, float]) -> str | None:
    return None if rate is None else GRADES[sum(rate > edge + 1e-12 for edge in edges)]

"""Three p-charts of one station: how many frames are reviewed, how many rejected, how many could not be inspected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from visiontune.runtime.answers import DECISIONS
from visiontune.runtime.bands import Bands
from visiontune.runtime.p_chart import Outside, PChart, Rate
from visiontune.runtime.reference import Reference

_, REVIEW, REJECT = DECISIONS
HELD = "not inspectable"


class Rates:
    """Charts of the share of reviews and rejects among the frames that the gate lets through, and of those it holds.

    subgroup  frames to a point of a chart
    defects   share of the line's parts that are defective, 0..1: validation then says which rates to expect, from the first
              subgroup on. None, where nobody knows it, learns the rates from the line's own first 25 subgroups. For
              validation has far more defective parts than a line, and its rates are not the line's
    """

    def __init__(self, reference: Reference, bands: Bands, *, subgroup: int, defects: float | None) -> None:
        rates = {} if defects is None else expected(reference, bands, defects)
        self._charts = {name: PChart(subgroup, rates.get(name)) for name in (REVIEW, REJECT, HELD)}

    def observe(self, decision: str, *, held: bool) -> Iterator[tuple[str, str]]:
        """Takes a frame; which charts it leaves outside their limits, and what they say."""
        hits = {HELD: held}
        if not held:
            hits.update({name: decision == name for name in (REVIEW, REJECT)})
        for name, hit in hits.items():
            outside = self._charts[name].observe(hit)
            if outside is not None:
                yield name, sentence(outside)

    def status(self) -> dict[str, Any]:
        """JSON-able, see PChart.status."""
        return {name: chart.status() for name, chart in self._charts.items()}

    def state(self) -> dict[str, Any]:
        """JSON-able."""
        return {name: chart.state() for name, chart in self._charts.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Takes over what `state` gave. Raises ValueError for charts of another size."""
        for name, chart in self._charts.items():
            chart.restore(state[name])


def expected(reference: Reference, bands: Bands, defects: float) -> dict[str, Rate]:
    """What validation says of the three rates where a share `defects` of the parts is defective."""
    rates = {HELD: Rate.seen(0, reference.frames)}
    for name in (REVIEW, REJECT):
        good, bad = (
            Rate.seen(sum(bands.decide(one) == name for one in severities), len(severities))
            for severities in (reference.good, reference.defective)
        )
        rates[name] = good.mixed(bad, defects) if defects else good
    return rates


def sentence(outside: Outside) -> str:
    """The finding in words."""
    return (
        f"{outside.hits} of {outside.size} frames, expected {outside.low} to {outside.high} "
        f"at a rate of {100 * outside.rate:.2g} %"
    )

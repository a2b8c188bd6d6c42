"""An attribute study as lines of text, for a terminal: the verdict by AIAG's table, then what it rests on."""

from __future__ import annotations

from visiontune.runtime.measurement import Rate
from visiontune.study.agreement import Agreement, Appraiser
from visiontune.study.kappa import Kappa

CAUTION = (
    "These rates hold for a study's parts, a third of which were chosen because they are hard, not for the line; "
    "`visiontune measure` says what the model does there."
)


def table(found: Agreement) -> str:
    """The study in lines of text."""
    sure = f"{found.confidence:.0%}"
    judges = [*found.appraisers, *([found.model] if found.model else [])]
    wide = max(9, *(len(one.name) for one in judges))
    lines = [
        f"{found.parts} parts ({found.good} good, {found.defective} defective), "
        f"{len(found.appraisers)} appraisers x {found.trials} trials; {sure} bounds",
        "",
        f"{'':<{wide}}  {'effectiveness':<27}{'misses':<27}{'false alarms':<27}by AIAG's table",
        *(_row(one, wide) for one in judges),
        f"{'AIAG':<{wide}}  {'>= 90 % (marginal >= 80)':<27}{'<= 2 % (marginal <= 5)':<27}{'<= 5 % (marginal <= 10)':<27}",
        "",
        f"{'':<{wide}}  {'kappa with the reference':<27}{'kappa of own trials':<27}parts judged alike in all trials",
        *(_agreement_row(one, wide) for one in judges),
        "",
    ]
    lines += _together(found)
    lines += _kinds(judges)
    lines += _model(found)
    return "\n".join(line.rstrip() for line in [*lines, "", CAUTION])


def _row(one: Appraiser, wide: int) -> str:
    cells = "".join(f"{percent(rate):<27}" for rate in (one.effectiveness, one.misses, one.false_alarms))
    return f"{one.name:<{wide}}  {cells}{one.grades['overall'] or '-'}"


def _agreement_row(one: Appraiser, wide: int) -> str:
    return f"{one.name:<{wide}}  {number(one.against):<27}{number(one.repeats):<27}{percent(one.within)}"


def _together(found: Agreement) -> list[str]:
    lines = []
    if found.between is not None:
        lines.append(f"all people agree in all trials    {percent(found.between)}")
    lines.append(f"all people are right in all       {percent(found.all_right)}")
    if found.everyone is not None:
        lines.append(f"Fleiss' kappa over all ratings    {number(found.everyone)}")
    if found.naming is not None:
        lines.append(f"  with the kinds that were named  {number(found.naming)}")
    return [*lines, *(f"kappa {one} with {other}: {number(value)}" for one, other, value in found.pairs)]


def _kinds(judges: list[Appraiser]) -> list[str]:
    named = [one for one in judges if one.kinds is not None]
    if not named:
        return []
    return ["", "kind named rightly, of defective parts rightly held and named"] + [
        f"  {one.name}: {percent(one.kinds)}" for one in named
    ]


def _model(found: Agreement) -> list[str]:
    if found.model is None:
        return []
    lines = [
        "",
        f"The model judged one picture of each part once, people had to be right in all {found.trials} trials; "
        f"its review counts as held ({found.reviews} parts).",
    ]
    if found.flips is not None:
        turned = found.flips
        lines += [
            f"Over {turned.pictures} pictures of {turned.parts} parts seen more than once (a group must be one part):",
            f"  passed once and held once  {percent(turned.crossed)}",
            f"  any change of decision     {percent(turned.changed)}",
            f"  two pictures of one part differ in {100 * turned.pairs:.1f} % of cases",
        ]
    return lines


def percent(rate: Rate | None) -> str:
    """A rate with its bounds: `84.0% [70.9, 92.8]`."""
    if rate is None or rate.rate is None:
        return "-"
    return f"{100 * rate.rate:.1f}% [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def number(kappa: Kappa | None) -> str:
    """A kappa with its interval: `0.86 [0.77, 0.94]`."""
    if kappa is None or kappa.value is None:
        return "-"
    if kappa.low is None or kappa.high is None:
        return f"{kappa.value:.2f}"
    return f"{kappa.value:.2f} [{kappa.low:.2f}, {kappa.high:.2f}]"

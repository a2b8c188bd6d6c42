"""Which parts are chosen: the mix, the balance, one picture a part, the same for the same seed."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visiontune.data.samples import Sample
from visiontune.runtime.bands import NEVER, Bands
from visiontune.runtime.errors import BadData
from visiontune.runtime.verdict import Verdict
from visiontune.study import plan

BANDS = Bands(0.3, 0.7)


def judged(name, label, severity):
    sample = Sample(id=name, path=Path(name), label=label, group=name)
    return plan.Judged(sample, Verdict(BANDS.decide(severity), severity, label, {}))


def stock(good=60, crack=30, scratch=30):
    """Severities spread over 0..0.5 for good ones and 0.4..1 for defective ones."""
    made = [judged(f"g{i}", "good", 0.5 * i / good) for i in range(good)]
    made += [judged(f"c{i}", "crack", 0.4 + 0.6 * i / crack) for i in range(crack)]
    return made + [judged(f"s{i}", "scratch", 0.4 + 0.6 * i / scratch) for i in range(scratch)]


def test_a_third_of_each_kind_and_both_defects():
    chosen = plan.choose(stock(), BANDS, "good", parts=48, seed=0)
    why = Counter(one.why for one in chosen)
    assert why == {plan.BORDERLINE: 16, plan.GOOD: 16, plan.DEFECTIVE: 16}
    hard = Counter(one.judged.sample.label == "good" for one in chosen if one.why == plan.BORDERLINE)
    assert hard == {True: 8, False: 8}
    clear = Counter(one.judged.sample.label for one in chosen if one.why == plan.DEFECTIVE)
    assert clear == {"crack": 8, "scratch": 8}
    assert len({one.judged.sample.id for one in chosen}) == 48


def test_borderline_is_nearest_to_a_threshold():
    chosen = plan.choose(stock(), BANDS, "good", parts=48, seed=0)
    for good in (True, False):
        side = [one for one in stock() if (one.sample.label == "good") == good]
        nearest = sorted(plan.distance(one.verdict.severity, BANDS) for one in side)[:8]
        taken = [
            plan.distance(one.judged.verdict.severity, BANDS)
            for one in chosen
            if one.why == plan.BORDERLINE and (one.judged.sample.label == "good") == good
        ]
        assert sorted(taken) == pytest.approx(nearest)


def test_clear_parts_are_not_chosen_for_being_judged_rightly():
    """A defective part far on the wrong side is as clear as one far on the right side."""
    wrong = [judged(f"w{i}", "crack", 0.001) for i in range(30)]
    chosen = plan.choose(stock(crack=15, scratch=15) + wrong, BANDS, "good", parts=48, seed=0)
    clear = [one.judged.sample.id for one in chosen if one.why == plan.DEFECTIVE]
    assert any(name.startswith("w") for name in clear)


def test_the_same_seed_gives_the_same_study():
    names = [
        [one.judged.sample.id for one in plan.choose(stock(), BANDS, "good", parts=30, seed=seed)]
        for seed in (1, 1, 2)
    ]
    assert names[0] == names[1] != names[2]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(10, 40), st.integers(0, 9))
def test_short_stocks_fill_each_other_up(good, bad, parts, seed):
    have = stock(good, bad, 0)
    if len(have) < parts:
        with pytest.raises(BadData, match=f"--parts {len(have)}"):
            plan.choose(have, BANDS, "good", parts=parts, seed=seed)
        return
    chosen = plan.choose(have, BANDS, "good", parts=parts, seed=seed)
    assert len({one.judged.sample.id for one in chosen}) == len(chosen) == parts
    assert all(
        (one.judged.sample.label == "good") == (one.why == plan.GOOD) or one.why == plan.BORDERLINE
        for one in chosen
    )


def test_a_study_of_good_parts_only():
    with pytest.raises(BadData, match="only good ones"):
        plan.choose(stock(30, 0, 0), BANDS, "good", parts=20, seed=0)


def test_a_study_too_small():
    with pytest.raises(BadData, match="at least 10"):
        plan.choose(stock(), BANDS, "good", parts=9, seed=0)


def test_distance_is_in_log_odds_and_leaves_out_thresholds_never_reached():
    assert plan.distance(0.3, BANDS) == 0
    assert plan.distance(0.5, Bands(0.5, NEVER)) == 0
    assert plan.distance(0.5, Bands(0.1, NEVER)) == pytest.approx(plan.distance(0.5, Bands(0.1, 0.9)))
    assert plan.distance(float("nan"), BANDS) == 0
    assert plan.distance(0.0, BANDS) < float("inf")


def test_one_picture_a_part_and_none_without_a_label():
    samples = [
        Sample(id=f"{part}_{view}", path=Path("x"), label="good", group=part)
        for part in ("a", "b", "c")
        for view in range(3)
    ]
    samples.append(Sample(id="d", path=Path("x"), label=None, group="d"))
    found = plan.one_a_part(samples, seed=0)
    assert [sample.group for sample in found] == ["a", "b", "c"]
    drawn = {tuple(sample.id for sample in plan.one_a_part(samples, seed=seed)) for seed in range(8)}
    assert len(drawn) > 1


def test_every_sheet_has_its_own_order():
    found = plan.orders(20, 3, 2, seed=0)
    flat = [tuple(order) for rounds in found for order in rounds]
    assert len(set(flat)) == 6
    assert all(sorted(order) == list(range(20)) for order in flat)
    assert plan.orders(20, 3, 2, seed=0) == found

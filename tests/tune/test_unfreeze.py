"""The schedule is arithmetic: every epoch has its open stages, phases tile the run, rates rise and fall."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.runtime.errors import BadRecipe
from visiontune.tune.unfreeze import Unfreeze, rate


@pytest.mark.parametrize(
    ("epoch", "opened"), [(0, 0), (3, 0), (4, 1), (6, 1), (7, 2), (9, 2), (10, 3), (13, 3), (99, 3)]
)
def test_head_first_then_one_more_stage_every_three_epochs(epoch, opened):
    assert Unfreeze(at=(4, 7, 10)).open_stages(epoch, of=8) == opened


def test_several_stages_may_open_at_a_time():
    assert [Unfreeze(at=(1, 2), step=3).open_stages(epoch, of=8) for epoch in range(4)] == [0, 3, 6, 6]
    assert [Unfreeze.all(after=2).open_stages(epoch, of=8) for epoch in range(4)] == [0, 0, 8, 8]


def test_all_opens_everything_at_once_and_never_nothing():
    assert [Unfreeze.all().open_stages(epoch, of=5) for epoch in (0, 1, 9)] == [5, 5, 5]
    assert [Unfreeze.never().open_stages(epoch, of=5) for epoch in (0, 1, 9)] == [0, 0, 0]


schedules = st.builds(
    Unfreeze,
    at=st.sets(st.integers(0, 30), max_size=6).map(lambda epochs: tuple(sorted(epochs))),
    step=st.integers(1, 4),
    decay=st.floats(0.1, 1.0),
)


@given(schedules, st.integers(1, 40), st.integers(1, 14))
def test_phases_tile_the_run_and_only_ever_open_more(unfreeze, epochs, of):
    phases = unfreeze.phases(epochs, of=of)
    assert [epoch for phase in phases for epoch in range(phase.start, phase.end)] == list(range(epochs))
    for phase in phases:
        assert {unfreeze.open_stages(epoch, of=of) for epoch in range(phase.start, phase.end)} == {phase.open}
    opened = [phase.open for phase in phases]
    assert opened == sorted(set(opened))
    assert opened[-1] <= of


@given(st.integers(1, 500))
def test_the_rate_warms_up_peaks_and_falls(of):
    rates = [rate(step, of=of) for step in range(of)]
    assert all(0 < value <= 1 for value in rates)
    assert max(rates) == 1
    peak = rates.index(1)
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


@pytest.mark.parametrize(
    "bad",
    [
        {"at": (-1,)},
        {"at": (7, 4)},
        {"at": (4, 4)},
        {"at": (1.5,)},
        {"step": 0},
        {"decay": 0.0},
        {"decay": 1.5},
    ],
)
def test_a_bad_value_is_refused_by_name(bad):
    with pytest.raises(BadRecipe, match=f"Unfreeze.{next(iter(bad))}"):
        Unfreeze(**bad)

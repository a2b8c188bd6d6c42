"""The schedule is arithmetic: every epoch has its open stages, phases tile the run, rates rise and fall."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visiontune.runtime.errors import BadRecipe
from visiontune.tune.unfreeze import Unfreeze, rate

EVEN = [1 / 8] * 8


def opened(unfreeze, costs=EVEN, epochs=None):
    return [(phase.open, phase.epochs) for phase in unfreeze.phases(costs, epochs=epochs)]


def test_fixed_openings_add_a_step_each():
    assert opened(Unfreeze(at=(4, 7, 10)), epochs=14) == [(0, 4), (1, 3), (2, 3), (3, 4)]
    assert opened(Unfreeze(at=(1, 2), step=3), epochs=4) == [(0, 1), (3, 1), (6, 2)]
    assert opened(Unfreeze(at=(1, 2), step=6), epochs=4) == [(0, 1), (6, 1), (8, 2)]


def test_a_fixed_schedule_lasts_a_while_after_its_last_opening():
    assert opened(Unfreeze(at=(4, 7))) == [(0, 4), (1, 3), (2, 12)]
    assert opened(Unfreeze.never()) == [(0, 12)]


def test_all_opens_everything_at_once_and_never_nothing():
    assert opened(Unfreeze.all(), epochs=3) == [(8, 3)]
    assert opened(Unfreeze.all(after=2), epochs=4) == [(0, 2), (8, 2)]
    assert opened(Unfreeze.never(), epochs=5) == [(0, 5)]


def test_gated_phases_open_shares_of_the_cost():
    gated = Unfreeze(shares=(0.5, 1.0), head=3, phase=2, brief=4)
    assert opened(gated) == [(0, 3), (4, 2), (8, 4)]
    assert opened(gated, costs=[0.1, 0.1, 0.4, 0.3, 0.1]) == [(0, 3), (2, 2), (5, 4)]
    # a top stage that is dearer than the share opens all the same
    assert opened(gated, costs=[0.1, 0.2, 0.7]) == [(0, 3), (1, 2), (3, 4)]
    assert opened(gated, costs=[1.0]) == [(0, 3), (1, 4)]
    assert opened(gated, epochs=4) == [(0, 3), (4, 1)]


schedules = st.one_of(
    st.builds(
        Unfreeze,
        at=st.sets(st.integers(0, 30), max_size=6).map(lambda epochs: tuple(sorted(epochs))),
        step=st.integers(1, 4),
    ),
    st.builds(
        Unfreeze,
        shares=st.sets(st.floats(0.01, 1.0), min_size=1, max_size=5).map(lambda found: tuple(sorted(found))),
        head=st.integers(1, 9),
        phase=st.integers(1, 9),
        full=st.integers(1, 9),
    ),
)
backbones = st.lists(st.integers(0, 100), min_size=1, max_size=14).map(
    lambda parts: [(part + 1) / (sum(parts) + len(parts)) for part in parts]
)


@given(schedules, backbones, st.none() | st.integers(1, 40))
def test_phases_tile_the_run_and_only_ever_open_more(unfreeze, costs, epochs):
    phases = unfreeze.phases(costs, epochs=epochs)
    assert [epoch for phase in phases for epoch in range(phase.start, phase.end)] == list(
        range(phases[-1].end)
    )
    if epochs is not None:
        assert phases[-1].end <= epochs
    opened = [phase.open for phase in phases]
    assert opened == sorted(set(opened))
    assert opened[-1] <= len(costs)
    if unfreeze.gated and unfreeze.shares[-1] == 1.0 and epochs is None:
        assert opened[-1] == len(costs)


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
        {"full": 0},
        {"patience": 0},
        {"shares": (0.5, 0.5)},
        {"shares": (0.0, 1.0)},
        {"shares": (0.5, 1.5)},
        {"decay": 0.0},
        {"decay": 1.5},
    ],
)
def test_a_bad_value_is_refused_by_name(bad):
    with pytest.raises(BadRecipe, match=f"Unfreeze.{next(iter(bad))}"):
        Unfreeze(**bad)

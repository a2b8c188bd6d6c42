"""The budget of time: a graph that never ends is ended, others are not disturbed, and nothing is paid where there is none."""

import threading
from time import perf_counter, sleep

import numpy as np
import pytest

from tests.line_models import a_card, level, line_model, looping_model
from visiontune import BadFrame, BadModel, Inspector, TooSlow
from visiontune.runtime import budget
from visiontune.runtime import model as opening
from visiontune.runtime.golden import Golden

FOR_EVER = 2**62
TURNS = np.where(np.arange(256) == 200, FOR_EVER, 1)  # frames of level 200 never end
QUIET = {
    "seed": 1,
    "frames": 1,
    "size": (2, 2),
    "severity": (0.0,),
    "kinds": ((1.0, 0.0, 0.0),),
    "decision": (0,),
}


@pytest.fixture(scope="module")
def patient():
    return Inspector(looping_model(TURNS), budget_ms=150)


def test_a_frame_that_never_ends_is_ended_in_time(patient):
    begin = perf_counter()
    with pytest.raises(
        TooSlow, match=r"\(2, 2, 3\): no answer within the budget of 150 ms; judge it by hand"
    ):
        patient(level(200))
    assert 0.14 < perf_counter() - begin < 5


def test_who_catches_bad_frames_catches_it(patient):
    with pytest.raises(BadFrame):
        patient(level(200))


def test_the_inspector_goes_on_afterwards(patient):
    for _ in range(3):
        with pytest.raises(TooSlow):
            patient(level(200))
        assert patient(level(3)).decision == "pass"


def test_a_batch_has_so_many_times_the_budget():
    inspector = Inspector(looping_model(TURNS), budget_ms=60)
    begin = perf_counter()
    with pytest.raises(TooSlow, match="budget of 240 ms"):
        inspector.many([level(3)] * 3 + [level(200)])
    assert perf_counter() - begin > 0.23


def test_cameras_that_share_it_are_not_disturbed(patient):
    wrong, done = [], []

    def stuck():
        for _ in range(3):
            try:
                patient(level(200))
                wrong.append("answered")
            except TooSlow:
                done.append(1)

    def camera():
        for value in range(150):
            if patient(level(value)).decision != "pass":
                wrong.append(value)

    threads = [threading.Thread(target=work) for work in (stuck, camera, stuck, camera)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and len(done) == 6


def test_deadlines_are_kept_in_any_order():
    """The thread that watches already sleeps towards a late deadline when an early one comes in."""
    late = Inspector(looping_model(TURNS), budget_ms=2500)
    early = Inspector(looping_model(TURNS), budget_ms=100)
    ends = {}

    def work(name, inspector):
        with pytest.raises(TooSlow):
            inspector(level(200))
        ends[name] = perf_counter()

    first = threading.Thread(target=work, args=("late", late))
    first.start()
    sleep(0.2)
    begin = perf_counter()
    work("early", early)
    assert ends["early"] - begin < 2
    first.join()
    assert ends["late"] > ends["early"]


def test_answers_are_those_without_a_budget():
    data = line_model(heatmap=True)
    frame = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
    assert Inspector(data, budget_ms=60_000)(frame) == Inspector(data)(frame)


def test_without_a_budget_nothing_stands_between():
    inspector = Inspector(line_model())
    assert inspector._run == inspector._session.run


def test_other_failures_keep_their_message():
    from dataclasses import replace

    roi = (0.4, 0.4, 0.45, 0.45)
    inspector = Inspector(line_model(a_card(input=replace(a_card().input, roi=roi))), budget_ms=10_000)
    with pytest.raises(BadFrame, match="the model failed on it") as caught:
        inspector(level(0))
    assert not isinstance(caught.value, TooSlow)


def test_the_thread_goes_when_there_is_nothing_to_watch(monkeypatch):
    monkeypatch.setattr(budget, "LINGER_S", 0.05)
    watch = budget.Watch()
    options = budget.RunOptions()
    watch.begin(options, 10)
    thread = watch._thread
    assert thread.is_alive()
    assert watch.end(options) is False
    watch.begin(other := budget.RunOptions(), 0.01)  # wakes it, and it looks again
    thread.join(5)
    assert not thread.is_alive() and watch._thread is None and other.terminate
    watch.begin(options, 10)
    assert watch._thread.is_alive()
    watch.end(options)


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf")])
def test_a_budget_is_a_positive_number(wrong):
    with pytest.raises(ValueError, match="budget_ms"):
        Inspector(b"", budget_ms=wrong)


def test_a_model_that_never_answers_its_golden_frames_is_refused(monkeypatch):
    """Without any budget of the caller's: what never ends must not hold up the opening."""
    monkeypatch.setattr(opening, "SELF_TEST_S", 0.2)
    data = looping_model(np.full(256, FOR_EVER), golden=Golden(**QUIET))
    begin = perf_counter()
    with pytest.raises(BadModel, match="self-test failed: no answer within the budget of 200 ms"):
        Inspector(data)
    assert perf_counter() - begin < 10
    ended = Inspector(looping_model(np.ones(256), golden=Golden(**QUIET)))
    assert ended(level(0)).decision == "pass"

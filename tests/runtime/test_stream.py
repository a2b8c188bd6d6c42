"""The stream: the Inspector's answers from any number of threads, a bound that holds, an orderly end, memory that stays flat."""

import gc
import threading
import time
import tracemalloc
from concurrent.futures import CancelledError, ThreadPoolExecutor

import numpy as np
import pytest

from tests.line_models import level, line_model, table_model
from visiontune import BadFrame, Inspector, Overrun, Stream
from visiontune.runtime.golden import golden_frames


@pytest.fixture(scope="module")
def inspector():
    return Inspector(line_model(heatmap=True))


@pytest.fixture
def gate():
    """A judge that waits until it is let through; it answers the frame itself."""

    class Gate:
        def __init__(self):
            self.open = threading.Event()
            self.judged = []

        def __call__(self, frame):
            self.judged.append(frame)
            assert self.open.wait(10)
            return frame

    gate = Gate()
    yield gate
    gate.open.set()


def soon(true):
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_an_inspector_is_shared_by_threads_and_answers_alike(inspector):
    frames = [frame for size in ((40, 30), (16, 16), (7, 90)) for frame in golden_frames(3, 8, size)]
    alone = [inspector(frame) for frame in frames]
    begin = threading.Barrier(4)

    def camera(turn):
        begin.wait()
        order = np.random.default_rng(turn).permutation(len(frames))
        return {int(index): inspector(frames[index]) for index in [*order, *order]}

    with ThreadPoolExecutor(4) as cameras:
        for found in cameras.map(camera, range(4)):
            assert [found[index] for index in range(len(frames))] == alone
            for index, verdict in found.items():
                np.testing.assert_array_equal(verdict.heatmap, alone[index].heatmap)


@pytest.mark.parametrize("workers", [1, 3])
def test_each_future_has_the_verdict_of_its_frame(workers):
    inspector = Inspector(table_model({"severity": np.linspace(0, 1, 256)}))
    with Stream(inspector, workers=workers, maxsize=4) as stream:
        futures = [stream.submit(level(value)) for value in range(256)]
    assert all(future.done() for future in futures)
    assert [future.result() for future in futures] == [inspector(level(value)) for value in range(256)]


def test_a_bad_frame_reaches_who_submitted_it_and_the_stream_goes_on(inspector):
    with Stream(inspector) as stream:
        bad, good = stream.submit(b"no picture"), stream.submit(level(9))
        with pytest.raises(BadFrame, match="expected a picture"):
            bad.result()
        assert good.result() == inspector(level(9))


def test_a_judge_that_breaks_does_not_end_the_worker():
    def judge(frame):
        raise KeyboardInterrupt if frame == "stop" else OSError("disk")

    with Stream(judge) as stream:
        first, second = stream.submit("stop"), stream.submit("go")
        with pytest.raises(KeyboardInterrupt):
            first.result()
        with pytest.raises(OSError, match="disk"):
            second.result()


def test_it_refuses_when_full_and_takes_again_when_there_is_room(gate):
    with Stream(gate, maxsize=2, full="refuse") as stream:
        first = stream.submit("a")
        soon(lambda: gate.judged)
        rest = [stream.submit("b"), stream.submit("c")]
        assert stream.waiting() == 2
        with pytest.raises(Overrun, match="expected fewer than 2 frames waiting, found 2; divert the part"):
            stream.submit("d")
        with pytest.raises(BadFrame):  # whoever catches bad frames does not let it pass
            stream.submit("d")
        gate.open.set()
        assert [one.result(10) for one in (first, *rest)] == ["a", "b", "c"]
        assert stream.submit("d").result(10) == "d"
    assert gate.judged == ["a", "b", "c", "d"]


def test_it_waits_when_full_and_no_longer_than_told(gate):
    with Stream(gate, maxsize=1) as stream:
        stream.submit("a")
        soon(lambda: gate.judged)
        stream.submit("b")
        begin = time.monotonic()
        with pytest.raises(Overrun):
            stream.submit("c", timeout=0.1)
        assert time.monotonic() - begin >= 0.1
        threading.Timer(0.05, gate.open.set).start()
        assert stream.submit("c").result(10) == "c"
    assert gate.judged == ["a", "b", "c"]


def test_closing_lets_what_waits_be_judged(gate):
    stream = Stream(gate, maxsize=5)
    futures = [stream.submit(name) for name in "abc"]
    threading.Timer(0.05, gate.open.set).start()
    stream.close()
    assert [future.result(0) for future in futures] == ["a", "b", "c"]
    stream.close()
    with pytest.raises(RuntimeError, match="closed"):
        stream.submit("d")


def test_an_error_in_the_block_cancels_what_waits(gate):
    futures = []
    threading.Timer(0.1, gate.open.set).start()
    with pytest.raises(ZeroDivisionError), Stream(gate, maxsize=5) as stream:
        futures += [stream.submit(name) for name in "abc"]
        soon(lambda: gate.judged)
        _ = 1 / 0
    assert futures[0].result(0) == "a"
    for future in futures[1:]:
        with pytest.raises(CancelledError):
            future.result(0)
    assert gate.judged == ["a"]


def test_closing_frees_a_camera_that_waits_for_room(gate):
    stream = Stream(gate, maxsize=1)
    stream.submit("a")
    soon(lambda: gate.judged)
    stream.submit("b")
    with ThreadPoolExecutor(1) as camera:
        waiting = camera.submit(stream.submit, "c")
        time.sleep(0.05)
        threading.Timer(0.05, gate.open.set).start()
        stream.close(cancel=True)
        with pytest.raises(RuntimeError, match="closed"):
            waiting.result(10)


def test_a_cancelled_frame_is_not_judged(gate):
    with Stream(gate, maxsize=3) as stream:
        stream.submit("a")
        soon(lambda: gate.judged)
        stream.submit("b").cancel()
        last = stream.submit("c")
        gate.open.set()
        assert last.result(10) == "c"
    assert gate.judged == ["a", "c"]


def test_a_callback_may_close_the_stream():
    stream = Stream(lambda frame: frame)
    stream.submit("a").add_done_callback(lambda _: stream.close())
    soon(lambda: not stream._threads[0].is_alive())


@pytest.mark.parametrize("copy", [True, False])
def test_the_grabber_may_fill_its_buffer_anew_if_the_frame_is_copied(gate, copy):
    buffer = level(3)
    with Stream(gate, copy=copy) as stream:
        future = stream.submit(buffer)
        buffer[:] = 200
        gate.open.set()
        assert future.result(10)[0, 0, 0] == (3 if copy else 200)


def test_threads_end_with_the_stream(inspector):
    before = threading.active_count()
    with Stream(inspector, workers=3):
        assert threading.active_count() == before + 3
    assert threading.active_count() == before


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"maxsize": 0}, {"full": "drop"}])
def test_it_refuses_nonsense(inspector, wrong):
    with pytest.raises(ValueError, match="expected"):
        Stream(inspector, **wrong)


def test_memory_stays_flat_over_ten_thousand_frames():
    """Of 3 kB each, a sixth of them bad: held, they would be 30 MB."""
    inspector = Inspector(table_model({"severity": np.linspace(0, 1, 256)}))
    bad = np.zeros((32, 32, 7), np.uint8)

    def feed(stream, count):
        for turn in range(count):
            stream.submit(bad if turn % 6 == 0 else level(turn % 256, (32, 32)))

    with Stream(inspector, workers=2, maxsize=4) as stream:
        feed(stream, 500)
        gc.collect()
        tracemalloc.start()
        feed(stream, 10_000)
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert held < 300_000
    assert peak < 1_500_000

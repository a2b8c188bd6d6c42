"""A bounded queue before an Inspector: cameras hand frames over and go on, verdicts come when they are there."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from types import TracebackType
from typing import TypeAlias

import numpy as np

from visiontune.runtime.errors import Overrun
from visiontune.runtime.frame import Source
from visiontune.runtime.verdict import Verdict

Judge: TypeAlias = Callable[[Source], Verdict]  # an Inspector or a Monitor


class Stream:
    """Judges frames of any number of cameras in worker threads, oldest first.

        with Stream(inspector, workers=2, maxsize=4) as stream:
            verdict = stream.submit(frame)  # a concurrent.futures.Future
            verdict.result()                # the Verdict, or the BadFrame that judging raised

    inspector  an Inspector, or a Monitor of one, shared by all workers: one copy of the weights
    workers    threads that judge. As many as cores that the line has to spare: more raise no throughput, only latency
    maxsize    frames that may wait, those being judged not counted. It bounds memory, by as many frames and one for each worker
               and each thread that submits, and latency: a verdict is there at the latest after ceil(maxsize / workers) + 1
               times the time of one frame
    full       what `submit` does when so many wait: "wait" slows the camera's thread down to the pace of the workers, for
               folders and tests; "refuse" raises Overrun at once, for a line that does not stop: divert that part
    copy       whether `submit` copies an array (0.01 ms at 224 px, under 1 ms at 5 MP), so that a grabber may fill its buffer
               anew. Without, a frame must stay as it is until its verdict is there

    Throughput is workers / time of one frame up to the number of cores; a stream adds about 0.02 ms to a frame. The threads
    do not keep a program alive: frames that wait when it ends without `close` are dropped. Raises ValueError for workers or
    maxsize < 1 and any other word for `full`.
    """

    def __init__(
        self, inspector: Judge, *, workers: int = 1, maxsize: int = 8, full: str = "wait", copy: bool = True
    ) -> None:
        if workers < 1 or maxsize < 1:
            raise ValueError(f"expected workers and maxsize >= 1, found {workers} and {maxsize}")
        if full not in ("wait", "refuse"):
            raise ValueError(f"full: expected 'wait' or 'refuse', found {full!r}")
        self._judge = inspector
        self._maxsize = maxsize
        self._refuses = full == "refuse"
        self._copy = copy
        self._queue: deque[tuple[Future[Verdict], Source]] = deque()
        self._closed = False
        lock = threading.Lock()
        self._room, self._work = threading.Condition(lock), threading.Condition(lock)
        self._threads = [
            threading.Thread(target=self._serve, name=f"visiontune-stream-{index}", daemon=True)
            for index in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, frame: Source, *, timeout: float | None = None) -> Future[Verdict]:
        """Hands over one frame, as `Inspector` takes it; the future's `result()` is the verdict or raises what judging did.

        timeout  with full="wait": seconds to wait for room, None as long as it takes

        A future that is cancelled before its turn is not judged. `asyncio.wrap_future` makes it awaitable. Callbacks run in the
        worker's thread and hold it up. Raises Overrun, without taking the frame, when there is no room (in time); RuntimeError
        after `close`.
        """
        deadline = None if timeout is None else monotonic() + timeout
        if self._copy and isinstance(frame, np.ndarray):
            frame = frame.copy()  # here, where nobody waits for the lock
        with self._room:
            while not self._closed and len(self._queue) >= self._maxsize:
                left = None if deadline is None else deadline - monotonic()
                if self._refuses or (left is not None and left <= 0):
                    raise Overrun(
                        f"frame refused: expected fewer than {self._maxsize} frames waiting, found {len(self._queue)}; "
                        "divert the part, or use a faster model or more workers"
                    )
                self._room.wait(left)
            if self._closed:
                raise RuntimeError("the stream is closed: open another")
            future: Future[Verdict] = Future()
            self._queue.append((future, frame))
            self._work.notify()
        return future

    def waiting(self) -> int:
        """How many frames wait for a worker now."""
        return len(self._queue)

    def close(self, *, cancel: bool = False) -> None:
        """Takes no more frames and returns when all that wait are judged, or cancelled if `cancel`. May be called again."""
        with self._room:
            self._closed = True
            dropped = list(self._queue) if cancel else []
            if cancel:
                self._queue.clear()
            self._room.notify_all()
            self._work.notify_all()
        for future, _ in dropped:
            future.cancel()
        for thread in self._threads:
            if thread is not threading.current_thread():  # a callback may close the stream
                thread.join()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(cancel=kind is not None)

    def _serve(self) -> None:
        """The life of a worker."""
        while self._serve_one():
            pass

    def _serve_one(self) -> bool:
        """Judges the oldest frame; False at the end. A function of its own, so that no frame is held while waiting."""
        with self._work:
            while not self._queue:
                if self._closed:
                    return False
                self._work.wait()
            future, frame = self._queue.popleft()
            self._room.notify()
        if not future.set_running_or_notify_cancel():
            return True
        try:
            verdict = self._judge(frame)
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(verdict)
        finally:
            del future, frame  # or the error's traceback would hold them, in a circle
        return True

"""The engine: bounded pumps, sources that are lost and tried again, waiting, stopping."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from llmtop import engine as module
from llmtop.clock import ManualClock, SystemClock
from llmtop.engine import Engine
from llmtop.rules.alert import Alert
from llmtop.samples import Batch, RunInfo, Samples, SeriesInfo
from llmtop.store import Store


def batch(start: int, count: int, **more: bool) -> Batch:
    steps = np.arange(start, start + count, dtype=np.int64)
    samples = Samples(np.zeros(count, np.uint32), 1e9 + steps, steps, steps * 1.0)
    first = ((RunInfo("r", "r"),), (SeriesInfo(0, "r", "loss"),)) if start == 0 else ((), ())
    return Batch(*first, samples=samples, **more)


class Flaky:
    """Fails so often, then yields its batches and ends."""

    name = "flaky"

    def __init__(self, failures: int, *batches: Batch) -> None:
        self.failures, self.yields, self.tries = failures, batches, 0

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        self.tries += 1
        if self.tries <= self.failures:
            raise OSError("no such thing")
        yield from self.yields


def test_a_lost_source_is_shown_with_its_reason_and_does_not_hold_up_a_snapshot() -> None:
    engine = Engine(Store(), [Flaky(1)], SystemClock())
    engine.start()
    assert engine.wait_caught_up(0.5)
    state = engine.source_states[0]
    assert (state.state, state.reason) == ("lost", "no such thing")
    engine.stop()


def test_a_lost_source_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_RETRY_SECONDS", 0.01)
    source = Flaky(2, batch(0, 10, caught_up=True))
    clock = SystemClock()
    engine = Engine(Store(), [source], clock)
    engine.start()
    while engine.source_states[0].state != "ended":
        assert engine._arrived.wait(10)
        engine._arrived.clear()
        engine.pump(clock.time())
    engine.stop()
    assert source.tries == 3
    assert engine.source_states[0].reason == ""
    assert [series.n for series in engine.store.runs[0].find("loss")] == [10]


def test_a_pump_takes_no_more_than_it_may_and_says_what_waits() -> None:
    clock = SystemClock()
    engine = Engine(Store(), [Flaky(0, *(batch(at, 100) for at in range(0, 1000, 100)))], clock)
    engine.start()
    for thread in engine._threads:
        thread.join(10)
    changes = engine.pump(clock.time(), max_samples=250)
    assert changes.backlog == 8
    assert changes.runs
    assert engine.wait_caught_up(10)
    assert engine.store.runs[0].find("loss")[0].n == 1000
    engine.stop()


def test_what_comes_once_everything_is_read_does_not_count_as_unread() -> None:
    settling = threading.Event()

    class Live:
        name = "live"

        def batches(self, stop: threading.Event) -> Iterator[Batch]:
            yield batch(0, 10, caught_up=True)
            assert settling.wait(10)
            yield batch(10, 10)

    class Late(Store):
        def commit(self, now: float, *, settle: bool = False) -> frozenset[int]:
            if settle:
                engine._arrived.clear()
                settling.set()
                assert engine._arrived.wait(10)
            return super().commit(now, settle=settle)

    engine = Engine(Late(), [Live()], SystemClock())
    engine.start()
    assert engine.wait_caught_up(10)
    engine.stop()


def test_waiting_for_a_source_that_says_nothing_ends_in_time_and_so_does_stopping() -> None:
    class Silent:
        name = "silent"

        def batches(self, stop: threading.Event) -> Iterator[Batch]:
            stop.wait(30)
            yield from ()

    engine = Engine(Store(), [Silent()], SystemClock())
    engine.start()
    assert not engine.wait_caught_up(0.05)
    engine.stop()
    assert not any(thread.is_alive() for thread in engine._threads)


def test_a_nan_is_judged_with_the_next_pump_and_the_rest_once_a_second() -> None:
    judged: list[float] = []
    store, clock = Store(), ManualClock(1e9 + 20)
    engine = Engine(store, [], clock)
    judge = engine.alerts.judge

    def noted(store: Store, changed: frozenset[int], now: float) -> tuple[Alert, ...]:
        judged.append(now - clock.time())
        return judge(store, changed, now)

    engine.alerts.judge = noted  # type: ignore[method-assign]
    store.apply(0, batch(0, 10), clock.time())
    for at in (0.0, 0.25, 0.5, 0.75, 1.0):
        engine.pump(clock.time() + at)
    assert judged == [0.0, 1.0]
    sick = Samples(np.zeros(1, np.uint32), np.full(1, 1e9 + 11), np.full(1, 11), np.array([np.nan]))
    store.apply(0, Batch(samples=sick), clock.time())
    for at in (1.25, 1.5):
        engine.pump(clock.time() + at)
    assert judged == [0.0, 1.0, 1.25]

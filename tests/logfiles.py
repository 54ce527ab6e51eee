"""What the source of log files finds, as name -> [(step, value as logged)]."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from queue import Empty, Queue

from llmtop.clock import Clock, SystemClock
from llmtop.formats.table import Table
from llmtop.samples import Batch, Event, RunInfo
from llmtop.sources.tail import Tail

Series = dict[str, list[tuple[int, float]]]
DEADLINE = 40.0
"""Seconds until a wait fails: many times what a loaded machine takes."""


class Gathered:
    """Takes batches and keeps what is in them."""

    def __init__(self) -> None:
        self.series: Series = {}
        self.runs: dict[str, RunInfo] = {}
        self.introductions = 0
        self.events: list[Event] = []
        self.alive: set[str] = set()
        self.times: list[float] = []
        self.ended: list[str] = []
        self.status = ""
        self.caught_up = False
        self._names: dict[int, str] = {}

    def add(self, batch: Batch) -> None:
        self.caught_up = self.caught_up or batch.caught_up
        self.runs.update({run.key: run for run in batch.runs})
        self.introductions += len(batch.runs)
        self.events.extend(batch.events)
        self.alive.update(batch.alive)
        self.ended.extend(end.reason for end in batch.ends)
        self.status = self.status if batch.status is None else batch.status
        self._names.update({one.key: one.name for one in batch.series})
        if batch.samples is None:
            return
        self.times.extend(batch.samples.time.tolist())
        columns = (batch.samples.series, batch.samples.step, batch.samples.value)
        for key, step, value in zip(*(column.tolist() for column in columns), strict=True):
            self.series.setdefault(self._names[key], []).append((step, value))

    def texts(self, level: str) -> list[str]:
        return [event.text for event in self.events if event.level == level]


class Following:
    """A source of log files, running in a thread of its own as under the engine."""

    def __init__(self, paths: Iterable[Path | str], clock: Clock | None = None, *,
                 only: str = "", poll: float | None = 0.05) -> None:
        self.source = Tail([str(path) for path in paths], clock=clock or SystemClock(),
                           table=Table(only=only), poll=poll)
        self.gathered = Gathered()
        self._stop = threading.Event()
        self._queue: Queue[Batch | BaseException] = Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for batch in self.source.batches(self._stop):
                self._queue.put(batch)
        except BaseException as error:
            self._queue.put(error)

    def caught_up(self) -> Gathered:
        """Wait until everything that is there was read."""
        return self.until(lambda got: got.caught_up)

    def until(self, holds: Callable[[Gathered], object]) -> Gathered:
        """Wait until `holds(gathered)`; fail if it never does."""
        end = time.monotonic() + DEADLINE
        while not holds(self.gathered):
            try:
                got = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                raise AssertionError(
                    f"never held: {self.gathered.series} {self.gathered.status!r}"
                ) from None
            if isinstance(got, BaseException):
                raise got
            self.gathered.add(got)
        return self.gathered

    def close(self) -> None:
        self._stop.set()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_files(paths: Iterable[Path | str], only: str = "") -> Gathered:
    """Return what is in finished log files."""
    with Following(paths, only=only) as following:
        return following.caught_up()

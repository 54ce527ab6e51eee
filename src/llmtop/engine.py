"""The one way through: sources -> inbox -> store -> rules, on the thread that calls `pump`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, Full, Queue
from typing import Literal

from llmtop.clock import Clock
from llmtop.rules.alert import Alert
from llmtop.rules.alerts import Alerts
from llmtop.rules.derive import Derivation
from llmtop.rules.efficiency import Efficiency
from llmtop.rules.energy import Energy
from llmtop.rules.feedback import Feedback
from llmtop.samples import Batch
from llmtop.sources import Source
from llmtop.store import Store

INBOX_BATCHES = 64
"""Batches waiting in all: over a second of one hub's at full speed, 120 MB of samples at most.
When it is full, sources wait, and what they read from waits or drops by its own rules."""
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 30.0
"""A lost source is tried again after 1, 2, 4 ... 30 seconds, or its own `longest_pause`."""
JOIN_SECONDS = 1.0
"""How long `stop` waits for the sources in all: they look at it ten times a second."""
PUT_SECONDS = 0.1
"""How often a source that waits for room in the inbox looks whether it is to stop."""
PUMP_SAMPLES = 2_000_000
"""Samples a pump takes in by default: 0.1 s of the store's time, so that keys stay alive."""
PUMP_SECONDS = 0.1
JUDGE_SECONDS = 0.95
"""Between two judgements of the alert rules: every fourth tick; a NaN is judged with the next."""
SNAPSHOT_SECONDS = 1.0
"""Length of one pump while nobody looks at a screen."""
FEWEST_SAMPLES = 4096
"""Taken in by any pump, however slow the machine: one UI tick's worth of a busy job."""
COST_MEMORY = 0.3
"""Weight of the newest commit in what a sample is thought to cost."""

Health = Literal["ok", "lost", "retrying", "ended"]


@dataclass(slots=True)
class SourceState:
    """How a source is doing; the pump writes it."""

    name: str
    state: Health = "ok"
    """ok | lost: it raised and rests | retrying: it runs, but yielded nothing yet | ended."""
    reason: str = ""
    """What it raised."""
    caught_up: bool = False
    """It has read everything that existed when it started, or has failed to."""
    status: str = ""
    """What it is at or lacks, as it says itself: how far a large log is read, a file denied."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one pump did."""

    series: frozenset[int]
    """Ids of the series that changed."""
    runs: bool
    """Whether a run came or changed its state."""
    alerts: tuple[Alert, ...]
    """Alerts that fired or were resolved, and that somebody is to be told of."""
    backlog: int
    """Batches still waiting."""


@dataclass(frozen=True, slots=True)
class _News:
    """What a source's thread reports: a batch, or that its state is another."""

    source: int
    batch: Batch | None
    state: Health
    reason: str = ""


class Engine:
    """Runs sources in threads of their own and owns the store."""

    def __init__(
        self, store: Store, sources: Sequence[Source], clock: Clock,
        alerts: Alerts | None = None, *, rules: bool = True,
    ) -> None:  # fmt: skip
        """Prepare to run `sources`; without `rules` nothing is derived or judged."""
        self.store = store
        self.clock = clock
        self.alerts = Alerts() if alerts is None else alerts
        self.source_states = [SourceState(source.name) for source in sources]
        self._sources = list(sources)
        self._inbox: Queue[_News] = Queue(INBOX_BATCHES)
        self._arrived = threading.Event()
        self._stop = threading.Event()
        self._wake: Callable[[], None] = lambda: None
        self._threads: list[threading.Thread] = []
        self._rules = rules
        self._derivation = Derivation()
        self._efficiency = Efficiency()
        self._energy = Energy()
        self._feedback = Feedback(sources)
        self._unjudged: set[int] = set()
        """Series that have grown since alerts were judged."""
        self._judged = float("-inf")
        self._bad = 0
        self._cost = 0.0
        self._runs_seen: tuple[int, ...] = ()

    def start(self, wake: Callable[[], None] = lambda: None) -> None:
        """Start every source; `wake` is called, in their threads, when one has something."""
        self._wake = wake
        for index, source in enumerate(self._sources):
            thread = threading.Thread(
                target=self._read, args=(index, source), name=f"llmtop-{source.name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Ask every source to end and wait for them, JOIN_SECONDS in all at most."""
        self._stop.set()
        deadline = self.clock.monotonic() + JOIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - self.clock.monotonic()))
        self.alerts.save(leaving=True)

    def pump(
        self, now: float, *, max_samples: int = PUMP_SAMPLES, max_seconds: float = PUMP_SECONDS
    ) -> Changes:
        """Take in what waits, at most so many samples and (about) so many seconds' worth of it."""
        began = self.clock.monotonic()
        room = max_samples
        if self._cost > 0:
            # The store's time goes into the commit, so it is the samples that must be few.
            room = min(room, max(FEWEST_SAMPLES, int(max_seconds / self._cost)))
        taken = 0
        while taken < room and self.clock.monotonic() - began <= max_seconds:
            try:
                news = self._inbox.get_nowait()
            except Empty:
                break
            taken += self._take(news, now)
        changed = self.store.commit(now)
        alerts: tuple[Alert, ...] = ()
        if self._rules:
            changed = self._derive(changed, now)
            bad, self._bad = self._bad, self.store.nonfinite
            if self._bad > bad or not 0 <= now - self._judged < JUDGE_SECONDS:
                alerts = self._judge(now)
        if taken >= FEWEST_SAMPLES:
            cost = (self.clock.monotonic() - began) / taken
            self._cost += (cost - self._cost) * (COST_MEMORY if self._cost else 1.0)
        runs = tuple(run.version for run in self.store.runs)
        fresh, self._runs_seen = runs != self._runs_seen, runs
        return Changes(changed, fresh, alerts, self._inbox.qsize())

    def request_stop(self, run_id: int, reason: str) -> bool:
        """Ask a run to stop; False if none of its processes has allowed that, or it is over."""
        found = (run for run in self.store.runs if run.id == run_id)
        return any(self._feedback.stop(run, reason) for run in found)

    @property
    def reading(self) -> bool:
        """Whether some source has not been read to its present end yet."""
        return not all(state.caught_up for state in self.source_states)

    @property
    def caught_up(self) -> bool:
        """Whether every source has read to its present end and nothing of it waits."""
        return not self.reading and self._inbox.empty()

    def wait_caught_up(self, timeout: float) -> bool:
        """Pump until the sources are read to their present end; False after `timeout` seconds.

        What the store holds back, for more to come, is decided then: nothing more is awaited.
        """
        deadline = self.clock.monotonic() + timeout
        while True:
            self._arrived.clear()
            self.pump(self.clock.time(), max_seconds=SNAPSHOT_SECONDS)
            left = deadline - self.clock.monotonic()
            # What a live source says from here on is no part of it.
            caught_up = self.caught_up
            if caught_up or left <= 0:
                break
            if self._inbox.empty():
                self._arrived.wait(min(left, SNAPSHOT_SECONDS))
        now = self.clock.time()
        changed = self.store.commit(now, settle=True)
        if self._rules:
            self._derive(changed, now)
            self._judge(now)
        return caught_up

    def _derive(self, changed: frozenset[int], now: float) -> frozenset[int]:
        """Work out what follows from new samples; return all the series that grew."""
        for one in (self._derivation, self._efficiency, self._energy):
            changed |= one.derive(self.store, changed, now)
        self._unjudged |= changed
        return changed

    def _judge(self, now: float) -> tuple[Alert, ...]:
        """Judge all that has grown since the last time, and tell the runs that it concerns."""
        alerts = self.alerts.judge(self.store, frozenset(self._unjudged), now)
        self._judged, self._unjudged = now, set()
        if alerts:
            self._feedback.tell(self.store, alerts, now)
        return alerts

    def _take(self, news: _News, now: float) -> int:
        """Apply what a source reported; return how many samples it held."""
        state, batch = self.source_states[news.source], news.batch
        state.state, state.reason = news.state, news.reason
        if batch is None:
            state.caught_up |= news.state in ("lost", "ended")
            return 0
        state.caught_up |= batch.caught_up
        state.status = state.status if batch.status is None else batch.status
        self.store.apply(news.source, batch, now)
        return 0 if batch.samples is None else len(batch.samples)

    def _read(self, index: int, source: Source) -> None:
        """Put a source's batches into the inbox; a source that raises is tried again."""
        pause = FIRST_RETRY_SECONDS
        while not self._stop.is_set():
            began = self.clock.monotonic()
            try:
                for batch in source.batches(self._stop):
                    if not self._put(_News(index, batch, "ok")):
                        return
                self._put(_News(index, None, "ended"))
                return
            except Exception as error:  # whatever a source dies of, it is not ours to die of
                reason = str(error) or type(error).__name__
            if self.clock.monotonic() - began > LAST_RETRY_SECONDS:
                pause = FIRST_RETRY_SECONDS
            self._put(_News(index, None, "lost", reason))
            self._stop.wait(pause)
            pause = min(pause * 2, getattr(source, "longest_pause", LAST_RETRY_SECONDS))
            self._put(_News(index, None, "retrying", reason))

    def _put(self, news: _News) -> bool:
        """Wait for room in the inbox; False if it is time to stop."""
        while not self._stop.is_set():
            try:
                self._inbox.put(news, timeout=PUT_SECONDS)
            except Full:
                continue
            self._arrived.set()
            self._wake()
            return True
        return False

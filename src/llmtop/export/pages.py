"""Pages that one thread asks for and the thread that owns the store makes, piece by piece."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress

from llmtop.clock import Clock
from llmtop.engine import Engine
from llmtop.export.families import Families
from llmtop.export.machine import add_machines, add_own, add_sources
from llmtop.export.runs import add_ranks, add_runs, add_series, shown
from llmtop.rules.derive import Derivation
from llmtop.rules.efficiency import Efficiency
from llmtop.rules.energy import Energy

MAX_SAMPLES = 50_000
"""Samples of a page: 50 metrics of 1000 ranks. They take the relay's thread 0.6 s in pieces and
another 0.5 s to write, 4.4 MB or 0.6 zipped."""


class ClosedError(Exception):
    """Nobody makes pages any more."""


class Pages:
    """Makes a page when one is asked for; all who ask meanwhile get the same one."""

    def __init__(self, sources: Sequence[object], clock: Clock, room: int = MAX_SAMPLES) -> None:
        self._sources, self._clock, self._room = sources, clock, room
        self._asked: deque[Future[Families]] = deque()
        self._promised: list[Future[Families]] = []
        self._kinds: dict[str, str] = {}
        self._derivations = Derivation(), Efficiency(), Energy()
        """What a relay leaves to those who look, and Prometheus cannot work out."""
        self._making: Iterator[None] | None = None
        self._page = Families(0, {})
        self._closed = False

    def ask(self) -> Future[Families]:
        """Return what will be a page; from any thread."""
        future: Future[Families] = Future()
        self._asked.append(future)
        if self._closed:
            self.close()
        return future

    def turn(self, engine: Engine, until: float) -> None:
        """Go on with the page that was asked for, if any, until it is made or it is `until`."""
        if self._making is None:
            if not self._asked:
                return
            self._promised = [self._asked.popleft() for _ in range(len(self._asked))]
            self._page = Families(self._room, self._kinds)
            self._making = self._make(engine)
        trouble: Exception | None = None
        try:
            for _ in self._making:
                if self._clock.monotonic() >= until:
                    return
        except Exception as error:  # whatever a page fails of, the relay goes on
            trouble = error
        self._making = None
        for future in self._promised:
            # Whoever asked may have given up.
            with suppress(InvalidStateError):
                if trouble is None:
                    future.set_result(self._page)
                else:
                    future.set_exception(trouble)

    def close(self) -> None:
        """Tell all who wait that there will be no page."""
        self._closed = True
        for future in [*self._promised, *(self._asked.popleft() for _ in range(len(self._asked)))]:
            with suppress(InvalidStateError):
                future.set_exception(ClosedError("llmtop serve ends"))

    def _make(self, engine: Engine) -> Iterator[None]:
        page, store, now = self._page, engine.store, self._clock.time()
        for one in self._derivations:
            one.derive(store, frozenset(range(len(store.series))), now)
            yield
        add_own(page, store)
        add_sources(page, engine.source_states, self._sources)
        runs = shown(store, now)
        add_machines(page, runs)
        add_runs(page, runs)
        yield
        yield from add_ranks(page, runs, now)
        yield from add_series(page, runs, now)
        page.finish()

"""The source for servers: a few threads ask, one reads what they answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from queue import Empty, Queue

from llmtop.clock import Clock
from llmtop.errors import SourceError
from llmtop.samples import Batch
from llmtop.sources.scraping.endpoint import Endpoint, Found
from llmtop.sources.scraping.fetch import Fetch
from llmtop.sources.scraping.settings import Settings
from llmtop.sources.scraping.target import Target, numbers

MAX_THREADS = 8
"""Servers asked at once: the waiting is theirs, and 100 of them answer in a few milliseconds."""
FEWEST_THREADS = 2
"""Where servers are yet to be found."""
MAX_ENDPOINTS = 1000
"""Servers of one source."""
LOOK_SECONDS = 0.1
"""How late `stop` is seen."""
LOOKS_FOR_RATES = 2
"""After the second look there are rates and percentiles."""
GIVE_UP = 3
"""Looks without an answer after which nobody waits for a server any more."""


class Scrape:
    """Watches servers by their pages."""

    def __init__(
        self, addresses: Sequence[str], *, clock: Clock, settings: Settings | None = None
    ) -> None:
        """Watch the servers at `addresses` (http or https)."""
        self.clock, self._settings = clock, settings or Settings()
        self._numbers = numbers()
        self._names: dict[str, str] = {}
        self.endpoints: list[Endpoint] = []
        self._answers: Queue[tuple[int, Found]] = Queue()
        self._asked: set[int] = set()
        """Servers that some thread is asking now."""
        for address in dict.fromkeys(addresses):
            self.add(address)
        first = self.endpoints[0].target.place if self.endpoints else "servers"
        self.name = first if len(self.endpoints) == 1 else f"{len(self.endpoints)} servers"

    def add(self, address: str, settings: Settings | None = None) -> None:
        """Watch one more server, from the next turn on."""
        if len(self.endpoints) >= MAX_ENDPOINTS:
            return
        settings = settings or self._settings
        target = Target(address, settings, self._numbers, self._called)
        fetch = Fetch(self.clock, token=settings.token, insecure=settings.insecure)
        self.endpoints.append(
            Endpoint(address, target, fetch, settings, self.clock, due=self.clock.monotonic())
        )

    def batches(self, stop: threading.Event) -> Iterator[Batch]:
        """Yield what the servers say until `stop` is set.

        Raises:
            SourceError: none of them has ever answered.
        """
        yield Batch()
        pool = Pool(min(MAX_THREADS, len(self.endpoints)) or FEWEST_THREADS, self._answers)
        caught_up, said = False, None
        try:
            while not stop.is_set():
                self.extend()
                for place, found in self._turn(pool):
                    batch = self.endpoints[place].took(found)
                    if batch is not None:
                        yield batch
                self.check_lost()
                ready = not caught_up and self.settled()
                status = self.status()
                if ready or status != said:
                    caught_up, said = caught_up or ready, status
                    yield Batch(caught_up=ready, status=status)
        finally:
            pool.close()
            for place, one in enumerate(self.endpoints):
                if place not in self._asked:
                    one.fetch.close()

    def _turn(self, pool: Pool) -> Iterator[tuple[int, Found]]:
        """Ask the servers that are due, and yield the answers there are."""
        now = self.clock.monotonic()
        wait = LOOK_SECONDS
        for place, one in enumerate(self.endpoints):
            if place in self._asked:
                continue
            if one.due <= now:
                self._asked.add(place)
                pool.ask(place, one)
            else:
                wait = min(wait, one.due - now)
        for place, found in pool.answers(wait):
            self._asked.discard(place)
            yield place, found

    def status(self) -> str:
        """Return in a line which servers do not answer, or say nothing that is known."""
        silent = [one for one in self.endpoints if one.failures]
        if silent:
            first = f"{silent[0].target.place}: {silent[0].why}"
            if len(self.endpoints) == 1:
                return first
            return f"{len(silent)} of {len(self.endpoints)} servers do not answer: {first}"
        return next((one.note for one in self.endpoints if one.note), "")

    def extend(self) -> None:
        """Watch more servers than were named; here, none."""

    def settled(self) -> bool:
        """Tell whether there is nothing more to wait for."""
        return all(self._settled(one) for one in self.endpoints)

    def check_lost(self) -> None:
        """Raise SourceError when every server was asked and none has ever answered."""
        tried = [one for one in self.endpoints if one.failures or one.looks]
        if len(tried) == len(self.endpoints) and not any(one.looks for one in tried):
            # The engine tries a lost source again, later and later.
            for one in tried:
                one.due = self.clock.monotonic()
            one = tried[0]
            raise SourceError(f"{one.why}" if len(tried) == 1 else f"{one.target.place}: {one.why}")

    def _settled(self, one: Endpoint) -> bool:
        return one.looks >= LOOKS_FOR_RATES or one.failures >= GIVE_UP or (
            bool(one.looks) and not one.target.runs
        )

    def _called(self, model: str, place: str) -> str:
        """Return what a server's run is called: its model, unless another server has that one."""
        name = model or place
        if self._names.setdefault(name, place) != place:
            name = f"{model} {place}"
        return name


class Pool:
    """Threads that ask servers; each server is asked by one at a time."""

    def __init__(self, threads: int, answers: Queue[tuple[int, Found]]) -> None:
        """Begin `threads`; what comes after this pool was closed is in `answers` all the same."""
        self._asked: Queue[tuple[int, Endpoint] | None] = Queue()
        self._answers = answers
        self._threads = [
            threading.Thread(target=self._work, name="llmtop-scrape", daemon=True)
            for _ in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, place: int, one: Endpoint) -> None:
        """Let some thread look at a server."""
        self._asked.put((place, one))

    def answers(self, wait: float) -> Iterator[tuple[int, Found]]:
        """Yield the looks that are done; wait so many seconds for the first."""
        try:
            yield self._answers.get(timeout=wait)
            while True:
                yield self._answers.get_nowait()
        except Empty:
            return

    def close(self) -> None:
        """Let the threads end when they have their answers."""
        for _ in self._threads:
            self._asked.put(None)

    def _work(self) -> None:
        while (work := self._asked.get()) is not None:
            place, one = work
            try:
                found = one.look()
            except Exception as error:  # one server's oddity must not end the looking at others
                found = one.failed_look(str(error) or type(error).__name__)
            self._answers.put((place, found))

"""One request of a server, in one call: what it waited for, when its tokens came, how it ended.

    with run.request(prompt_tokens=len(prompt)) as request:
        for text in generate(prompt):
            request.token()

The definitions are the field's: TTFT from arrival to the first token, inter-token latency from one
call of `token` to the next (an output event, whatever number of tokens it carries), TPOT as
(last - first) / (tokens - 1) of a request that succeeded, end to end from arrival to the end of
one that succeeded. What failed or was cancelled is counted, and does not pass for a fast answer.
How many run and wait is told when it is more than before, and by the thread as often as it looks:
a slot that is taken again at once was never free.
"""

from __future__ import annotations

import os
import threading
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from llmtop.publish.handles import Gauge
from llmtop.publish.inbox import Inbox

if TYPE_CHECKING:
    from llmtop.publish.run import Run

OUTCOMES = ("ok", "error", "cancelled")
CANCELLED = frozenset(
    {"CancelledError", "Cancelled", "ClientDisconnect", "GeneratorExit", "KeyboardInterrupt"}
)
"""Exceptions that say the client left: of asyncio and futures, trio, Starlette and Python."""
STILL_SECONDS = 0.04
"""What stands still is told as often as the thread looks, but not as it hurries."""


class Requests:
    """The series that the requests of one run share, and which of them are open."""

    def __init__(self, run: Run, inbox: Inbox) -> None:
        """Bind the series in `run`; mistakes are told to `inbox`."""
        self.problem = inbox.problem
        self.ttft = run.distribution("ttft_seconds", "seconds")
        self.itl = run.distribution("itl_seconds", "seconds")
        self.tpot = run.distribution("tpot_seconds", "seconds")
        self.e2e = run.distribution("e2e_seconds", "seconds")
        self.queue = run.distribution("queue_seconds", "seconds")
        self.prompt = run.counter("prompt_tokens", "tokens")
        self.generated = run.counter("generated_tokens", "tokens")
        self.requests = run.counter("requests", "requests")
        self.endings = {
            "error": run.counter("errors"), "cancelled": run.counter("cancelled", "requests"),
        }  # fmt: skip
        self._running, self._waiting = run.gauge("requests_running"), run.gauge("requests_waiting")
        self._inbox = inbox
        self._begin()
        inbox.pulses.append(self.pulse)

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._open: dict[int, bool] = {}
        self._queued = 0
        self._told: dict[Gauge, int] = {}
        self._pulsed = 0.0
        self._over = False
        # Collecting garbage under the lock can end a forgotten request in the same thread.
        self._lock = threading.RLock()

    def move(self, request: int, waiting: bool | None) -> None:
        """Take request number `request` as waiting, running, or (None) gone."""
        if self._pid != os.getpid():
            self._begin()
        with self._lock:
            before = self._open.pop(request, None)
            if waiting is not None:
                self._open[request] = waiting
            self._queued += (waiting is True) - (before is True)
            for gauge, there in self._now():
                if there > self._told.get(gauge, 0):
                    self._told[gauge] = there
                    gauge.set(float(there))

    def pulse(self) -> None:
        """Queue how many run and wait now; the thread calls it, once more when the run is over."""
        if self._pid != os.getpid() or self._over:
            return
        at, self._over = time(), not self._inbox.room
        with self._lock:
            still = bool(self._open) and not self._over and at - self._pulsed >= STILL_SECONDS
            for gauge, there in self._now():
                told = self._told.get(gauge)
                if told is not None and (still or there != told):
                    self._told[gauge], self._pulsed = there, at
                    self._inbox.append((at, None, float(there), gauge))

    def _now(self) -> tuple[tuple[Gauge, int], tuple[Gauge, int]]:
        return (self._waiting, self._queued), (self._running, len(self._open) - self._queued)


class Request:
    """One request, from its making to `end`; a context manager, `async with` too.

    May be used from any thread. An ending nobody tells (a generator that is dropped) counts as
    cancelled.
    """

    __slots__ = (
        "_all", "_arrived", "_first", "_last", "_lock", "_outcome", "_pid", "_prompt_told",
        "_started", "_tokens", "prompt_tokens",
    )  # fmt: skip

    def __init__(self, together: Requests, prompt_tokens: Any, queued: bool) -> None:
        """Begin now; `Run.request` does."""
        self._outcome = ""
        self._all = together
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._first: float | None = None
        self._last: float | None = None
        self._tokens = 0
        self._prompt_told = False
        self._started = False
        self.prompt_tokens = prompt_tokens
        """Of the prompt; may be set later, until the first token."""
        self._arrived = perf_counter()
        try:
            together.move(id(self), bool(queued))
        except Exception as error:  # Serving goes on, whatever fails here.
            self._failed("making", error)

    def started(self) -> None:
        """Say that it has left the queue: observes the queue time."""
        try:
            at = perf_counter()
            with self._lock:
                if self._outcome or self._started:
                    return
                self._started = True
            self._all.queue.observe(at - self._arrived)
            self._all.move(id(self), False)
        except Exception as error:  # Serving goes on, whatever fails here.
            self._failed("started", error)

    def first_token(self) -> None:
        """Say that the first token is there, unless `token` has said so."""
        if self._last is None:
            self.token()

    def token(self, n: Any = 1) -> None:
        """Say that `n` tokens have come, in one output event."""
        try:
            at = perf_counter()
            if type(n) is not int:
                n = int(n)
            if n < 1:
                return
            together = self._all
            with self._lock:
                if self._outcome:
                    return
                last, self._last = self._last, at
                self._tokens += n
            if last is None:
                self._first = at
                together.ttft.observe(at - self._arrived)
                self._tell_prompt()
            else:
                together.itl.observe(at - last)
            together.generated.add(n)
        except Exception as error:  # Serving goes on, whatever fails here.
            self._failed("token", error)

    def usage(self, prompt_tokens: Any = None, generated_tokens: Any = None) -> None:
        """Say totals that are known at the end only; tokens counted before are not counted twice.

        Args:
            prompt_tokens: Of the prompt.
            generated_tokens: All that were generated, with those that `token` has told.
        """
        try:
            if prompt_tokens is not None:
                self.prompt_tokens = prompt_tokens
            if generated_tokens is None:
                return
            with self._lock:
                more = int(generated_tokens) - self._tokens
                if self._outcome or more <= 0:
                    return
                self._tokens += more
            self._all.generated.add(more)
        except Exception as error:  # Serving goes on, whatever fails here.
            self._failed("usage", error)

    def end(self, outcome: str = "ok") -> None:
        """End the request as ok, error or cancelled; the first ending counts."""
        try:
            at = perf_counter()
            if outcome not in OUTCOMES:
                self._all.problem(f"a request ends as {', '.join(OUTCOMES)}; taken as error", 0)
                outcome = "error"
            with self._lock:
                if self._outcome:
                    return
                self._outcome = outcome
            if self._pid == os.getpid():
                self._tell(outcome, at)
        except Exception as error:  # Serving goes on, whatever fails here.
            self._failed("end", error)

    def _tell(self, outcome: str, at: float) -> None:
        together = self._all
        together.move(id(self), None)
        together.requests.add()
        if outcome != "ok":
            together.endings[outcome].add()
            return
        self._tell_prompt()
        together.e2e.observe(at - self._arrived)
        first, last = self._first, self._last
        if first is not None and last is not None and last > first:
            together.tpot.observe((last - first) / (self._tokens - 1))

    def _tell_prompt(self) -> None:
        if self.prompt_tokens and not self._prompt_told:
            self._prompt_told = True
            self._all.prompt.add(self.prompt_tokens)

    def _failed(self, call: str, error: Exception) -> None:
        self._all.problem(f"{call}() of a request failed: {type(error).__name__}", 0)

    def __enter__(self) -> Request:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.end(outcome_of(error))

    async def __aenter__(self) -> Request:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.end(outcome_of(error))

    def __del__(self) -> None:
        if not getattr(self, "_outcome", "unmade"):
            self.end("cancelled")


def outcome_of(error: BaseException | None) -> str:
    """Return how a request ended that `error` left."""
    if error is None:
        return "ok"
    names = {one.__name__ for one in type(error).__mro__}
    return "error" if names.isdisjoint(CANCELLED) else "cancelled"

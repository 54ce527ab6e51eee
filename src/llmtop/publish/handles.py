"""Bound handles: a name looked up once, for hot paths."""

from __future__ import annotations

from time import perf_counter
from time import time as now
from typing import TYPE_CHECKING, Any, ClassVar

from llmtop.publish.inbox import Inbox
from llmtop.wire import NO_STEP, clean_name

if TYPE_CHECKING:
    from llmtop.publish.run import Run


class Handle:
    """One series of a run."""

    __slots__ = ("_append", "_inbox", "_items", "_run", "name", "unit")
    kind: ClassVar[str]
    """gauge, counter or distribution."""

    def __init__(self, run: Run, inbox: Inbox, name: object, unit: object) -> None:
        """Bind `name`; Run.distribution and its like do."""
        self._run, self._inbox = run, inbox
        self._items, self._append = inbox.items, inbox.append
        self.name = clean_name(name)
        self.unit = clean_name(unit) if unit else ""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self)._bound_to, (self._run, self.name, self.unit)

    @classmethod
    def _bound_to(cls, run: Run, name: str, unit: str) -> Any:
        """Return the handle of an unpickled run."""
        return getattr(run, cls.kind)(name, unit)

    def __deepcopy__(self, memo: object) -> Handle:
        return self


class Distribution(Handle):
    """Observations: latencies, lengths. Shown as percentiles."""

    __slots__ = ()
    kind = "distribution"

    def observe(self, value: Any) -> None:
        """Queue one observation."""
        try:
            if type(value) is float and len(self._items) < self._inbox.room:
                self._append((now(), NO_STEP, value, self))
            else:
                self._run.queue_slowly(self, NO_STEP, value)
        except Exception as error:  # Logging never raises in the user's loop.
            self._inbox.problem(f"observe() failed: {type(error).__name__}")


class Counter(Handle):
    """Increments: tokens, requests, errors. Shown as a rate."""

    __slots__ = ()
    kind = "counter"

    def add(self, n: Any = 1) -> None:
        """Queue one increment."""
        try:
            kind = type(n)
            if (kind is int or kind is float) and len(self._items) < self._inbox.room:
                self._append((now(), NO_STEP, n, self))
            else:
                self._run.queue_slowly(self, NO_STEP, n)
        except Exception as error:  # Logging never raises in the user's loop.
            self._inbox.problem(f"add() failed: {type(error).__name__}")


class Gauge(Handle):
    """A value that goes up and down."""

    __slots__ = ()
    kind = "gauge"

    def set(self, value: Any, step: int | None = None) -> None:
        """Queue the value at `step`; None is the step of the last log()."""
        try:
            if (
                type(value) is float
                and (step is None or type(step) is int)
                and len(self._items) < self._inbox.room
            ):
                self._append((now(), step, value, self))
            else:
                self._run.queue_slowly(self, step, value)
        except Exception as error:  # Logging never raises in the user's loop.
            self._inbox.problem(f"set() failed: {type(error).__name__}")


class Timer:
    """A context manager that observes the seconds spent in it."""

    __slots__ = ("_distribution", "_start")

    def __init__(self, distribution: Distribution) -> None:
        """Observe into `distribution`."""
        self._distribution = distribution
        self._start = 0.0

    def __enter__(self) -> Timer:
        self._start = perf_counter()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._distribution.observe(perf_counter() - self._start)

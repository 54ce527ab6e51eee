"""A run, as the user sees it. Every method queues and returns: it never blocks, never raises."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from time import time as now
from typing import Any, TypeVar

from llmtop.publish import environment, process, values
from llmtop.publish.control import Control, Controlled
from llmtop.publish.describe import forked
from llmtop.publish.handles import Counter, Distribution, Gauge, Handle, Timer
from llmtop.publish.inbox import FEW_VALUES, TEXT_WIDTH, UNCOMMITTED, Inbox
from llmtop.publish.request import Request, Requests

MAX_HANDLES = 4096
"""Handles remembered by name: as many as there can be series."""
MAX_TEXT = 1000
"""Characters kept of an event: twice what is told, as it may hold unprintable ones."""
RETRY_SECONDS = 1.0
"""Between attempts to open a session where there are no threads or descriptors left."""

AnyHandle = TypeVar("AnyHandle", bound=Handle)


class Run(Controlled):
    """One run of a training or serving process.

    A context manager: leaving it finishes the run, and tells which exception ended it.
    """

    __slots__ = (
        "_about", "_append", "_config", "_control", "_endpoint", "_handles", "_inbox", "_items",
        "_opened_pid", "_requests", "_retry_at", "_stream", "_summary",
    )  # fmt: skip

    def __init__(
        self, inbox: Inbox, about: dict[str, Any], endpoint: str | None, config: Any = None
    ) -> None:
        """Open a run that HELLO describes as `about`; `llmtop.init` makes one."""
        self._inbox = inbox
        self._items, self._append = inbox.items, inbox.append
        self._about, self._endpoint, self._config = about, endpoint, config
        self._control = Control(inbox, "stoppable" in about)
        self._handles: dict[tuple[type[Handle], Any], Any] = {}
        self._requests: Requests | None = None
        self._summary: Any = None
        self._stream: Any = None
        self._opened_pid = os.getpid()
        self._retry_at = 0.0
        if environment.is_off():
            inbox.close("off")
        else:
            self._open()

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self._about["name"])

    @name.setter
    def name(self, name: object) -> None:
        self._inbox.problem("a run keeps its name; give it to init()", 0)

    def log(
        self, metrics: Mapping[str, Any] | None = None, step: int | None = None,
        *extra: object, **unknown: object,
    ) -> None:  # fmt: skip
        """Queue one value for each name, of one step.

        Args:
            metrics: {name: number}; numbers may be of Python, numpy or torch. Nested dicts are
                joined with "/", None is skipped, text is told once and not drawn.
            step: The step they belong to; None is the step after the last one.
            *extra: Arguments of other loggers: ignored, and told once.
            **unknown: The same, but for commit=False: the next log() is of the same step.
        """
        try:
            if (
                type(metrics) is dict
                and (step is None or type(step) is int)
                and not extra
                and not unknown
                and len(self._items) < self._inbox.room
                and (len(metrics) <= FEW_VALUES or self._inbox.takes(len(metrics)))
            ):
                for value in metrics.values():
                    kind = type(value)
                    # Anything else could change, or hold on to memory, before it is encoded.
                    if kind is not float and kind is not int:
                        break
                else:
                    self._append((now(), step, metrics.copy()))
                    return
            self._log_slowly(metrics, step, extra, unknown)
        except Exception as error:  # Logging never raises in the user's loop.
            self._inbox.problem(f"log() failed: {type(error).__name__}")

    def observe(self, name: str, value: Any, *extra: object, **unknown: object) -> None:
        """Queue one observation of a distribution: a latency, a length."""
        try:
            handle = self._handles.get((Distribution, name))
            (handle or self.distribution(name)).observe(value)
            if extra or unknown:
                self._ignored("observe", extra, unknown)
        except Exception as error:  # Logging never raises in the user's loop.
            self._inbox.problem(f"observe() failed: {type(error).__name__}")

    def count(self, name: str, n: Any = 1, *extra: object, **unknown: object) -> None:
        """Queue an increment of a counter; it is shown as a rate."""
        try:
            handle = self._handles.get((Counter, name))
            (handle or self.counter(name)).add(n)
            if extra or unknown:
                self._ignored("count", extra, unknown)
        except Exception as error:  # Logging never raises in the user's loop.
            self._inbox.problem(f"count() failed: {type(error).__name__}")

    def timer(self, name: str, *extra: object, **unknown: object) -> Timer:
        """Return a context manager that observes the seconds spent in it."""
        if extra or unknown:
            self._ignored("timer", extra, unknown)
        return Timer(self._handle(Distribution, name, "seconds"))

    def event(
        self, text: object, level: object = "info", *extra: object, **unknown: object
    ) -> None:
        """Queue a line for the event list, with a mark on every chart."""
        try:
            if self._admits(TEXT_WIDTH):
                self._append((now(), (str(level)[:MAX_TEXT], str(text)[:MAX_TEXT])))
            elif self._inbox.state == "open":
                self._inbox.drop()
            if extra or unknown:
                self._ignored("event", extra, unknown)
        except Exception as error:  # Logging never raises in the user's loop.
            self._inbox.problem(f"event() failed: {type(error).__name__}")

    def distribution(self, name: str, unit: str = "") -> Distribution:
        """Return a handle for `observe` in a hot path."""
        return self._handle(Distribution, name, unit)

    def counter(self, name: str, unit: str = "") -> Counter:
        """Return a handle for `count` in a hot path."""
        return self._handle(Counter, name, unit)

    def gauge(self, name: str, unit: str = "") -> Gauge:
        """Return a handle for one name of `log` in a hot path; it does not advance the step."""
        return self._handle(Gauge, name, unit)

    def request(
        self, prompt_tokens: Any = None, queued: bool = False, *extra: object, **unknown: object
    ) -> Request:
        """Return a request that begins now; a context manager.

        Args:
            prompt_tokens: Of the prompt, if they are known already.
            queued: Whether it waits until its `started` is called; it runs from now on if not.
            *extra: Ignored, and told once.
            **unknown: The same.
        """
        if extra or unknown:
            self._ignored("request", extra, unknown)
        if self._requests is None:
            with process.lock:
                # Of two threads with a first request, each would make one otherwise.
                if self._requests is None:
                    self._requests = Requests(self, self._inbox)
        return Request(self._requests, prompt_tokens, queued)

    def finish(self, reason: object = None, *extra: object, **unknown: object) -> None:
        """End the run: send what is queued, and wait half a second at most until it arrived.

        Args:
            reason: "finished" (default), "failed", or a text for a run that finished.
            *extra: Ignored.
            **unknown: Ignored, but for exit_code: what is not 0 has failed.
        """
        try:
            code = unknown.get("exit_code", reason)
            if type(code) is int:
                reason = "failed" if code else "finished"
            text = "" if reason is None else str(reason)
            plain = text in ("finished", "failed")
            self._finish(text if plain else "finished", "" if plain else text)
        except Exception as error:  # An end that cannot be told is an end.
            self._inbox.problem(f"finish() failed: {type(error).__name__}")

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None or environment.is_good_exit(error):
                self._finish("finished", "")
            else:
                self._finish("failed", environment.describe_exception(error))
        except Exception as failure:  # The error of the block is the one to see.
            self._inbox.problem(f"finish() failed: {type(failure).__name__}")

    def __getattr__(self, name: str) -> Any:
        """Return what other loggers have under a name that a run does not: config, summary."""
        from llmtop.publish import compat

        return compat.of_run(self, name)

    def __reduce__(self) -> tuple[Any, ...]:
        """A spawned process that is given a run gets one of the same name, of its own."""
        return _spawned, (self._about, self._endpoint, os.getpid())

    def __deepcopy__(self, memo: object) -> Run:
        return self

    def _finish(self, reason: str, text: str) -> None:
        from llmtop.publish.session import ending

        stream, self._stream = self._stream, None
        if stream is not None and self._inbox.state == "open":
            process.finish(stream, ending(reason, text))
        elif self._inbox.state != "off":
            self._inbox.close("finished")

    def _open(self) -> bool:
        """Open a session; in a forked child, one of its own."""
        with process.lock:
            if self._inbox.state == "open":
                return True
            if self._opened_pid != os.getpid():
                self._about = forked(self._about, self._opened_pid)
                self._opened_pid = os.getpid()
                self._retry_at = 0.0
            if time.monotonic() < self._retry_at:
                return False
            self._retry_at = time.monotonic() + RETRY_SECONDS
            self._stream = process.publish(
                self._inbox, self._about, self._endpoint, self._control)
            if self._stream is None and self._inbox.state != "off":
                self._inbox.close("waiting")
            return self._stream is not None

    def _admits(self, width: int = 1) -> bool:
        """Return whether there is room for a call of `width` values, were it in a new session."""
        if self._inbox.takes(width):
            return True
        return self._inbox.state in ("forked", "waiting") and self._open()

    def _log_slowly(
        self, metrics: Any, step: Any, extra: tuple[object, ...], unknown: dict[str, object]
    ) -> None:
        stays = unknown.pop("commit", True) is False and step is None
        if extra or unknown:
            self._ignored("log", extra, unknown)
        if not isinstance(metrics, Mapping):
            if self._admits():
                self._inbox.problem(f"log() takes a dict, not {type(metrics).__name__}")
        elif self._admits(len(metrics)):
            flat = values.flatten(metrics, self._inbox.problem)
            if self._inbox.takes(len(flat)):
                whole = UNCOMMITTED if stays else values.whole_step(step, self._inbox.problem)
                self._append((now(), whole, flat))
            else:
                self._inbox.drop(len(flat))
        elif self._inbox.state not in ("off", "finished"):
            self._inbox.drop(len(metrics))

    def queue_slowly(self, handle: Handle, step: Any, value: Any) -> None:
        """Queue the value of a handle that is no plain number, or that there was no room for."""
        if self._admits():
            number = values.convert(value, self._inbox.problem)
            if number is not None:
                self._append((now(), values.whole_step(step, self._inbox.problem), number, handle))
        elif self._inbox.state not in ("off", "finished"):
            self._inbox.drop()

    def _handle(self, kind: type[AnyHandle], name: Any, unit: str) -> AnyHandle:
        try:
            handle = self._handles.get((kind, name))
            if handle is None:
                handle = kind(self, self._inbox, name, unit)
                if len(self._handles) < MAX_HANDLES:
                    self._handles[kind, name] = handle
        except Exception as error:  # Hashing and str() are the user's.
            self._inbox.problem(f"a name of type {type(name).__name__}: {type(error).__name__}")
            handle = kind(self, self._inbox, "unnamed", "")
        return handle

    def _ignored(self, call: str, extra: tuple[object, ...], unknown: dict[str, object]) -> None:
        more = ", ".join([*unknown, *(f"a {type(one).__name__}" for one in extra)])
        self._inbox.problem(f"{call}() ignores {more}", 0)


def _spawned(about: dict[str, Any], endpoint: str | None, parent: int) -> Run:
    return Run(Inbox(), forked(about, parent), endpoint)

"""The one thread: looks for monitors, and moves the streams of all runs on."""

from __future__ import annotations

import threading
import time
from typing import Any

from llmtop.publish.environment import describe_exception
from llmtop.publish.hubs import Hubs
from llmtop.publish.stream import ACTIVE_SECONDS, IDLE_SECONDS, Stream

SCAN_SECONDS = 0.5
"""Between looks into the rendezvous directory: how long a monitor waits to be found."""
LINGER_SECONDS = 1.0
"""How long the thread outlives the last run, in case another one follows."""


class Drain:
    """The daemon thread and the streams it serves."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._streams: tuple[Stream, ...] = ()
        self._hubs = Hubs()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._idle_since = 0.0
        self._next_scan = 0.0

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams that have not ended, oldest first."""
        return self._streams

    def add(self, stream: Stream) -> None:
        """Serve `stream` until it ends; start the thread if there is none.

        Raises:
            RuntimeError: no thread can be started.
        """
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="llmtop", daemon=True)
                self._idle_since = time.monotonic()
                self._next_scan = 0.0
                thread.start()
                self._thread = thread
            self._streams = (*self._streams, stream)

    def wake(self) -> None:
        """Have the thread look now."""
        self._next_scan = 0.0
        self._wake.set()

    def _run(self) -> None:
        while True:
            try:
                wait = self._tick(time.monotonic())
            except BaseException:
                # Nobody could be told, but the thread is what keeps the queues short.
                wait = IDLE_SECONDS
            if wait is None:
                return
            self._wake.wait(wait)
            self._wake.clear()

    def _tick(self, now: float) -> float | None:
        """Serve every stream once; return how long to wait, None to end the thread."""
        paths = self._scan(now)
        wait = IDLE_SECONDS
        for stream in self._streams:
            try:
                if paths is not None:
                    stream.connect(paths)
                wait = min(wait, stream.tick(now))
            except BaseException as error:
                # A stream that fails must not take the others, or the thread, with it.
                text = f"the publisher failed: {describe_exception(error)}"
                stream.session.inbox.problem(text)
                wait = min(wait, ACTIVE_SECONDS)
        with self._lock:
            self._streams = tuple(one for one in self._streams if not one.ended.is_set())
            if self._streams:
                self._idle_since = now
            elif now - self._idle_since > LINGER_SECONDS:
                self._thread = None
                return None
        return wait

    def _scan(self, now: float) -> frozenset[str] | None:
        if now < self._next_scan or not self._streams:
            return None
        self._next_scan = now + SCAN_SECONDS
        suspects: set[Any] = set()
        for stream in self._streams:
            suspects |= stream.suspects()
        return self._hubs.scan(frozenset(suspects))

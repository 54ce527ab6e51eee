"""When to look at what came: at once, but so many times a second at most, and once in a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any

from textual.app import App

STILL_SECONDS = 1.0
"""Between two looks while nothing comes: what time alone changes is told in seconds."""
NEARLY = 0.9
"""Of that: what comes once in a second is not looked at twice."""


class Pace:
    """Calls `look` in the app's thread; while nothing comes the app sleeps."""

    def __init__(self, app: App[Any], look: Callable[[], bool], fps: float) -> None:
        """Begin, from the app's own thread; `look` returns whether more waits."""
        self._app, self._look, self._least = app, look, 1 / fps
        self._loop, self._context = asyncio.get_running_loop(), copy_context()
        self._came = self._called = self._runs = False
        self._last = 0.0
        self._timer = app.set_interval(self._least, self._beat, pause=True)
        app.set_interval(max(STILL_SECONDS, self._least), self._rest)

    def wake(self) -> None:
        """Say, from any thread, that something came."""
        self._came = True
        if not (self._runs or self._called):
            self._called = True
            with suppress(RuntimeError):  # the loop is closed: the app is over
                self._loop.call_soon_threadsafe(
                    self._app.call_later, self._come, context=self._context)

    def _come(self) -> None:
        self._called = False
        if time.monotonic() - self._last >= self._least:
            self._beat()
        elif not self._runs:
            self._runs = True
            self._timer.resume()

    def _beat(self) -> None:
        more, self._came = self._came, False
        self._last = time.monotonic()
        if self._look():
            self.wake()
        if self._runs and not more:
            self._runs = False
            self._timer.pause()
            if self._came:
                self.wake()

    def _rest(self) -> None:
        if time.monotonic() - self._last >= STILL_SECONDS * NEARLY:
            self._beat()

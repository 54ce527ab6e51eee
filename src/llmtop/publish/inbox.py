"""The queue between the caller and the thread: bounded, and without a lock on the way in."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

MAX_QUEUED = 262_144
"""Calls that may wait: what a tight loop queues in a tenth of a second, some 60 MB of them."""
FEW_VALUES = 8
"""Values a call may hold and count as one; 170 MB if all hold so many."""
TEXT_WIDTH = 32
"""How many values the text of an event counts for: as many bytes as it may keep."""
MAX_PROBLEMS = 32
"""Kinds of mistake that are told, once each; all are counted."""

Item = tuple[Any, ...]
"""(time, step | None, {name: value}) of log, (time, step | None, value, handle) of a handle, or
(time, (level, text)) of an event: told apart by length."""


UNCOMMITTED: Any = object()
"""In place of a step: of the next step, which a later log() takes too."""


class Inbox:
    """What the calls of one run leave for the thread.

    A caller appends to `items` while there are fewer than `room` of them: that one comparison is
    also how a full queue, a finished run, LLMTOP_OFF and a forked child are told from the usual.
    """

    __slots__ = (
        "_lock", "_told", "append", "dropped", "items", "notices", "pulses", "room", "state",
    )  # fmt: skip

    def __init__(self) -> None:
        self.items: deque[Item] = deque()
        self.append = self.items.append
        self.room = 0
        self.state = "new"
        """new, open, off, forked or finished."""
        self.dropped = 0
        """Samples that could not be queued, ever; only grows."""
        self.notices: deque[tuple[str, str]] = deque(maxlen=MAX_PROBLEMS)
        """(level, text) of what the monitor should be told."""
        self.pulses: list[Callable[[], None]] = []
        """Called by the thread before it takes what is queued, to queue what is so now."""
        self._told: set[str] = set()
        self._lock = threading.RLock()

    def open(self) -> None:
        """Let calls in."""
        self.state, self.room = "open", MAX_QUEUED

    def takes(self, width: int) -> bool:
        """Return whether a call of `width` values may be queued: wide ones find room for fewer."""
        return len(self.items) * max(width, FEW_VALUES) < self.room * FEW_VALUES

    def close(self, state: str) -> None:
        """Let no more calls in, and remember why."""
        self.state, self.room = state, 0

    def after_fork(self) -> None:
        """Forget what the parent queued: it is the parent's to send."""
        self._lock = threading.RLock()
        self.items.clear()
        self.dropped = 0
        self.notices.clear()
        self._told.clear()
        self.close("forked")

    def drop(self, samples: int = 1) -> None:
        """Count samples that could not be queued."""
        with self._lock:
            self.dropped += samples

    def problem(self, text: str, samples: int = 1) -> None:
        """Count samples that made no sense, and have the first of a kind told."""
        with self._lock:
            self.dropped += samples
            if text not in self._told and len(self._told) < MAX_PROBLEMS:
                self._told.add(text)
                self.notices.append(("warning", text))

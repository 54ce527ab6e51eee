"""The one clock: nothing else in the monitor asks the operating system for the time."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where the monitor's time comes from; injected, so that tests can hold it still."""

    def time(self) -> float:
        """Return unix time in seconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        ...


class SystemClock:
    """The operating system's clock."""

    def time(self) -> float:
        """Return unix time in seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to go on."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def time(self) -> float:
        """Return unix time in seconds."""
        return self.now

    def monotonic(self) -> float:
        """Return the same seconds."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move both clocks on by `seconds`."""
        self.now += seconds

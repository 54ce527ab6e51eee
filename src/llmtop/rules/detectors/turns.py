"""Values that mean something by themselves: an error's number, a scale cut in two."""

from __future__ import annotations

import math
from collections import deque

from llmtop.rules.detectors.settings import Halved, Turned


class TurnedWatch:
    """Active for a while from each new value that means something."""

    def __init__(self, settings: Turned) -> None:
        self._settings = settings
        self._before: float | None = None
        self._until = math.inf
        self._active = False

    def feed(self, value: float, time: float, step: int) -> bool | None:
        """Take one value; tell what began or ended."""
        if not math.isfinite(value):
            return None
        before, self._before = self._before, value
        settings = self._settings
        meant = value != 0 and value not in settings.ignore
        meant = meant and (not settings.only or value in settings.only)
        # The first value may be years old: such gauges keep the last error for ever.
        if before is not None and value != before and meant:
            self._until = time + settings.calm
            if not self._active:
                self._active = True
                return True
        elif self._active and time > self._until:
            self._active = False
            return False
        return None


class HalvedWatch:
    """Active while a scale was halved too often of late."""

    def __init__(self, settings: Halved) -> None:
        self._settings = settings
        self._halved: deque[int] = deque(maxlen=settings.times)
        self._before = math.nan
        self._seen = 0
        self._active = False

    def feed(self, value: float, time: float, step: int) -> bool | None:
        """Take one value; tell what began or ended."""
        settings = self._settings
        self._seen += 1
        # A dynamic scale begins too high on purpose and is halved until it fits.
        if value <= self._before / 2 and self._seen > settings.within:
            self._halved.append(self._seen)
        self._before = value
        many = len(self._halved) == settings.times
        active = many and self._seen - self._halved[0] < settings.within
        if active == self._active:
            return None
        self._active = active
        return active

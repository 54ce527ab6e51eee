"""Spikes: a value far above those before it, judged against a reference that stands still.

While a spike lasts nothing joins the reference, so that a second spike cannot hide in the spread
that the first one left. What stays high for as long as a whole reference is a new level, no spike.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from llmtop.rules.detectors.settings import Spike, SpikeRate

LEAST_SPREAD = 1e-10
"""Below this all values are the same, and no multiple of their spread means anything."""


class SpikeTest:
    """Tells of one value after the other whether it is a spike."""

    def __init__(self, settings: Spike) -> None:
        self._settings = settings
        self._ring = np.empty(settings.window)
        self._count = 0
        self._limit: float | None = None
        self._high = 0
        self.quiet = settings.calm
        """Points since the last spike, as far as `calm`."""

    def feed(self, value: float) -> bool | None:
        """Return whether `value` is a spike; None for what cannot be compared."""
        settings = self._settings
        if not math.isfinite(value) or (settings.log and value <= 0):
            return None
        x = math.log(value) if settings.log else value
        if self._is_high(x):
            self.quiet = 0
            self._high += 1
            if self._high >= settings.window:
                self._count, self._high, self._limit = 0, 0, None
            return True
        self.quiet = min(self.quiet + 1, settings.calm)
        self._high = 0
        if self.quiet >= settings.calm:
            self._ring[self._count % settings.window] = x
            self._count += 1
            self._limit = None
        return False

    def _is_high(self, x: float) -> bool:
        settings = self._settings
        if self._count < settings.least:
            return False
        if self._limit is None:
            known = self._ring[: min(self._count, settings.window)]
            mean, spread = float(known.mean()), float(known.std())
            least = math.log1p(settings.floor) if settings.log else settings.floor * abs(mean)
            if spread <= LEAST_SPREAD and least <= LEAST_SPREAD:
                return False
            self._limit = mean + max(settings.sigma * spread, least)
        return x > self._limit


class SpikeWatch:
    """Active from `limit` spikes `within` so many points until it has been calm for a while."""

    def __init__(self, settings: Spike) -> None:
        self._settings, self._test = settings, SpikeTest(settings)
        self._spikes: deque[int] = deque(maxlen=settings.limit)
        self._seen = 0
        self._active = False

    def feed(self, value: float, time: float, step: int) -> bool | None:
        """Take one value; tell what began or ended."""
        settings = self._settings
        spike = self._test.feed(value)
        if spike is None:
            return None
        self._seen += 1
        if spike:
            self._spikes.append(self._seen)
            many = len(self._spikes) == settings.limit
            close = many and self._seen - self._spikes[0] < max(settings.within, 1)
            if close and not self._active:
                self._active = True
                return True
        elif self._active and self._test.quiet >= settings.calm:
            self._active = False
            return False
        return None


class RateWatch:
    """Active while the share of spikes over a long stretch is above a limit."""

    def __init__(self, settings: SpikeRate) -> None:
        self._settings, self._test = settings, SpikeTest(settings)
        self._spikes: deque[int] = deque(maxlen=settings.within)
        self._seen = 0
        self._active = False

    def feed(self, value: float, time: float, step: int) -> bool | None:
        """Take one value; tell what began or ended."""
        settings = self._settings
        fresh = self._test.quiet >= settings.calm
        spike = self._test.feed(value)
        if spike is None:
            return None
        self._seen += 1
        if spike and fresh:
            # A spike of many points is one spike.
            self._spikes.append(self._seen)
        while self._spikes and self._seen - self._spikes[0] >= settings.within:
            self._spikes.popleft()
        looked = min(self._seen, settings.within)
        often = len(self._spikes) > settings.share * looked
        active = len(self._spikes) >= settings.limit and often
        if active == self._active:
            return None
        self._active = active
        return active

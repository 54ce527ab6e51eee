"""Divergence: a mean that rises above what it was, and stays there.

What is usual is the median of the points before the rise and their noise, told by the differences
of neighbours: a trend must not count as noise, or a steady rise would hide in itself.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from llmtop.rules.detectors.base import Finding, Follower, Look
from llmtop.rules.detectors.settings import Diverged
from llmtop.rules.stretches import ROBUST
from llmtop.store import Run

FAR = 5.0
"""Times the allowed rise beyond which one point counts no more: a spike alone moves a mean of 20
points by half of what is allowed."""
IN_A_ROW = 3
"""Points that must reach `factor` times the beginning's highest: one may be a spike."""


class _DivergedWatch:
    def __init__(self, settings: Diverged) -> None:
        self._settings = settings
        self._usual: deque[float] = deque(maxlen=settings.window)
        self._limits: tuple[float, float] | None = None
        self._mean = 0.0
        self._weight = 0.0
        self._highest = -math.inf
        self._seen = 0
        self._row = 0
        self._since: tuple[int, int] | None = None
        self._active = False

    def feed(self, value: float, time: float, step: int) -> bool | None:
        if not math.isfinite(value):
            return None
        settings = self._settings
        self._seen += 1
        if self._seen <= settings.first:
            self._highest = max(self._highest, value)
        high = self._highest > 0 and value >= settings.factor * self._highest
        self._row = self._row + 1 if high and self._seen > settings.first else 0
        risen = self._risen(value)
        if risen and self._since is None:
            self._since = self._seen, step
        elif not risen:
            self._since = None
            self._usual.append(value)
            self._limits = None
        active = self._lasted(step) or self._row >= IN_A_ROW or (self._active and risen)
        if active == self._active:
            return None
        self._active = active
        return active

    def _risen(self, value: float) -> bool:
        settings = self._settings
        known = len(self._usual) >= settings.least
        if known and self._limits is None:
            values = np.array(self._usual)
            middle = float(np.median(values))
            noise = ROBUST * float(np.median(np.abs(np.diff(values)))) / math.sqrt(2)
            rise = max(settings.sigma * noise, settings.floor * abs(middle))
            self._limits = middle, rise
        counted = value
        if known and self._limits is not None:
            counted = min(value, self._limits[0] + FAR * self._limits[1])
        decay = (settings.length - 1) / (settings.length + 1)
        self._mean = decay * self._mean + (1 - decay) * counted
        self._weight = decay * self._weight + (1 - decay)
        if not known or self._limits is None:
            return False
        return self._mean / self._weight > sum(self._limits)

    def _lasted(self, step: int) -> bool:
        if self._since is None:
            return False
        points = self._seen - self._since[0] + 1
        steps = step - self._since[1] if step >= 0 and self._since[1] >= 0 else points
        return points >= self._settings.points and steps >= self._settings.steps


class DivergedDetector(Follower):
    """Divergence of a metric; the loss of reinforcement learning may rise as it likes."""

    def __init__(self, settings: Diverged, each: bool) -> None:
        super().__init__(settings.metric, each, lambda: _DivergedWatch(settings))

    def look(self, look: Look) -> list[Finding]:
        """Feed what is new."""
        return [one for one in super().look(look) if not _learns_by_reward(one.run)]


def _learns_by_reward(run: Run) -> bool:
    return bool(run.find("reward")) and not run.find("eval_loss")

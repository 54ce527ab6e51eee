"""Leaks: memory that rises steadily, by Theil and Sen's slope, towards where there is none left."""

from __future__ import annotations

import numpy as np

from llmtop.rules.detectors.base import Finding, Look
from llmtop.rules.detectors.settings import Creep
from llmtop.rules.targets import device_memory, factor_of, newest
from llmtop.store import Points, Run, Series
from llmtop.store.arena import F8

EVERY = 16
"""Points between two looks at a series: pairs of 128 points cost 0.3 ms."""
MOST_POINTS = 128
LONGEST = 1024
"""Raw points looked back on: what is held of a gauge."""


class CreepDetector:
    """Projects a memory's rise an hour ahead."""

    def __init__(self, settings: Creep, each: bool) -> None:
        self._settings, self._each = settings, each
        self._seen: dict[int, int] = {}
        self._active: set[int] = set()

    def look(self, look: Look) -> list[Finding]:
        """Look at each memory that has grown enough since the last look."""
        found: list[Finding] = []
        for run in look.grown:
            used = newest(run, self._settings.metric)
            for key, series in used.items():
                if series.n - self._seen.get(series.id, 0) < EVERY:
                    continue
                self._seen[series.id] = series.n
                total = device_memory(run, key[1])
                if total is not None:
                    found += self._judge(run, key, series, total)
        return found

    def _judge(
        self, run: Run, key: tuple[int | None, str], series: Series, total: float
    ) -> list[Finding]:
        last = series.last
        if last is None:
            return []
        points = series.window(LONGEST)
        ahead = projected(points, self._settings) * factor_of(series)
        active = ahead >= self._settings.limit * total
        if active == (series.id in self._active):
            return []
        (self._active.add if active else self._active.discard)(series.id)
        rank, device = key if self._each else (None, "")
        return [Finding(run, active, last.time, rank, device, last.step,
                        last.value * factor_of(series), "bytes")]


def projected(points: Points, settings: Creep) -> float:
    """Return what a steadily rising series comes to within a time; -inf where it does not."""
    good = np.isfinite(points.value)
    time, value = points.time[good], points.value[good]
    if len(value) < settings.least:
        return -np.inf
    at = np.linspace(0, len(value) - 1, MOST_POINTS).astype(np.int64)
    slope, rising = theil_sen(time[at], value[at])
    if slope <= 0 or rising < settings.steady:
        return -np.inf
    return float(np.median(value[-8:])) + slope * settings.within


def theil_sen(x: F8, y: F8) -> tuple[float, float]:
    """Return the median slope between all pairs of points, and the share of pairs that rise."""
    first, second = np.triu_indices(len(x), 1)
    run, rise = x[second] - x[first], y[second] - y[first]
    apart = run > 0
    if not apart.any():
        return 0.0, 0.0
    return float(np.median(rise[apart] / run[apart])), float((rise[apart] > 0).mean())

"""Dot columns along x that stand still: whole buckets of round widths."""

from __future__ import annotations

import math
from dataclasses import dataclass

LADDER = (1.0, 1.2, 1.5, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0)
"""Column widths within a decade: each at most a quarter above the one before it, so that at most
a fifth of the width stands empty."""
LEAST_SHARE = 1e-9
"""Least span as a share of x itself: float64 cannot place hundreds of columns in much less."""


@dataclass(frozen=True)
class Grid:
    """Dot columns along x: `count` buckets of `width` from `start`, all whole."""

    start: float
    width: float
    count: int

    @property
    def stop(self) -> float:
        """Right edge of the last column."""
        return self.start + self.width * self.count

    def column(self, x: float) -> int:
        """Return the column that holds `x`, which may lie outside; -1 for NaN and infinity."""
        place = (x - self.start) / self.width
        return math.floor(place + 1e-9) if math.isfinite(place) else -1


def column_grid(start: float, stop: float, count: int) -> Grid:
    """Return the finest grid of `count` whole buckets that covers start..stop.

    The width depends on the span alone and edges are multiples of it: the picture of a growing
    run changes scale only when the run outgrows it, and a window that moves along moves the
    picture only when a bucket closes.
    """
    count = max(1, count)
    if not (math.isfinite(start) and math.isfinite(stop) and stop > start):
        start = start if math.isfinite(start) else 0.0
        stop = start + 1.0
    span = max(stop - start, LEAST_SHARE * max(abs(start), abs(stop)))
    # From any start, one column more than the span needs covers it wherever the edges fall.
    width = ladder(span / max(0.5, count - 1 - 1e-6), LADDER)
    return Grid(math.floor(start / width + 1e-9) * width, width, count)


def ladder(least: float, steps: tuple[float, ...]) -> float:
    """Return the least of steps x 10^k that is not below `least`, a positive number."""
    decade = 10.0 ** math.floor(math.log10(least))
    return next((s * decade for s in steps if s * decade >= least * (1 - 1e-9)), 10 * decade)

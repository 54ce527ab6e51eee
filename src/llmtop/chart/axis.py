"""Axes: round ticks with units, y ranges that do not twitch, and x columns that stand still."""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple

from llmtop.units import format_axis, format_duration

LADDER = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
"""Column widths within a decade: fine enough that at most a fifth of the width stands empty."""
TICK_LADDER = (1.0, 2.0, 2.5, 5.0, 10.0)
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200,
              86_400, 172_800, 604_800)
SLACK = 0.05
"""Room above and below the data, so that small changes do not move the range."""
SHRINK = 0.5
"""The range shrinks only when the data uses less than this share of it."""
LOG_LADDER = (1.0, 2.0, 5.0)
LOG_DECADES_WITH_MINOR = 2.5


class Grid(NamedTuple):
    """Dot columns along x: `count` buckets of `width` from `start`, all whole."""

    start: float
    width: float
    count: int

    @property
    def stop(self) -> float:
        """Right edge of the last column."""
        return self.start + self.width * self.count

    def column(self, x: float) -> int:
        """Return the column that holds `x`, which may lie outside."""
        return math.floor((x - self.start) / self.width)


def column_grid(start: float, stop: float, count: int) -> Grid:
    """Return the finest grid of `count` whole buckets that covers start..stop.

    Widths come from a ladder and edges are multiples of the width: the grid changes only when
    the data outgrows it, so the picture moves only then.
    """
    count = max(1, count)
    span = max(stop - start, 1e-9)
    width = _ladder(span / count)
    while True:
        first = math.floor(start / width + 1e-9) * width
        if first + width * count > stop or width > 1e300:
            return Grid(first, width, count)
        width = _ladder(width * 1.0001)


def _ladder(least: float) -> float:
    decade = 10.0 ** math.floor(math.log10(least))
    for step in LADDER:
        if step * decade >= least * (1 - 1e-9):
            return step * decade
    return 10 * decade


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round values inside low..high."""
    if not (math.isfinite(low) and math.isfinite(high)) or high <= low or most < 1:
        return []
    raw = (high - low) / max(1, most)
    decade = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    for step in TICK_LADDER + (20.0, 50.0):
        size = step * decade
        found = _multiples(low, high, size)
        if len(found) <= most:
            return found
    return []


def _multiples(low: float, high: float, size: float) -> list[float]:
    first = math.ceil(low / size - 1e-9)
    last = math.floor(high / size + 1e-9)
    return [0.0 if k == 0 else k * size for k in range(first, min(last, first + 1000) + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return decades inside low..high, with 2 and 5 between them where there is room."""
    if not (0 < low < high < math.inf) or most < 1:
        return []
    steps = LOG_LADDER if math.log10(high / low) <= LOG_DECADES_WITH_MINOR else (1.0,)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found = [s * 10.0**e for e in range(first, last + 1) for s in steps
             if low * (1 - 1e-9) <= s * 10.0**e <= high * (1 + 1e-9)]
    return found[:: -(-len(found) // most)] if found else []


def nice_range(
    previous: tuple[float, float] | None, low: float, high: float, log: bool = False
) -> tuple[float, float]:
    """Return the y range for data in low..high; the previous one while it still serves."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return previous or (0.0, 1.0)
    if log:
        low = low if low > 0 else min(1e-12, high) if high > 0 else 1e-12
        high = max(high, low)
        inside = nice_range(
            previous and (math.log10(previous[0]), math.log10(previous[1])),
            math.log10(low), math.log10(high))
        return 10.0 ** max(inside[0], -300), 10.0 ** min(inside[1], 300)
    if previous is not None and previous[0] <= low and high <= previous[1]:
        used = (high - low) / (previous[1] - previous[0])
        if used >= SHRINK or high == low:
            return previous
    if high == low:
        pad = abs(high) * 0.1 or 1.0
        return low - pad, high + pad
    pad = (high - low) * SLACK
    if not math.isfinite(pad):
        return low, high
    bottom = 0.0 if low >= 0 and low - pad < 0 else low - pad
    return bottom, high + pad


def x_ticks(axis: str, grid: Grid, start: float, cells: int) -> list[tuple[int, str]]:
    """Return (dot column, label) for the x axis; labels do not touch each other."""
    span = grid.stop - grid.start
    room = max(1, cells // 11)
    if axis == "step":
        values = [v for v in ticks(grid.start, grid.stop, room) if v >= 0 and v == int(v)]
        labels = format_axis(values)
    else:
        step = next((s for s in TIME_STEPS if span / s <= room), TIME_STEPS[-1])
        offset = _utc_offset(grid.start) if axis == "time" else 0.0
        values = [v - offset for v in _multiples(grid.start + offset, grid.stop + offset, step)]
        clock = "%H:%M:%S" if step < 60 else "%H:%M" if step < 86_400 else "%d %b"
        labels = ([datetime.fromtimestamp(v).strftime(clock) for v in values] if axis == "time"
                  else ["0" if v == 0 else _short(v) for v in values])
    return [(grid.column(v), label) for v, label in zip(values, labels, strict=True)]


def _short(seconds: float) -> str:
    """Return a duration without parts that are zero: "5m", "1h 30m"."""
    return format_duration(seconds).replace(" 00s", "").replace(" 00m", "").replace(" 00h", "")


def _utc_offset(now: float) -> float:
    try:
        delta = datetime.fromtimestamp(now).astimezone().utcoffset()
    except (ValueError, OverflowError, OSError):
        return 0.0
    return delta.total_seconds() if delta else 0.0

"""Round axis ticks: 1-2-2.5-5 numbers, decades, clock times and spans of time."""

from __future__ import annotations

import math
from datetime import datetime

from llmtop.chart.grid import Grid, ladder
from llmtop.units import format_axis, format_duration

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
LOG_STEPS = ((1.0, 2.0, 5.0), (1.0, 3.0), (1.0,))
"""Numbers within a decade, from the densest."""
MOST_FOUND = 1000
"""More multiples than any axis has cells."""
CELLS_AN_X_LABEL = 9
"""A clock time with seconds and a space."""
DAY = 86_400
TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600,
              43_200, DAY)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round values inside low..high."""
    if not (math.isfinite(high - low) and high > low) or most < 1:
        return []
    least = max((high - low) / (most + 1), 1e-300)
    while True:
        size = ladder(least, ROUND)
        found = _multiples(low, high, size)
        if len(found) <= most:
            return found
        least = size * 1.01


def _multiples(low: float, high: float, size: float) -> list[float]:
    first = math.ceil(low / size - 1e-9)
    last = math.floor(high / size + 1e-9)
    return [0.0 if k == 0 else k * size for k in range(first, min(last, first + MOST_FOUND) + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Return at most `most` round values inside low..high, evenly spread on a log axis.

    1-2-5 numbers where there is room, else decades; linear ticks where the range is so short
    that it holds fewer than two of those.
    """
    if not 0 < low < high < math.inf or most < 1:
        return []
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in LOG_STEPS:
        found = [value for e in range(first, last + 1) for s in steps
                 if low * (1 - 1e-9) <= (value := float(f"{s:g}e{e}")) <= high * (1 + 1e-9)
                 and 0 < value < math.inf]
        if len(found) <= most:
            return found if len(found) > 1 else ticks(low, high, most) or found
    every = -(-len(found) // most)
    return [value for value in found if round(math.log10(value)) % every == 0]


def x_ticks(
    axis: str, grid: Grid, start: float, cells: int, now: float | None = None
) -> list[tuple[int, str]]:
    """Return (dot column, label) for the x axis.

    Args:
        axis: "time" (unix seconds), "elapsed" (seconds), or anything that is counted ("step").
        grid: the dot columns.
        start: when the run began, unix s: clock times of another day are told with their date.
        cells: width of the drawing area.
        now: on the time axis, label by age: "-15m", "-10m", "-5m", "now".
    """
    room = max(1, cells // CELLS_AN_X_LABEL)
    if axis == "time":
        found = _clock(grid, start, room) if now is None else _ages(grid, now, room)
    elif axis == "elapsed":
        found = _elapsed(grid, room)
    else:
        values = [v for v in ticks(grid.start, grid.stop, room) if v >= 0 and v == round(v)]
        found = [*zip(values, _counts(values), strict=True)]
    return [(grid.column(value), label) for value, label in found if label]


def _counts(values: list[float]) -> list[str]:
    """Return labels of whole numbers: in k, M or G only where that is shorter."""
    short, full = format_axis(values), [f"{value:,.0f}" for value in values]
    told_apart = len(set(short)) == len(short)
    return short if told_apart and sum(map(len, short)) < sum(map(len, full)) else full


def _time_step(grid: Grid, room: int) -> float:
    least = (grid.stop - grid.start) / room
    step = next((s for s in TIME_STEPS if s >= least), None)
    return float(step) if step else ladder(least / DAY, ROUND) * DAY


def _elapsed(grid: Grid, room: int) -> list[tuple[float, str]]:
    if grid.stop - grid.start < 2 * room:
        values = ticks(grid.start, grid.stop, room)
        return [*zip(values, format_axis(values, "seconds"), strict=True)]
    values = _multiples(grid.start, grid.stop, _time_step(grid, room))
    return [(v, span_text(v)) for v in values]


def _ages(grid: Grid, now: float, room: int) -> list[tuple[float, str]]:
    step = _time_step(grid, room)
    ages = _multiples(max(0.0, now - grid.stop), now - grid.start, step)
    return [(now - age, "now" if age == 0 else "-" + span_text(age)) for age in ages]


def _clock(grid: Grid, start: float, room: int) -> list[tuple[float, str]]:
    step = _time_step(grid, room)
    offset = _utc_offset(grid.start)
    values = [v - offset for v in _multiples(grid.start + offset, grid.stop + offset, step)]
    form = "%H:%M:%S" if step < 60 else "%H:%M" if step < DAY else "%d %b"
    found = []
    day = _local(start, "%d %b")
    for value in values:
        today = _local(value, "%d %b")
        found.append((value, _local(value, form) if today == day else _dated(value, form, today)))
        day = today
    return found


def _dated(value: float, form: str, day: str) -> str:
    clock = _local(value, form)
    return day if clock in (day, "00:00", "00:00:00") else f"{day} {clock}"


def _local(when: float, form: str) -> str:
    try:
        return datetime.fromtimestamp(when).strftime(form)
    except (ValueError, OverflowError, OSError):
        return ""


def _utc_offset(when: float) -> float:
    try:
        delta = datetime.fromtimestamp(when).astimezone().utcoffset()
    except (ValueError, OverflowError, OSError):
        return 0.0
    return delta.total_seconds() if delta else 0.0


def span_text(seconds: float) -> str:
    """Return a span of time without parts that are zero: "0", "15s", "5m", "1h 30m"."""
    if seconds == 0:
        return "0"
    text = format_duration(seconds)
    for nothing in (" 00s", " 00m", " 00h"):
        text = text.removesuffix(nothing)
    return text.replace(".0s", "s")

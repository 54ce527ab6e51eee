"""y ranges that do not twitch."""

from __future__ import annotations

import math

from llmtop.chart.grid import ladder

Range = tuple[float, float]

ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)
STEPS = 10
"""A range is at most so many round steps high: its edges lie within a tenth of the data."""
SHRINK = 0.5
"""The range shrinks only when the data uses less than this share of it."""
LEAST_SHARE = 1e-3
"""Least height of a range as a share of the values: less is noise, and its labels would all read
the same."""
LOG_EDGES = (1.0, 2.0, 5.0, 10.0)
LOG_ROUND_FROM = 3.0
"""Log ranges of a smaller ratio are rounded like linear ones: 1-2-5 would leave them half empty."""
LOG_DECADES = 6
"""Decades shown below the highest value where the lowest is zero or negative."""
ROUNDING = 1e-9
"""Values that differ by less, as a share of them, are one value with rounding noise."""
FLAT_SHARE = 0.2
"""Height of the range around a single value, as a share of it."""
BIGGEST, SMALLEST = 1e300, 1e-300
"""Values and heights are kept between, so that float64 can add and divide them."""


def nice_range(previous: Range | None, low: float, high: float, log: bool = False) -> Range:
    """Return the y range for data in low..high: the previous one while it still serves.

    It changes only when the data leaves it or uses less than about half of it; a new one has
    round edges, so that a range without a previous one rarely moves either.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return previous or (0.0, 1.0)
    low, high = (min(max(v, -BIGGEST), BIGGEST) for v in (min(low, high), max(low, high)))
    if log:
        high = high if high > 0 else 1.0
        low = low if low > 0 else high / 10.0**LOG_DECADES
    bottom, top = _least(low, high, log)
    if previous is not None and previous[0] <= low and high <= previous[1] and not (
        log and previous[0] <= 0
    ) and _height((bottom, top), log) >= SHRINK * _height(previous, log) > 0:
        return previous
    if log and top / bottom >= LOG_ROUND_FROM:
        return _log_edge(bottom, up=False), _log_edge(top, up=True)
    size = ladder((top - bottom) / STEPS, ROUND)
    while math.ceil(top / size - 1e-9) - math.floor(bottom / size + 1e-9) > STEPS:
        size = ladder(size * 1.01, ROUND)
    return math.floor(bottom / size + 1e-9) * size, math.ceil(top / size - 1e-9) * size


def _least(low: float, high: float, log: bool) -> Range:
    """Return low..high widened where it is too flat to draw."""
    if log:
        low, high = max(low, SMALLEST), max(high, SMALLEST)
    size = max(abs(low), abs(high))
    flat = high - low <= ROUNDING * size
    need = max(size * (FLAT_SHARE if flat else LEAST_SHARE), SMALLEST) if size else 2.0
    spare = need - (high - low)
    if spare <= 0:
        return low, high
    bottom = low - spare / 2
    return (0.0 if bottom < 0 <= low and size else bottom), high + spare / 2


def _height(edges: Range, log: bool) -> float:
    return math.log10(edges[1]) - math.log10(edges[0]) if log else edges[1] - edges[0]


def _log_edge(value: float, up: bool) -> float:
    """Return the next 1-2-5 number above or below."""
    decade = 10.0 ** math.floor(math.log10(value))
    if up:
        return ladder(value, LOG_EDGES)
    return next((s * decade for s in reversed(LOG_EDGES) if s * decade <= value * (1 + 1e-9)),
                decade)

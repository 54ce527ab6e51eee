"""When memory will be full: the trend of its recent maxima, if there is one.

A run's memory goes up and down within a step, so what counts is the highest of each stretch of
time. The slope is Theil and Sen's, the median over all pairs, which a single spike does not move;
that it is a trend at all is Mann and Kendall's test.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from llmtop.store import Series

RECENT_SECONDS = 1800.0
STRETCHES = 40
"""Stretches the recent past is cut into, each as long as several steps of most runs."""
FEWEST = 12
"""Stretches with data below which nothing is said."""
FEWEST_SECONDS = 60.0
FULL = 0.97
"""Share of the memory at which an allocation fails for most programs: the rest is fragments."""
SURE = 3.0
"""Standard deviations of Mann-Kendall's statistic that make a trend: one in 700 by chance."""
LEAST_GROWTH = 0.004
"""Growth over the recent past, as a share of the memory, that is worth speaking of."""
FARTHEST_SECONDS = 86_400.0


class Forecast(NamedTuple):
    """What the recent maxima say."""

    bytes_per_second: float
    """0 where there is no trend."""
    seconds_to_full: float | None
    """None where it does not get full within a day."""


def forecast(series: Series, total: float) -> Forecast | None:
    """Return the trend of used memory of `total` bytes; None as long as too little is known."""
    span, last = series.extent("time"), series.last
    if span is None or last is None or total <= 0:
        return None
    start = max(span[0], last.time - RECENT_SECONDS)
    seconds = last.time - start
    if seconds < FEWEST_SECONDS:
        return None
    high = series.buckets("time", start, last.time, STRETCHES).high
    at = np.flatnonzero(np.isfinite(high))
    if len(at) < FEWEST:
        return None
    value = high[at]
    first, second = np.triu_indices(len(at), 1)
    rise = value[second] - value[first]
    n = len(at)
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    slope = float(np.median(rise / (at[second] - at[first]))) * STRETCHES / seconds
    sure = float(np.sign(rise).sum()) / deviation >= SURE
    if not sure or slope * seconds < LEAST_GROWTH * total:
        return Forecast(0.0, None)
    left = (FULL * total - float(value[-1])) / slope
    return Forecast(slope, max(0.0, left) if left <= FARTHEST_SECONDS else None)


def words(found: Forecast | None) -> str:
    """Return "about 14 min to full", "no trend", or "" while too little is known."""
    if found is None:
        return ""
    if found.bytes_per_second <= 0:
        return "no trend"
    if found.seconds_to_full is None:
        return "grows, more than a day to full"
    minutes = found.seconds_to_full / 60
    if minutes < 1:
        return "full within a minute"
    return f"about {minutes:.0f} min to full" if minutes < 90 else (
        f"about {minutes / 60:.0f} h to full")

"""How the observations of a distribution lie: over time and value, and below limits."""

from __future__ import annotations

from math import nan
from typing import NamedTuple

import numpy as np

from llmtop.store import bounds
from llmtop.store.arena import F8, I8
from llmtop.store.bucketed import BucketedSeries
from llmtop.store.columns import place
from llmtop.store.histogram import Slice, orders, value_of_orders
from llmtop.store.series import EVERYTHING, Series


class Share(NamedTuple):
    """Which part of the observations is at most a limit, 0..1; NaN without observations."""

    value: float
    least: float
    """Where only buckets are known: what is certain. Else the same as `value`."""
    most: float
    n: int


def share_below(series: Series, limit: float, since: float | None = None) -> Share:
    """Return the part of the observations since a time that is at most `limit`.

    Of a series whose raw points reach back less far, that of its histogram: within a bin.
    """
    if isinstance(series, BucketedSeries):
        found = series.increments
        counts = found.counts[found.since(since)].sum(axis=0)
        n = int(counts.sum())
        parts = bounds.below(found.bounds, counts, limit) if n else (np.nan,) * 3
        value, least, most = (float(part) / max(n, 1) for part in parts)
        return Share(value, least, most, n)
    held, _ = series.observed(since)
    if isinstance(held, Slice):
        n, at = int(held.counts.sum()), int(orders(np.array([limit]))[0])
        within = value_of_orders(held.orders) <= limit, held.orders < at, held.orders <= at
        value, least, most = (float(held.counts[one].sum()) / n if n else nan for one in within)
        return Share(value, least, most, n)
    values = held.value[np.isfinite(held.value)]
    share = float((values <= limit).mean()) if len(values) else nan
    return Share(share, share, share, len(values))


def counted(series: Series, edges: F8) -> tuple[F8, I8]:
    """Return upper bounds, the last one infinity, and how many observations ever are at most each.

    Counts only grow, so a value is in the same bucket before and after it leaves the raw points:
    a bound is rounded to that of a bin, by at most 0.8 %. Of a scraped series, the server's own
    bounds, since they last changed.

    Args:
        series: a distribution.
        edges: the bounds wanted, ascending.
    """
    if isinstance(series, BucketedSeries):
        found = series.increments
        return found.bounds, found.counts.sum(axis=0).cumsum()
    upper = np.append(edges, np.inf)
    raw, ranks = series._fresh(series.window(EVERYTHING)), orders(edges)
    fresh = orders(raw.value[np.isfinite(raw.value)])
    table = np.bincount(np.searchsorted(ranks, fresh), minlength=len(upper))
    histogram = series._table.histograms.get(series.id)
    if histogram is not None:
        for part in (*histogram.slices.values(), histogram.timeless):
            place = np.searchsorted(ranks, part.orders)
            table = table + np.bincount(place, weights=part.counts, minlength=len(upper))
    return upper, np.rint(table).astype(np.int64).cumsum()


def density(series: Series, edges: F8, start: float, stop: float, count: int) -> F8:
    """Return observations by value and time, shape (len(edges) - 1, count).

    Args:
        series: a distribution.
        edges: of the value bins, ascending; what lies beyond goes to the outermost bins.
        start: unix seconds where the first column begins.
        stop: where the last one ends.
        count: columns.
    """
    bins = len(edges) - 1
    table = np.zeros((bins, count))
    if isinstance(series, BucketedSeries):
        found = series.increments
        row, column = series.columns(start, stop, count)
        share = 1.0 / np.maximum(np.bincount(row, minlength=found.rows), 1)[row]
        spread = bounds.spread(found.bounds, found.counts, edges)
        np.add.at(table.T, column, spread[row] * share[:, None])
        return table
    held = series.window(EVERYTHING)
    raw = held.pick(np.isfinite(held.value) & (held.time >= start) & (held.time <= stop))
    np.add.at(table, (_bin(raw.value, edges), place(raw.time, start, stop, count)), 1.0)
    oldest = held.time.min(initial=np.inf)
    histogram = series._table.histograms.get(series.id)
    if histogram is None or len(held.time) == series.n:
        return table
    for part in histogram.slices.values():
        if (part.start + part.stop) / 2 >= oldest or part.stop < start or part.start > stop:
            continue
        first, last = place(np.array([part.start, part.stop]), start, stop, count).tolist()
        weights = part.counts / (last - first + 1)
        column = np.bincount(
            _bin(value_of_orders(part.orders), edges), weights=weights, minlength=bins
        )
        table[:, first : last + 1] += column[:, None]
    return table


def _bin(values: F8, edges: F8) -> I8:
    found: I8 = np.searchsorted(edges, values, side="right").astype(np.int64) - 1
    return found.clip(0, len(edges) - 2)

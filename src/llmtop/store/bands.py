"""Quantiles along the time axis: exact where raw points reach, before that from the histogram.

A slice of the histogram that spans several columns gives its quantiles to each of them; slices
within one column are merged exactly. So a redraw costs little: a slice remembers its quantiles.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmtop.store import quantiles
from llmtop.store.arena import F8, I8
from llmtop.store.columns import place
from llmtop.store.histogram import Slice, SlicedHistogram, orders
from llmtop.store.points import Points


def of_points(
    raw: Points, qs: Sequence[float], start: float, stop: float, count: int, *, ordered: bool
) -> F8:
    """Return exact quantiles a column, shape (len(qs), count); `ordered`: times never fall."""
    if ordered:
        raw = raw.pick(slice(*np.searchsorted(raw.time, [start, np.nextafter(stop, np.inf)])))
    keep = np.isfinite(raw.value) & (raw.time >= start) & (raw.time <= stop)
    if not keep.all():
        raw = raw.pick(keep)
    column = place(raw.time, start, stop, count)
    return quantiles.columns_of_values(column, raw.value, qs, count)


def of_histogram(
    histogram: SlicedHistogram, fresh: Points, qs: Sequence[float], start: float, stop: float,
    count: int,
) -> F8:  # fmt: skip
    """Return estimated quantiles a column, shape (len(qs), count).

    Args:
        histogram: the slices.
        fresh: points that are not in it yet.
        qs: quantiles, 0..1.
        start: unix seconds where the first column begins.
        stop: where the last one ends.
        count: columns.
    """
    out = np.full((len(qs), count), np.nan)
    keep = np.isfinite(fresh.value) & (fresh.time >= start) & (fresh.time <= stop)
    fresh = fresh.pick(keep)
    narrow: list[tuple[I8, I8, I8]] = [
        (
            place(fresh.time, start, stop, count), orders(fresh.value),
            np.ones(len(fresh.time), np.int64),
        )
    ]  # fmt: skip
    for part in _within(histogram, start, stop):
        first, final = place(np.array([part.start, part.stop]), start, stop, count).tolist()
        if first < final:
            out[:, first : final + 1] = part.remember(tuple(qs), _quantiles)[:, None]
        else:
            narrow.append((np.full(len(part.orders), first), part.orders, part.counts))
    column, ranks, counts = (np.concatenate(pieces) for pieces in zip(*narrow, strict=True))
    merged = quantiles.columns_of_counts(column, ranks, counts, qs, count)
    return np.where(np.isnan(merged), out, merged)


def _within(histogram: SlicedHistogram, start: float, stop: float) -> list[Slice]:
    """Return the slices that touch start..stop, oldest first."""
    parts = [
        part for part in histogram.slices.values() if part.stop >= start and part.start <= stop
    ]
    return sorted(parts, key=lambda part: part.start)


def _quantiles(part: Slice, qs: tuple[float, ...]) -> F8:
    return quantiles.of_counts(part, qs).values

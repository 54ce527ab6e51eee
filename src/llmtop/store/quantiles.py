"""Quantiles: exact from raw values, within 0.79 % from histograms; alone or a column of a chart.

Both are the same computation: values (or bins) sorted within groups, a rank in each group, linear
interpolation between the two neighbours of the rank, as numpy does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llmtop.store.arena import F8, I8
from llmtop.store.histogram import ORDERS, Slice, value_of_orders
from llmtop.store.points import changes

_SIGN = np.uint32(1 << 31)
WIDE = 2.0
"""Times its lower bound that a bucket's upper one may be before the bounds are told instead."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Quantiles of a series over a window."""

    values: F8
    """Shape (len(qs),); NaN when nothing was there."""
    n: int
    """Finite values they stand for."""
    exact: bool
    """From every value (as float32); otherwise an estimate: histogram bins or the newest part."""
    mean: float = float("nan")
    """Of the same values; NaN where it is not known."""
    method: Literal["values", "bins", "histogram"] = "values"
    """From values, from log-linear bins, or by histogram_quantile from a server's own buckets."""
    low: F8 | None = None
    """Of a histogram: lower bounds of the buckets the quantiles lie in."""
    high: F8 | None = None
    """Upper bounds; infinity for the open one: the quantile is at least its value."""

    def bucket(self, place: int) -> tuple[float, float] | None:
        """Return the bounds of a bucket so wide that a value in between would be a guess.

        None where the quantile at `place` is told well enough by its value, or at least by that.
        """
        if self.low is None or self.high is None:
            return None
        low, high = float(self.low[place]), float(self.high[place])
        return (low, high) if high > max(WIDE * low, 0.0) and high < np.inf else None


def of_values(values: F8, qs: Sequence[float], *, exact: bool) -> Quantiles:
    """Return quantiles of `values`, non-finite ones left out."""
    finite = values[np.isfinite(values)]
    if not len(finite):
        return Quantiles(np.full(len(qs), np.nan), 0, exact)
    ordered = np.sort(finite.astype(np.float32)).astype(np.float64)
    rank = np.asarray(qs, dtype=np.float64) * (len(ordered) - 1)
    below = np.floor(rank).astype(np.int64)
    above = np.minimum(below + 1, len(ordered) - 1)
    low, high = ordered[below], ordered[above]
    mean = float(finite.mean())
    return Quantiles(_between(low, high, rank - below), len(ordered), exact, mean)


def of_counts(part: Slice, qs: Sequence[float]) -> Quantiles:
    """Return quantiles of counted bins."""
    n = int(part.counts.sum())
    if not n:
        return Quantiles(np.full(len(qs), np.nan), 0, False, method="bins")
    values = columns_of_counts(np.zeros_like(part.orders), part.orders, part.counts, qs, 1)
    mean = float((value_of_orders(part.orders) * part.counts).sum()) / n
    return Quantiles(values[:, 0], n, False, mean, "bins")


def columns_of_counts(
    column: I8, ranks: I8, counts: I8, qs: Sequence[float], count: int
) -> F8:
    """Return quantiles a column, shape (len(qs), count), of counted bins in those columns."""
    out = np.full((len(qs), count), np.nan)
    if not len(column):
        return out
    order = np.argsort(column * ORDERS + ranks, kind="stable")
    column, ranks, counts = column[order], ranks[order], counts[order]
    upto = np.cumsum(counts)
    starts = changes(column)
    ends = np.append(starts[1:], len(column)) - 1
    before = upto[starts] - counts[starts]
    n = upto[ends] - before
    for place, q in enumerate(qs):
        rank = q * (n - 1)
        below = np.floor(rank).astype(np.int64)
        above = np.minimum(below + 1, n - 1)
        low = value_of_orders(ranks[np.searchsorted(upto, before + below, side="right")])
        high = value_of_orders(ranks[np.searchsorted(upto, before + above, side="right")])
        out[place, column[starts]] = _between(low, high, rank - below)
    return out


def columns_of_values(column: I8, values: F8, qs: Sequence[float], count: int) -> F8:
    """Return exact quantiles a column, shape (len(qs), count), of finite values."""
    out = np.full((len(qs), count), np.nan)
    if not len(column):
        return out
    # One sort of 64-bit keys: the column above the float32 pattern, made to order as integers.
    bits = values.astype(np.float32).view(np.uint32)
    rising = np.where(bits & _SIGN, ~bits, bits | _SIGN).astype(np.uint64)
    keys = np.sort(column.astype(np.uint64) << np.uint64(32) | rising)
    column = (keys >> np.uint64(32)).astype(np.int64)
    rising = (keys & np.uint64(0xFFFFFFFF)).astype(np.uint32)
    bits = np.where(rising & _SIGN, rising ^ _SIGN, ~rising)
    ordered = bits.view(np.float32).astype(np.float64)
    starts = changes(column)
    n = np.diff(np.append(starts, len(column)))
    for place, q in enumerate(qs):
        rank = q * (n - 1)
        below = np.floor(rank).astype(np.int64)
        above = np.minimum(below + 1, n - 1)
        low, high = ordered[starts + below], ordered[starts + above]
        out[place, column[starts]] = _between(low, high, rank - below)
    return out


def _between(low: F8, high: F8, part: F8) -> F8:
    return low + (high - low) * part

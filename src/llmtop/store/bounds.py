"""Quantiles of observations of which only is known how many lie between some bounds.

The estimate is Prometheus's histogram_quantile: linear within the bucket that holds the rank. What
is certain is the bucket, so that is told too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from llmtop.store.arena import F8, I8

FEWEST_BUCKETS = 2
"""With the open bucket alone nothing is known but the number of observations."""


class Estimate(NamedTuple):
    """Quantiles and the buckets they lie in, shape (len(qs), rows) each; NaN where there are none.

    A rank in the open bucket at the end has the last bound as its value and infinity as `high`.
    """

    value: F8
    low: F8
    high: F8


def quantiles(bounds: F8, counts: I8, qs: Sequence[float]) -> Estimate:
    """Return the quantiles of each row of counts.

    Args:
        bounds: upper bounds, ascending, the last one infinity, shape (b,).
        counts: observations in each bucket alone, shape (rows, b).
        qs: quantiles, 0..1.
    """
    shape = len(qs), len(counts)
    value, low, high = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    if len(bounds) < FEWEST_BUCKETS or not len(counts):
        return Estimate(value, low, high)
    upto = np.cumsum(counts, axis=1)
    total = upto[:, -1]
    some = np.flatnonzero(total > 0)
    starts = np.concatenate([[min(0.0, bounds[0])], bounds[:-1]])
    for place, q in enumerate(qs):
        rank = q * total[some]
        at = (upto[some] < rank[:, None]).sum(axis=1).clip(0, len(bounds) - 1)
        start, stop, inside = starts[at], bounds[at], counts[some, at]
        before = upto[some, at] - inside
        share = np.divide(rank - before, inside, out=np.zeros(len(some)), where=inside > 0)
        with np.errstate(invalid="ignore"):
            linear = start + (stop - start) * share
        value[place, some] = np.where(np.isinf(stop), start, linear)
        low[place, some], high[place, some] = start, stop
    return Estimate(value, low, high)


def of_row(bounds: F8, counts: I8, qs: Sequence[float]) -> Estimate:
    """Return the quantiles of one row of counts, shape (len(qs),) each."""
    upto = counts.cumsum()
    total = int(upto[-1]) if len(upto) else 0
    if len(bounds) < FEWEST_BUCKETS or not total:
        nothing = np.full(len(qs), np.nan)
        return Estimate(nothing, nothing, nothing)
    rank = np.array(qs, dtype=np.float64) * total
    at = np.minimum(upto.searchsorted(rank), len(bounds) - 1)
    high = bounds[at]
    low = np.where(at > 0, bounds[at - 1], min(0.0, float(bounds[0])))
    inside = counts[at]
    share = (rank - (upto[at] - inside)) / np.maximum(inside, 1)
    with np.errstate(invalid="ignore"):
        linear = low + (high - low) * share
    return Estimate(np.where(np.isinf(high), low, linear), low, high)


def below(bounds: F8, counts: I8, limit: float) -> tuple[float, float, float]:
    """Return how many observations are at most `limit`: estimate, at least, at most.

    Args:
        bounds: as for `quantiles`.
        counts: shape (b,).
        limit: exact where it is one of the bounds.
    """
    upto = np.concatenate([[0], np.cumsum(counts)])
    at = int(np.searchsorted(bounds, limit, side="left"))
    if at < len(bounds) and bounds[at] == limit:
        exact = float(upto[at + 1])
        return exact, exact, exact
    low, high = float(upto[at]), float(upto[min(at + 1, len(bounds))])
    start = float(bounds[at - 1]) if at else min(0.0, float(bounds[0]))
    stop = float(bounds[min(at, len(bounds) - 1)])
    share = (limit - start) / (stop - start) if np.isfinite(stop) and stop > start else 0.0
    return low + (high - low) * min(max(share, 0.0), 1.0), low, high


def spread(bounds: F8, counts: I8, edges: F8) -> F8:
    """Return each row of counts over other edges, shape (rows, len(edges) - 1).

    Within a bucket observations are taken to lie evenly. What is in the open bucket goes to where
    it begins; what lies beyond the edges goes to the outermost.
    """
    finite = bounds[:-1]
    if not len(finite):
        return np.zeros((len(counts), len(edges) - 1))
    knots = np.concatenate([[min(0.0, finite[0])], finite, [np.nextafter(finite[-1], np.inf)]])
    upto = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    at = np.array([np.interp(edges, knots, row) for row in upto]).reshape(len(counts), len(edges))
    at[:, 0], at[:, -1] = 0.0, upto[:, -1]
    return np.diff(at, axis=1)

"""One metric across the ranks of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llmtop.store.arena import F8
from llmtop.store.columns import Columns
from llmtop.store.series import Axis, Series


def cross_rank(
    series: Sequence[Series], axis: Axis, start: float, stop: float, count: int
) -> Columns:
    """Return the spread of one metric over ranks, column by column.

    `low` and `high` are the smallest and largest value of any rank, so that no rank's spike is
    lost; `mean` and `last` are medians over the ranks of their means and last values; `n` and
    `bad` are sums.
    """
    if not series:
        nothing = np.full(count, np.nan)
        return Columns(nothing, nothing, nothing, nothing, np.zeros(count), np.zeros(count))
    parts = [one.buckets(axis, start, stop, count) for one in series]
    return Columns(
        np.fmin.reduce([part.low for part in parts]),
        _median(np.array([part.mean for part in parts])),
        np.fmax.reduce([part.high for part in parts]),
        _median(np.array([part.last for part in parts])),
        np.sum([part.n for part in parts], axis=0),
        np.sum([part.bad for part in parts], axis=0),
    )


def _median(rows: F8) -> F8:
    """Return the median of each column of `rows`, NaN left out, without numpy's warnings."""
    ordered = np.sort(rows, axis=0)
    known = np.maximum((~np.isnan(ordered)).sum(axis=0), 1)
    at = np.arange(rows.shape[1])
    low, high = ordered[(known - 1) // 2, at], ordered[known // 2, at]
    middle: F8 = (low + high) / 2
    return middle
